"""A conversation as it happens: every event in order, chunks once each, bounded for slow readers."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from nexus_core.client import (
    ActivityRecorded,
    ChunkAdded,
    ConversationChanged,
    Event,
    Joined,
    LiveConversation,
    MessageAdded,
    Other,
    PresenceChanged,
    RunChanged,
    SocketBlocked,
    Unreachable,
)

from .conftest import Bench
from .fakes import FakeClock, FakeServer, metadata, started, text

MESSAGE = {"id": "m1", "conversationId": "k1", "role": "user", "content": "hi"}


async def read(live: LiveConversation, clock: FakeClock, count: int) -> list[Event]:
    """The next so many events."""
    got: list[Event] = []

    async def take() -> None:
        async for event in live:
            got.append(event)
            if len(got) == count:
                return

    task = asyncio.create_task(take())
    for _ in range(50):
        await clock.settle()
        if task.done():
            break
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return got


async def test_it_tells_everything_that_happens(bench: Bench, server: FakeServer, clock: FakeClock) -> None:
    async with bench.client().conversation("k1") as live:
        say = server.socket.say
        say({"type": "message.created", "conversationId": "k1", "message": MESSAGE})
        say({"type": "run.started", "conversationId": "k1", "runId": "r1", "run": server.run("r1")})
        server.store("r1", started(), text("Hello"), metadata("complete"))
        say({"type": "run.finished", "conversationId": "k1", "runId": "r1", "run": server.run("r1")})
        say({"type": "conversation.updated", "conversation": {"id": "k1", "title": "New"}})
        say({"type": "conversation.updated", "conversation": {"id": "k2", "title": "Another"}})
        say({"type": "presence.changed", "users": [{"userId": "u2", "name": "Bob"}]})
        say({"type": "activity.recorded", "id": "1", "activityType": "asked", "conversationId": "k2"})
        say({"type": "cursor.moved", "conversationId": "k1", "userId": "u2", "typing": True})
        say({"type": "tomorrow.invented", "conversationId": "k1"})
        events = await read(live, clock, 12)
        assert [type(event) for event in events] == [
            Joined, MessageAdded, RunChanged, ChunkAdded, ChunkAdded, ChunkAdded, RunChanged, ConversationChanged,
            PresenceChanged, ActivityRecorded, Other, Other,
        ]  # fmt: skip
        assert live.view.runs["r1"].text == "Hello"
        assert live.view.messages["m1"].content == "hi"
        assert live.view.conversation is not None
        assert live.view.conversation.title == "New"
        assert live.view.presence[0].name == "Bob"


async def test_it_begins_with_the_chunks_of_live_runs(
    bench: Bench, server: FakeServer, clock: FakeClock
) -> None:
    server.store("r1", started(), text("a"))
    async with bench.client().conversation("k1") as live:
        events = await read(live, clock, 3)
        assert [event.seq for event in events if isinstance(event, ChunkAdded)] == [1, 2]


async def test_it_joins_again_after_a_lost_link_and_doubles_nothing(
    bench: Bench, server: FakeServer, clock: FakeClock
) -> None:
    server.store("r1", started(), text("a"))
    async with bench.client().conversation("k1") as live:
        first = await read(live, clock, 3)
        server.socket.drop(4012)
        await clock.settle()
        server.store("r1", text("b"), metadata("complete"), tell=False)
        await clock.pass_(2)
        again = await read(live, clock, 3)
    assert isinstance(again[0], Joined)
    seqs = [event.seq for event in first + again if isinstance(event, ChunkAdded)]
    assert seqs == [1, 2, 3, 4]


async def test_it_reads_again_when_the_server_says_that_something_was_lost(
    bench: Bench, server: FakeServer, clock: FakeClock
) -> None:
    server.store("r1", started(), text("a"))
    async with bench.client().conversation("k1") as live:
        first = await read(live, clock, 3)
        socket = server.socket
        server.store("r1", text("b"), metadata("complete"), tell=False)
        socket.say({"type": "resync"})
        again = await read(live, clock, 3)
        assert server.socket is socket, "it needs no other link for that"
    assert isinstance(again[0], Joined)
    seqs = [event.seq for event in first + again if isinstance(event, ChunkAdded)]
    assert seqs == [1, 2, 3, 4]


async def test_it_leaves_events_out_for_a_slow_reader_but_no_chunk(
    bench: Bench, server: FakeServer, clock: FakeClock
) -> None:
    async with bench.client(buffer=20).conversation("k1") as live:
        server.store("r1", started())
        for n in range(500):
            server.store("r1", text(f"{n} "))
            server.socket.say({"type": "cursor.moved", "conversationId": "k1", "userId": "u", "n": n})
        for _ in range(40):
            await clock.settle()
        assert len(live._mailbox) <= 20
        server.store("r1", metadata("complete"))
        for _ in range(5):
            await clock.settle()
        seqs: list[int] = []
        kinds: list[type[Any]] = []

        async def take() -> None:
            async for event in live:
                kinds.append(type(event))
                if isinstance(event, ChunkAdded):
                    seqs.append(event.seq)
                    if event.seq == 502:
                        return

        await asyncio.wait_for(take(), 10)
    assert seqs == list(range(1, 503))
    assert kinds.count(Joined) == 2  # at the start, and where it had fallen behind
    assert kinds.count(Other) < 30


async def test_it_says_its_presence_again_after_a_lost_link(
    bench: Bench, server: FakeServer, clock: FakeClock
) -> None:
    async with bench.client().conversation("k1") as live:
        assert live.presence("typing", cursor={"x": 1, "y": 2})
        await clock.settle()
        told = {
            "type": "presence.update",
            "conversationId": "k1",
            "activity": "typing",
            "cursor": {"x": 1, "y": 2},
        }
        assert server.socket.of("presence.update") == [told]
        server.socket.drop()
        await clock.settle()
        assert not live.presence("viewing")  # there is no link just now
        await clock.pass_(2)
        assert server.socket.of("presence.update") == [
            {"type": "presence.update", "conversationId": "k1", "activity": "viewing"}
        ]


async def test_it_says_that_sockets_are_blocked(bench: Bench, server: FakeServer, clock: FakeClock) -> None:
    server.refuses = [400] * 20
    client = bench.client(watch="socket")

    async def join() -> None:
        async with client.conversation("k1"):
            raise AssertionError("it should not have joined")

    joining = asyncio.create_task(join())
    await clock.pass_(5)
    assert isinstance(joining.exception(), SocketBlocked)


async def test_it_gives_up_joining_when_its_patience_ends(
    bench: Bench, server: FakeServer, clock: FakeClock
) -> None:
    server.refuses = ["gone"] * 100
    client = bench.client(patience=30)

    async def join() -> None:
        async with client.conversation("k1"):
            raise AssertionError("it should not have joined")

    joining = asyncio.create_task(join())
    await clock.pass_(31)
    with pytest.raises(Unreachable):
        joining.result()
    assert not client._feeds


async def test_a_run_and_a_conversation_share_one_socket(
    bench: Bench, server: FakeServer, clock: FakeClock
) -> None:
    client = bench.client()
    async with client.conversation("k1") as live:
        run = await live.send("hi", agent_id="a")
        server.store("r1", started(), text("Hello"), metadata("complete"))
        answer = await asyncio.wait_for(run.answer(), 20)
    assert answer.text == "Hello"
    assert live.view.runs["r1"].text == "Hello"
    assert len(server.sockets) == 1
    assert len(server.socket.of("subscribe")) == 1
