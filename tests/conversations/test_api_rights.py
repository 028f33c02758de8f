"""Who watches a conversation loses it within seconds when it is closed to them."""

from __future__ import annotations

import asyncio
import threading
from typing import Any
from uuid import UUID

import pytest

from conversations import frames
from conversations.database import in_database
from conversations.services.conversations import conversation_delete, conversation_update
from conversations.services.run_cancel import run_cancel
from conversations.services.run_start import run_start
from nexus_core.providers.base import Stop, TextDelta
from realtime import rights
from tests.realtime.conftest import connect  # noqa: F401  (a fixture)
from workspaces.access import Actor

from .conftest import chunks_of

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("bell", [True, False], ids=["doorbell", "next-round"])
@pytest.mark.parametrize("change", ["private", "unshared", "deleted"])
async def test_it_takes_a_closed_conversation_from_its_watchers(
    engine,
    alice,
    bob,
    plays,
    connect,  # noqa: F811
    monkeypatch,
    change,
    bell,
):
    monkeypatch.setattr(rights, "EVERY_SECONDS", 1000.0 if bell else 0.2)
    if not bell:
        for module in ("conversations", "sharing"):
            monkeypatch.setattr(f"conversations.services.{module}.ring_watchers", lambda conversation: None)
    plays([0.05, TextDelta("one "), *[0.1, TextDelta("secret ")] * 900, Stop("end", (), None)])
    started = await in_database(run_start, actor=alice, agent_id="demo-agent", input_="go")
    conversation_id = str(started.conversation.pk)
    if change == "unshared":
        await in_database(
            conversation_update,
            actor=alice,
            conversation_id=conversation_id,
            visibility="shared",
            shared_with=[bob.user_id],
        )
    mine, his = await connect(alice), await connect(bob)
    for socket in (mine, his):
        await socket.ask({"type": "subscribe", "conversationId": conversation_id}, "subscribed")
        await socket.next("chunk")
    if change == "private":
        await in_database(
            conversation_update, actor=alice, conversation_id=conversation_id, visibility="private"
        )
    elif change == "unshared":
        await in_database(conversation_update, actor=alice, conversation_id=conversation_id, shared_with=[])
    else:
        await in_database(conversation_delete, actor=alice, conversation_id=conversation_id)
    assert (await his.next("unsubscribed"))["conversationId"] == conversation_id
    seen = len([frame for frame in his.seen if frame["type"] == "chunk"])
    if change != "deleted":
        for _ in range(3):
            await mine.next("chunk")
        await in_database(run_cancel, actor=alice, run_id=started.run.pk)
    await chunks_of(started.run.pk)
    await his.ask({"type": "ping"}, "pong")
    assert len([frame for frame in his.seen if frame["type"] == "chunk"]) == seen
    refused = await his.ask({"type": "subscribe", "conversationId": conversation_id}, "error")
    assert refused["code"] == "not_found"


async def test_it_does_not_take_away_a_conversation_that_was_not_made_yet_when_it_looked(
    engine,
    alice,
    plays,
    connect,  # noqa: F811
    monkeypatch,
):
    """A look at the rights that began before the start's commit and is answered after it."""
    monkeypatch.setattr(rights, "EVERY_SECONDS", 1000.0)
    looked, answered = threading.Event(), threading.Event()
    start, read, loop = frames.run_start, rights.readable, asyncio.get_running_loop()

    def start_after_the_look(**how: object):
        loop.call_soon_threadsafe(lambda: rights.watch().check_soon())
        looked.wait(0.5)
        return start(**how)

    def slow_look(actor: Actor, ids: set[UUID]) -> set[UUID]:
        found = read(actor, ids)
        looked.set()
        answered.wait(60)
        return found

    monkeypatch.setattr(frames, "run_start", start_after_the_look)
    monkeypatch.setattr(rights, "readable", slow_look)
    plays([TextDelta("one "), *[0.02, TextDelta("more ")] * 10, Stop("end", (), None)])
    socket = await connect(alice)
    await socket.ask(
        {"type": "run.start", "clientId": "c", "agentId": "demo-agent", "input": "go"}, "run.accepted"
    )
    answered.set()
    chunk: dict[str, Any] = {}
    while chunk.get("data", {}) == {} or chunk["type"] != "metadata" or chunk["data"]["status"] == "started":
        chunk = (await socket.next("chunk"))["chunk"]
    assert chunk["data"]["status"] == "complete"
    assert "unsubscribed" not in [frame["type"] for frame in socket.seen]
