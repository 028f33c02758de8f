"""A run is read once, in order, to its terminal chunk, whatever the doorbells do."""

from __future__ import annotations

import asyncio

import pytest

from nexus_core.client import NotFound, RunFailed, SocketBlocked, UnknownChunk
from nexus_core.client.follow import LOOK_SECONDS

from .conftest import Bench, Reader
from .fakes import FakeClock, FakeServer, json_answer, metadata, refused, started, text

WHOLE = [started(), *(text(f"{n} ") for n in range(8)), metadata("complete")]
WORDS = "".join(f"{n} " for n in range(8))


async def test_it_gives_each_chunk_once_and_ends_at_the_terminal_one(
    bench: Bench, server: FakeServer, clock: FakeClock
) -> None:
    reader = await bench.follow()
    server.store("r1", *WHOLE)
    await clock.settle()
    assert reader.seqs == list(range(1, 11))
    assert reader.ended
    assert reader.run.view.text == WORDS


async def test_it_takes_only_the_next_seq(bench: Bench, server: FakeServer, clock: FakeClock) -> None:
    """Doubled, late and old doorbells change nothing."""
    reader = await bench.follow()
    server.store("r1", *WHOLE, tell=False)
    for seq in (1, 1, 2, 2, 1, 3, 4, 3, 5, 5, 6, 7, 8, 2, 9, 10):
        server.socket.say(server.chunk("r1", seq))
    await clock.settle()
    assert reader.seqs == list(range(1, 11))
    assert reader.run.view.text == WORDS
    assert not server.socket.of("replay")


async def test_it_asks_for_a_replay_at_a_gap_once(bench: Bench, server: FakeServer, clock: FakeClock) -> None:
    reader = await bench.follow()
    server.store("r1", *WHOLE[:7], tell=False)
    answer, server.socket.answers = server.socket.answers, lambda frame: None  # the replay takes its time
    for seq in (1, 2, 5, 6, 7):
        server.socket.say(server.chunk("r1", seq))
    await clock.settle()
    assert reader.seqs == [1, 2]
    assert [(f["runId"], f["after"]) for f in server.socket.of("replay")] == [("r1", 2)]
    server.socket.answers = answer
    for seq in range(3, 8):
        server.socket.say(server.chunk("r1", seq))
    await clock.settle()
    assert reader.seqs == list(range(1, 8))
    server.store("r1", *WHOLE[7:])
    await clock.settle()
    assert reader.ended


async def test_it_asks_again_when_a_replay_brought_nothing(
    bench: Bench, server: FakeServer, clock: FakeClock
) -> None:
    await bench.follow()
    server.socket.answers = lambda frame: None
    server.store("r1", *WHOLE[:8], tell=False)
    server.socket.say(server.chunk("r1", 3))
    await clock.pass_(4.5)
    server.socket.say(server.chunk("r1", 8))
    await clock.settle()
    assert len(server.socket.of("replay")) == 2


async def test_it_takes_a_clean_close_for_no_end(bench: Bench, server: FakeServer, clock: FakeClock) -> None:
    reader = await bench.follow()
    server.store("r1", *WHOLE[:4])
    await clock.settle()
    server.socket.drop(1000)
    await clock.pass_(1)
    assert not reader.ended
    server.store("r1", *WHOLE[4:])
    await clock.pass_(2)
    assert reader.ended
    assert reader.run.view.text == WORDS


async def test_it_looks_into_the_log_when_every_doorbell_is_lost(
    bench: Bench, server: FakeServer, clock: FakeClock
) -> None:
    reader = await bench.follow()
    server.store("r1", *WHOLE, tell=False)
    await clock.pass_(LOOK_SECONDS + 1)
    assert reader.seqs == list(range(1, 11))
    assert reader.ended


@pytest.mark.parametrize("after", range(11))
async def test_it_gives_the_same_from_every_seq_on(
    bench: Bench, server: FakeServer, clock: FakeClock, after: int
) -> None:
    """R1: also of a run that has ended, and from behind its end."""
    server.store("r1", *WHOLE)
    reader = await bench.follow(after)
    await clock.pass_(2)
    assert reader.seqs == list(range(after + 1, 11))
    assert reader.ended


async def test_it_obeys_a_reset(bench: Bench, server: FakeServer, clock: FakeClock) -> None:
    reader = await bench.follow()
    call = {"toolId": "t", "toolName": "x", "input": {}, "status": "RUNNING"}
    server.store(
        "r1",
        started(),
        text("kept "),
        text("lost "),
        {"type": "tool_call", "data": call, "timestamp": 1},
        metadata("resumed", epoch=2),
        metadata("reset", keepSeq=2),
        text("anew"),
        metadata("complete"),
    )
    await clock.settle()
    assert reader.seqs == list(range(1, 9))
    assert reader.run.view.text == "kept anew"
    assert reader.run.view.tool_calls == ()
    assert reader.run.view.epoch == 2


