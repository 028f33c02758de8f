"""What a person has not read yet: counted from the log of messages, told to all their tabs, never for their own words."""

from __future__ import annotations

import importlib
from datetime import timedelta

import pytest
from django.apps import apps
from django.db import connection
from django.utils import timezone

from conversations.database import in_database
from conversations.models import Conversation, ConversationMark, Message
from conversations.selectors import annotated
from conversations.services.conversations import conversation_create, conversation_update
from conversations.services.marks import mark_read
from conversations.services.run_start import run_start
from nexus_core.providers.base import Stop, TextDelta
from tests.realtime.conftest import connect  # noqa: F401  (a fixture)

from .api_client import Person, absent
from .conftest import chunks_of

pytestmark = pytest.mark.django_db(transaction=True)


def answered(plays) -> None:
    plays([TextDelta("An answer."), Stop("end", (), None)], [TextDelta("Another."), Stop("end", (), None)])


async def ask(actor, conversation_id=None):
    started = await in_database(
        run_start, actor=actor, agent_id="demo-agent", input_="go", conversation_id=conversation_id
    )
    await chunks_of(started.run.pk)
    return started.conversation.pk


async def unread(actor, conversation_id) -> int:
    return (await in_database(annotated(actor).get, pk=conversation_id)).unread


async def test_it_counts_answers_and_other_peoples_words_but_never_ones_own(engine, alice, bob, plays):
    answered(plays)
    conversation_id = await ask(alice)
    assert await unread(alice, conversation_id) == 1, "the agent's answer, not her question"
    assert await unread(bob, conversation_id) == 0, "he never opened it: it is not his news"
    mark = await in_database(mark_read, actor=bob, conversation_id=conversation_id)
    assert mark["unread"] == 0 and mark["lastReadAt"]
    await in_database(mark_read, actor=alice, conversation_id=conversation_id)
    await ask(alice, conversation_id)
    assert await unread(bob, conversation_id) == 2, "her question and its answer"
    assert await unread(alice, conversation_id) == 1


async def test_a_mark_only_moves_forward_and_never_beyond_the_newest(engine, alice, plays):
    answered(plays)
    conversation_id = await ask(alice)
    assert (await in_database(mark_read, actor=alice, conversation_id=conversation_id, number=1))[
        "unread"
    ] == 1
    first = await in_database(mark_read, actor=alice, conversation_id=conversation_id, number=99)
    assert first["unread"] == 0
    again = await in_database(mark_read, actor=alice, conversation_id=conversation_id, number=1)
    assert again == first
    await ask(alice, conversation_id)
    assert await unread(alice, conversation_id) == 1, "99 did not count for what came later"


async def test_it_does_not_count_what_was_withdrawn(engine, alice, bob, plays):
    answered(plays)
    conversation_id = await ask(alice)
    await in_database(mark_read, actor=bob, conversation_id=conversation_id, number=0)
    assert await unread(bob, conversation_id) == 2
    await in_database(lambda: Message.objects.filter(role="assistant").update(superseded=True))
    assert await unread(bob, conversation_id) == 1


async def test_it_counts_what_is_shared_with_a_few(engine, alice, bob, vera, plays):
    answered(plays)
    conversation_id = await ask(alice)
    await in_database(
        conversation_update,
        actor=alice,
        conversation_id=conversation_id,
        visibility="shared",
        shared_with=[bob.user_id],
    )
    assert await unread(bob, conversation_id) == 2


async def test_it_tells_all_tabs_of_the_person_and_nobody_else(engine, alice, bob, plays, connect):  # noqa: F811
    answered(plays)
    conversation_id = str(await ask(alice))
    one, two, his = await connect(alice), await connect(alice), await connect(bob)
    answer = await one.ask(
        {"type": "conversation.read", "conversationId": conversation_id}, "conversation.read"
    )
    assert answer["unread"] == 0
    assert (await two.next("conversation.read"))["conversationId"] == conversation_id
    again = await one.ask(
        {"type": "conversation.read", "conversationId": conversation_id}, "conversation.read"
    )
    assert again["lastReadAt"] == answer["lastReadAt"]
    for socket in (two, his):
        await socket.ask({"type": "ping"}, "pong")
    assert len([frame for frame in two.seen if frame["type"] == "conversation.read"]) == 1, "nothing moved"
    assert not [frame for frame in his.seen if frame["type"] == "conversation.read"]


