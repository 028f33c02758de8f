"""What the model is told of a conversation: what the screen shows above the question."""

from __future__ import annotations

import pytest

from conversations.database import in_database
from conversations.models import Message
from conversations.services.run_resume import run_resume
from conversations.services.run_start import run_start
from nexus_core.errors import ProviderUnavailable
from nexus_core.providers.base import TextDelta

from .api_client import Person
from .conftest import chunks_of

pytestmark = pytest.mark.django_db(transaction=True)

FAILS = [TextDelta("Half of A1"), ProviderUnavailable("gone")]


async def ask(actor, text="", **more):
    started = await in_database(run_start, actor=actor, agent_id="demo-agent", input_=text, **more)
    await chunks_of(started.run.pk)
    return started


def told(request) -> list[str]:
    return ["".join(part.text for part in message.parts) for message in request.messages]


async def shown(actor, conversation_id) -> list[str]:
    thread = (await (await Person(actor).log_in()).get(f"/api/conversations/{conversation_id}/thread")).json()
    said = {message["id"]: message["content"] for message in thread["messages"]}
    return [said[message_id] for message_id in thread["line"]]


async def test_it_sends_an_answer_that_was_resumed_below_later_messages(engine, alice, plays):
    provider = plays(FAILS, "A2", "A1", "A3")
    first = await ask(alice, "Q1")
    place = {"conversation_id": first.conversation.pk}
    await ask(alice, "Q2", **place, parent_message_id=first.message.pk)
    await chunks_of((await in_database(run_resume, actor=alice, run_id=first.run.pk)).run.pk)
    await ask(alice, "Q3", **place)
    assert told(provider.requests[-1]) == ["Q1", "A1", "Q2", "A2", "Q3"]
    assert await shown(alice, first.conversation.pk) == ["Q1", "A1", "Q2", "A2", "Q3", "A3"]


async def test_it_sends_an_answer_that_was_withdrawn_for_a_new_one_below_a_question(engine, alice, plays):
    provider = plays(FAILS, "A1", "A2", "A3")
    first = await ask(alice, "Q1")
    place = {"conversation_id": first.conversation.pk}
    failed = await in_database(Message.objects.get, parent=first.message)
    await chunks_of((await in_database(run_resume, actor=alice, run_id=first.run.pk)).run.pk)
    # Somebody whose page still showed the failed answer writes below it.
    await ask(alice, "Q2", **place, parent_message_id=failed.pk)
    assert told(provider.requests[-1]) == ["Q1", "A1", "Q2"]
    await ask(alice, "Q3", **place)
    assert told(provider.requests[-1]) == ["Q1", "A1", "Q2", "A2", "Q3"]


async def test_it_keeps_to_the_branch_that_is_asked_in(engine, alice, plays):
    provider = plays("A1", "A2", "B2", "A2 again")
    first = await ask(alice, "Q1")
    place = {"conversation_id": first.conversation.pk}
    second = await ask(alice, "Q2", **place)
    await ask(alice, "Q2 edited", **place, parent_message_id=second.message.parent_id)
    assert told(provider.requests[-1]) == ["Q1", "A1", "Q2 edited"]
    answer = await in_database(Message.objects.get, parent=second.message)
    await ask(alice, regenerate_message_id=answer.pk)
    assert told(provider.requests[-1]) == ["Q1", "A1", "Q2"]


async def test_it_sends_nothing_from_before_a_clear(engine, alice, plays):
    provider = plays("A1", "A2", "A3")
    first = await ask(alice, "Q1")
    place = {"conversation_id": first.conversation.pk}
    clear = await ask(alice, "/clear", **place)
    await ask(alice, "Q2", **place, parent_message_id=clear.message.pk)
    assert told(provider.requests[-1]) == ["Q2"]
    await ask(alice, "Q3", **place)
    assert told(provider.requests[-1]) == ["Q2", "A2", "Q3"]