async def test_it_counts_a_chunk_of_a_newer_server(
    bench: Bench, server: FakeServer, clock: FakeClock
) -> None:
    reader = await bench.follow()
    server.store("r1", started(), {"type": "hologram", "data": 3, "timestamp": 1}, metadata("complete"))
    await clock.settle()
    assert reader.seqs == [1, 2, 3]
    assert reader.chunks[1] == UnknownChunk("hologram", 3)


async def test_it_keeps_no_more_than_its_buffer_for_a_slow_reader_and_loses_nothing(
    bench: Bench, server: FakeServer, clock: FakeClock
) -> None:
    reader = await bench.follow(buffer=10)
    reader.hold.clear()
    client = bench.opened[0]
    server.store("r1", started(), *(text(f"{n} ") for n in range(2000)))
    for _ in range(50):
        await clock.settle()
    (feed,) = client._feeds.values()
    (mailbox,) = feed.mailboxes
    assert len(mailbox) <= 10
    assert feed.view.runs["r1"].last_seq == 2001
    reader.hold.set()
    server.store("r1", metadata("complete"))
    for _ in range(100):
        await clock.settle()
    assert reader.seqs == list(range(1, 2003))
    assert reader.ended


async def test_two_readers_of_one_run_share_the_subscription(
    bench: Bench, server: FakeServer, clock: FakeClock
) -> None:
    first = await bench.follow()
    server.store("r1", *WHOLE[:5])
    await clock.settle()
    second = Reader(first.run)
    bench.readers.append(second)
    await clock.settle()
    server.store("r1", *WHOLE[5:])
    await clock.settle()
    assert first.seqs == second.seqs == list(range(1, 11))
    assert len(server.socket.of("subscribe")) == 1
    await clock.settle()
    assert len(server.socket.of("unsubscribe")) == 1


# --- sockets are blocked ---


@pytest.mark.parametrize("how", [400, 426, 0, "missing"])
async def test_it_falls_back_to_events_where_no_socket_comes_through(
    bench: Bench, server: FakeServer, clock: FakeClock, how: int | str
) -> None:
    server.refuses = [how] * 50
    reader = await bench.follow()
    server.store("r1", *WHOLE)
    await clock.pass_(5)
    assert reader.seqs == list(range(1, 11))
    assert reader.ended
    assert not server.sockets
    assert server.streams
    again = Reader(reader.run)  # known by now: no second wait for a socket
    bench.readers.append(again)
    await clock.pass_(1)
    assert again.ended


async def test_it_says_so_where_only_a_socket_was_asked_for(
    bench: Bench, server: FakeServer, clock: FakeClock
) -> None:
    server.refuses = [400] * 50
    reader = await bench.follow(watch="socket")
    await clock.pass_(5)
    assert isinstance(reader.fault, SocketBlocked)


async def test_it_goes_on_by_events_in_the_middle_of_a_run(
    bench: Bench, server: FakeServer, clock: FakeClock
) -> None:
    reader = await bench.follow()
    server.store("r1", *WHOLE[:4])
    await clock.settle()
    server.refuses = [400] * 50
    server.socket.drop()
    server.store("r1", *WHOLE[4:], tell=False)
    await clock.pass_(10)
    assert reader.seqs == list(range(1, 11))
    assert server.streams[0]["Last-Event-ID"] == "4"


@pytest.mark.parametrize("cut", [0, 1, 5, "ends", "silent", "gone"])
async def test_it_opens_the_events_again_after_the_last_seq(
    bench: Bench, server: FakeServer, clock: FakeClock, cut: int | str
) -> None:
    server.cut_stream_after = [cut, cut, cut]
    reader = await bench.follow(watch="sse")
    server.store("r1", *WHOLE)
    await clock.pass_(150)
    assert reader.seqs == list(range(1, 11))
    assert reader.ended
    assert len(server.streams) >= 2


async def test_it_finds_silent_events_within_thirty_five_seconds(
    bench: Bench, server: FakeServer, clock: FakeClock
) -> None:
    server.cut_stream_after = ["silent"]
    server.store("r1", *WHOLE)
    reader = await bench.follow(watch="sse")
    assert reader.seqs == [1]
    await clock.pass_(35)
    assert reader.ended


# --- what it says in the end ---


async def test_it_answers_with_everything(bench: Bench, server: FakeServer, clock: FakeClock) -> None:
    client = bench.client()
    run = await client.start(agent_id="a", input="hi")
    usage = {"input": 3, "output": 4, "cacheRead": 0, "cacheWrite": 0, "reasoning": 0, "total": 7}
    cost = {"input": "0.000000000001", "output": None, "total": None, "currency": "USD"}
    server.store("r1", *WHOLE[:-1], metadata("complete", tokenUsage=usage, cost=cost, stopReason="end"))
    answer = await asyncio.wait_for(run.answer(), 20)
    assert (answer.text, answer.status, answer.stop_reason, answer.message_id) == (
        WORDS,
        "complete",
        "end",
        "m",
    )
    assert answer.token_usage.total == 7
    assert str(answer.cost.input) == "1E-12"
    assert answer.cost.total is None
    assert await asyncio.wait_for(run.answer(), 20) == answer