async def test_it_lets_viewers_mark_and_strangers_not(engine, alice, vera, charlie, plays, connect):  # noqa: F811
    answered(plays)
    conversation_id = str(await ask(alice))
    frame = {"type": "conversation.read", "conversationId": conversation_id}
    assert (await (await connect(vera)).ask(frame, "conversation.read"))["unread"] == 0
    stranger = await connect(charlie)
    refused = await stranger.ask(frame, "error")
    nothing = await stranger.ask(frame | {"conversationId": str(absent())}, "error")
    assert (refused["code"], refused["message"]) == (nothing["code"], nothing["message"])
    assert await in_database(ConversationMark.objects.filter(user_id=charlie.user_id).count) == 0


async def test_it_stands_on_the_wire_and_not_in_what_everybody_is_told(engine, alice, plays, connect):  # noqa: F811
    answered(plays)
    socket = await connect(alice)
    conversation_id = str(await ask(alice))
    person = await Person(alice).log_in()
    shown = (await person.get(f"/api/conversations/{conversation_id}")).json()
    assert shown["unread"] == 1 and shown["lastReadAt"] is None
    assert (await person.get("/api/conversations")).json()["items"][0]["unread"] == 1
    told = (await socket.next("conversation.updated"))["conversation"]
    assert not {"unread", "lastReadAt", "pinned"} & set(told), "these are each person's own"


async def test_opening_the_page_in_a_hidden_tab_reads_nothing(engine, alice, plays):
    answered(plays)
    conversation_id = str(await ask(alice))
    person = await Person(alice).log_in()
    page = await person.get(f"/c/{conversation_id}/")
    assert page.status_code == 200
    assert await unread(alice, conversation_id) == 1
    listed = (await person.get("/history/")).content.decode()
    assert "1 unread" in listed


async def test_it_tells_who_asked_that_their_run_ended_and_nobody_else(engine, alice, bob, plays, connect):  # noqa: F811
    answered(plays)
    mine, his = await connect(alice), await connect(bob)
    conversation_id = str(await ask(alice))
    told = await mine.next("run.ended")
    assert (told["conversationId"], told["status"], told["agentId"]) == (
        conversation_id,
        "complete",
        "demo-agent",
    )
    assert told["durationMs"] >= 0 and "answer" not in str(told).lower()
    await his.next("usage.updated")
    await his.ask({"type": "ping"}, "pong")
    assert not [frame for frame in his.seen if frame["type"] == "run.ended"]


def test_marks_of_before_are_numbered_by_their_time_and_twice_is_once(alice):
    conversation = conversation_create(actor=alice)
    for number in (1, 2, 3):
        Message.objects.create(conversation=conversation, number=number, role="user", content=str(number))
    second = Message.objects.get(number=2).created_at
    Message.objects.filter(number=3).update(created_at=timezone.now() + timedelta(hours=1))
    ConversationMark.objects.create(conversation=conversation, user=alice.user, read_at=second)
    move = importlib.import_module("conversations.migrations.0004_read_numbers").number_marks
    for _ in range(2):
        with connection.schema_editor() if connection.vendor != "sqlite" else _Editor() as editor:
            move(apps, editor)
        assert ConversationMark.objects.get().read_number == 2
    assert Conversation.objects.count() == 1


class _Editor:
    """SQLite's schema editor wants foreign keys off, which a test's transaction cannot do; only its connection is used."""

    connection = connection

    def __enter__(self) -> _Editor:
        return self

    def __exit__(self, *_: object) -> None:
        return None
