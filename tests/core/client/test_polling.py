"""A whole conversation where no socket comes through, and what one does with its answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from nexus_core.client import (
    ChunkAdded,
    ConversationChanged,
    Forbidden,
    Joined,
    LiveConversation,
    MessageAdded,
    NexusClient,
    RunChanged,
)
from nexus_core.client.polling import POLL_SECONDS

from .conftest import Bench
from .fakes import CONVERSATION, FakeClock, FakeServer, metadata, refused, started, text

LOOK = POLL_SECONDS * 1.3


class Watcher:
    """Watches conversation k1 in a task; `events` is what it was told, `fault` what ended it."""

    def __init__(self, client: NexusClient) -> None:
        self.live = client.conversation("k1")
        self.events: list[Any] = []
        self.fault: Exception | None = None
        self.task = asyncio.create_task(self._watch(self.live))

    async def _watch(self, live: LiveConversation) -> None:
        try:
            async with live:
                async for event in live:
                    self.events.append(event)
        except Exception as fault:
            self.fault = fault

    def chunks(self, run_id: str = "r1") -> list[int]:
        return [one.seq for one in self.events if isinstance(one, ChunkAdded) and one.run_id == run_id]

    def of(self, kind: type) -> list[Any]:
        return [one for one in self.events if isinstance(one, kind)]


@pytest.fixture
async def watcher(bench: Bench, server: FakeServer, clock: FakeClock) -> AsyncIterator[Watcher]:
    server.refuses = [400] * 500
    server.messages = [message("m1", 1)]
    made = Watcher(bench.client())
    await clock.pass_(5)
    assert made.of(Joined) and made.fault is None
    yield made
    made.task.cancel()
    await asyncio.gather(made.task, return_exceptions=True)


def message(id_: str, number: int, **more: Any) -> dict[str, Any]:
    return {"id": id_, "conversationId": "k1", "number": number, "role": "user", "content": "hi", **more}


async def test_it_tells_what_a_socket_would_have_told(
    watcher: Watcher, server: FakeServer, clock: FakeClock
) -> None:
    assert list(watcher.live.view.messages) == ["m1"]
    server.messages.append(message("m2", 2))
    server.store("r1", started(), text("Hel"))
    await clock.pass_(LOOK)
    assert [one.message.id for one in watcher.of(MessageAdded)] == ["m2"]
    assert [one.run.status for one in watcher.of(RunChanged)] == ["running"]
    assert watcher.chunks() == [1, 2] and watcher.live.view.runs["r1"].text == "Hel"
    server.conversation = {**CONVERSATION, "title": "Renamed"}
    server.messages[1] = message("m2", 2, content="edited")
    await clock.pass_(LOOK)
    assert [one.conversation.title for one in watcher.of(ConversationChanged)] == ["Renamed"]
    assert watcher.live.view.messages["m2"].content == "edited"
    del server.messages[1]
    server.messages.append(message("m3", 3))
    await clock.pass_(LOOK)
    assert watcher.live.view.messages["m2"].superseded


async def test_it_gives_each_chunk_once_over_broken_events(
    watcher: Watcher, server: FakeServer, clock: FakeClock
) -> None:
    server.cut_stream_after = [2, "ends", "gone", 1]
    server.store("r1", started(), text("a"), text("b"), text("c"), metadata("complete"))
    await clock.pass_(60)
    assert watcher.chunks() == [1, 2, 3, 4, 5]
    assert [one.run.status for one in watcher.of(RunChanged)][-1] == "complete"
    streams = len(server.streams)
    await clock.pass_(30)
    assert len(server.streams) == streams  # a run that has ended is not asked for again


async def test_it_says_nothing_while_nothing_changes(
    watcher: Watcher, server: FakeServer, clock: FakeClock
) -> None:
    told = len(watcher.events)
    await clock.pass_(30)
    assert len(watcher.events) == told


async def test_it_goes_back_to_the_socket_when_one_comes_through(
    watcher: Watcher, server: FakeServer, clock: FakeClock
) -> None:
    server.store("r1", started(), text("a"))
    await clock.pass_(LOOK)
    server.refuses = []
    await clock.pass_(120)
    assert server.socket.of("subscribe")[0]["after"] == {"r1": 2}
    server.store("r1", text("b"), metadata("complete"))
    asked = len(server.requests)
    await clock.pass_(15)
    assert watcher.chunks() == [1, 2, 3, 4]
    assert len(server.requests) == asked  # nobody polls beside a socket


async def test_it_goes_on_over_a_server_that_is_away(
    watcher: Watcher, server: FakeServer, clock: FakeClock
) -> None:
    server.http = ["not-sent"] * 30
    await clock.pass_(120)
    server.messages.append(message("m2", 2))
    server.http = []
    await clock.pass_(60)
    assert "m2" in watcher.live.view.messages and watcher.fault is None


async def test_it_ends_where_the_conversation_is_not_open_any_more(
    watcher: Watcher, server: FakeServer, clock: FakeClock
) -> None:
    server.http = [refused("forbidden", 403)]
    await clock.pass_(LOOK)
    assert isinstance(watcher.fault, Forbidden)
    asked = len(server.requests)
    await clock.pass_(20)
    assert [path for _, path, _ in server.requests[asked:] if path.endswith("/thread")] == []


async def test_it_leaves_no_task_behind(bench: Bench, server: FakeServer, clock: FakeClock) -> None:
    server.refuses = [400] * 50
    server.store("r1", started())
    watcher = Watcher(bench.client())
    await clock.pass_(5)
    assert watcher.chunks() == [1]
    for client in bench.opened:
        await client.close()
    await clock.settle()
    assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("nexus-poll")]
    await asyncio.gather(watcher.task, return_exceptions=True)


async def test_it_goes_on_with_a_cut_answer(bench: Bench, server: FakeServer) -> None:
    run = await bench.client().start(agent_id="a", input="hi")
    assert (await run.continue_(client_id="c-1")).run_id == "r2"
    assert server.requests[-1][:2] == ("POST", "/api/messages/m/continue")
    assert server.headers[-1]["Idempotency-Key"] == "c-1"


async def test_it_forks_and_rates(bench: Bench, server: FakeServer) -> None:
    conversations = bench.client().conversations
    assert (await conversations.fork("k1", "m")).id == "k2"
    await conversations.feedback("m", "poor", comment="Too long")
    await conversations.feedback("m", None)
    path = "/api/messages/m/feedback"
    assert server.requests[-3:] == [
        ("POST", "/api/conversations/k1/fork", {"messageId": "m"}),
        ("PUT", path, {"rating": "poor", "comment": "Too long"}),
        ("DELETE", path, None),
    ]
