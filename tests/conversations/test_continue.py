"""Going on with an answer that its longest length cut off."""

from __future__ import annotations

import pytest

from conversations.database import in_database
from conversations.models import Message, Run
from conversations.services.run_continue import INSTRUCTION
from nexus_core.providers.base import Stop, TextDelta
from tests.realtime.conftest import connect  # noqa: F401  (a fixture)

from .api_client import Person, error_of
from .conftest import chunks_of

pytestmark = pytest.mark.django_db(transaction=True)

CUT = [TextDelta("The first half"), Stop("length", (), None)]
REST = [TextDelta(" and the second."), Stop("end", (), None)]


async def test_it_goes_on_where_the_answer_was_cut(engine, alice, plays):
    provider = plays(CUT, REST)
    she = await Person(alice).log_in()
    done = await she.ask("Tell me all")
    answer = done["message"]
    begun = await she.post(f"/api/messages/{answer['id']}/continue")
    assert begun.status_code == 202
    await chunks_of(begun.json()["runId"])
    items = (await she.get(f"/api/conversations/{done['conversationId']}/messages")).json()["items"]
    assert [m["continues"] for m in items] == [None, None, answer["id"], None]
    assert [m["parentId"] for m in items] == [None, *(m["id"] for m in items[:3])]
    assert items[3]["content"] == " and the second."
    sent = provider.requests[-1].messages
    assert [part.text for message in sent[-2:] for part in message.parts] == ["The first half", INSTRUCTION]


async def test_it_goes_on_once(engine, alice, bob, plays):
    plays(CUT, REST)
    she, he = await Person(alice).log_in(), await Person(bob).log_in()
    answer = (await she.ask("Tell me all"))["message"]
    path = f"/api/messages/{answer['id']}/continue"
    first = await she.post(path, Idempotency_Key="k1")
    again = await she.post(path, Idempotency_Key="k1")
    assert first.json()["runId"] == again.json()["runId"]
    assert error_of(await he.post(path)) == (409, "not_continuable")
    await chunks_of(first.json()["runId"])
    assert await in_database(Run.objects.count) == 2


async def test_it_refuses_whole_answers_questions_viewers_and_strangers(engine, alice, vera, charlie, plays):
    plays([TextDelta("All of it."), Stop("end", (), None)])
    she = await Person(alice).log_in()
    done = await she.ask("Tell me all")
    path = f"/api/messages/{done['message']['id']}/continue"
    assert error_of(await she.post(path)) == (409, "not_continuable")
    assert error_of(await she.post(f"/api/messages/{done['messageId']}/continue")) == (409, "not_continuable")
    assert error_of(await (await Person(vera).log_in()).post(path)) == (403, "forbidden")
    assert error_of(await (await Person(charlie).log_in()).post(path)) == (404, "not_found")
    assert await in_database(Message.objects.count) == 2


async def test_it_tells_watchers_that_the_message_goes_on_with_an_answer(
    engine,
    alice,
    bob,
    plays,
    connect,  # noqa: F811
):
    plays(CUT, REST)
    she = await Person(alice).log_in()
    done = await she.ask("Tell me all")
    mine, his = await connect(alice), await connect(bob)
    await his.ask({"type": "subscribe", "conversationId": done["conversationId"]}, "subscribed")
    frame = {"type": "run.continue", "messageId": done["message"]["id"], "clientId": "c-9"}
    accepted = await mine.ask(frame, "run.accepted")
    told = await his.next("message.created")
    assert told["message"]["continues"] == done["message"]["id"]
    assert told["message"]["id"] == accepted["messageId"]
    await chunks_of(accepted["runId"])