async def test_it_raises_a_failed_run_with_its_partial(
    bench: Bench, server: FakeServer, clock: FakeClock
) -> None:
    client = bench.client()
    run = await client.start(agent_id="a", input="hi")
    broken = {"message": "Broken off.", "code": "stream_broken", "retryable": True}
    server.store(
        "r1", started(), text("half"), {"type": "error", "data": broken, "timestamp": 1}, metadata("failed")
    )
    with pytest.raises(RunFailed) as failed:
        await asyncio.wait_for(run.answer(), 20)
    assert (failed.value.code, failed.value.message, failed.value.retryable) == (
        "stream_broken",
        "Broken off.",
        True,
    )
    assert failed.value.answer.text == "half"


async def test_it_does_not_raise_a_stopped_run(bench: Bench, server: FakeServer, clock: FakeClock) -> None:
    client = bench.client()
    run = await client.start(agent_id="a", input="hi")
    server.store("r1", started(), text("half"), metadata("cancelled"))
    answer = await asyncio.wait_for(run.answer(), 20)
    assert (answer.status, answer.text) == ("cancelled", "half")


async def test_it_raises_what_it_may_not_see(bench: Bench, server: FakeServer, clock: FakeClock) -> None:
    server.live = False
    reader = await bench.follow()
    asked = server.socket.of("subscribe")[0]
    server.socket.say({"type": "error", "id": asked["id"], "code": "not_found", "message": "Not found."})
    await clock.settle()
    assert isinstance(reader.fault, NotFound)


async def test_it_ends_when_the_conversation_is_closed_to_it(
    bench: Bench, server: FakeServer, clock: FakeClock
) -> None:
    reader = await bench.follow()
    server.socket.say({"type": "unsubscribed", "conversationId": "k1"})
    await clock.settle()
    assert reader.fault is not None
    assert reader.fault.code == "forbidden"  # type: ignore[attr-defined]


async def test_it_watches_again_while_its_own_leaving_is_answered(
    bench: Bench, server: FakeServer, clock: FakeClock
) -> None:
    client = bench.client()
    first = await bench.follow(client=client)
    answer, server.socket.answers = server.socket.answers, lambda frame: None  # the server takes its time
    first.task.cancel()
    await clock.settle()
    left = server.socket.of("unsubscribe")[0]
    second = await bench.follow(client=client)
    server.socket.answers = answer
    server.socket.say({"type": "unsubscribed", "conversationId": "k1", "id": left["id"]})
    await clock.settle()
    assert second.fault is None
    server.socket.say({"type": "unsubscribed", "conversationId": "k1"})
    await clock.settle()
    assert second.fault is not None


# --- starting ---


@pytest.mark.parametrize("fault", ["lost", "not-sent", refused("x", 503), json_answer("down", 502)])
async def test_it_repeats_a_start_with_the_same_client_id(
    bench: Bench, server: FakeServer, clock: FakeClock, fault: object
) -> None:
    server.http = [fault, fault, fault]  # type: ignore[list-item]
    client = bench.client()
    starting = asyncio.create_task(client.start(agent_id="a", input="hi"))
    await clock.pass_(30)
    run = await starting
    assert run.run_id == "r1"
    bodies = [body for method, path, body in server.requests if path == "/api/invoke"]
    assert len(bodies) == 4
    assert len({body["clientId"] for body in bodies}) == 1
    assert bodies[0]["clientId"]
    assert all(body == bodies[0] for body in bodies)


async def test_it_gives_each_start_its_own_client_id(
    bench: Bench, server: FakeServer, clock: FakeClock
) -> None:
    client = bench.client()
    for _ in range(3):
        await client.start(agent_id="a", input="hi")
    await client.start(agent_id="a", input="hi", client_id="mine")
    ids = [body["clientId"] for _, path, body in server.requests if path == "/api/invoke"]
    assert len(set(ids)) == 4
    assert ids[3] == "mine"


async def test_it_sends_a_resume_with_an_id_and_follows_the_new_run(
    bench: Bench, server: FakeServer, clock: FakeClock
) -> None:
    client = bench.client()
    old = await client.start(agent_id="a", input="hi")
    server.http = ["lost"]
    resuming = asyncio.create_task(old.resume())
    await clock.pass_(5)
    new = await resuming
    assert new.run_id == "r2"
    ids = {body["clientId"] for _, path, body in server.requests if path.endswith("/resume")}
    assert len(ids) == 1
