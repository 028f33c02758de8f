"""The benchmark measures what it says: its reference part, and that it sees what goes wrong."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from benchmarks import peers
from benchmarks.marks import Faults, Piece, mark, now_us, read
from benchmarks.provider import Order, order_of
from benchmarks.scenarios import Round, Streams, provider_log

CORES = set(os.sched_getaffinity(0))


@pytest.fixture
def provider_url(tmp_path: Path) -> Iterator[str]:
    with peers.provider(tmp_path, CORES) as url:
        yield url


@pytest.fixture
def relay(tmp_path: Path, provider_url: str) -> Iterator[peers.RelayPeer]:
    with peers.relay(tmp_path, CORES, provider_url) as peer:
        yield peer


@contextlib.asynccontextmanager
async def opened(relay: peers.RelayPeer, count: int) -> AsyncIterator[list[peers.Line]]:
    lines: list[peers.Line] = [await relay.line(n) for n in range(count)]
    yield lines
    for line in lines:
        await line.socket.close()


def test_it_measures_the_bare_relay(relay: peers.RelayPeer, provider_url: str) -> None:
    async def measure() -> Round:
        async with opened(relay, 5) as lines:
            one = Round(relay, lines, provider_url, Streams())
            await one.first_token(2)
            await one.full_speed(1, 300)
            await one.full_speed(5, 100)
            await one.paced(5, 25)
            return one

    figures = asyncio.run(measure()).figures
    assert figures.faults == Faults()
    assert figures.values["full_1_per_s"] > 0
    assert figures.values["cpu_5_s"] > 0
    assert 0 < figures.values["ttft_p50_ms"] < 30_000
    assert figures.values["late_5_p99_ms"] >= figures.values["late_5_p50_ms"] > 0
    assert figures.values["wall_5"] > 0.8
    assert figures.values["generator_5"] > 0


def test_it_shows_a_stream_to_every_viewer_until_they_leave(
    relay: peers.RelayPeer, provider_url: str
) -> None:
    async def measure() -> tuple[Round, int]:
        async with opened(relay, 3) as lines:
            one = Round(relay, lines, provider_url, Streams())
            for line in lines[1:]:
                await line.watch(lines[0])
            await one.watched([lines])
            await lines[2].leave()
            lines[2].clear()
            await one.watched([lines[:2]])
            return one, len(lines[2].pieces())

    one, unseen = asyncio.run(measure())
    assert one.figures.faults == Faults()
    assert one.figures.values["cpu_watched_1x3_us"] > 0
    assert one.figures.values["late_watched_1x2_p99_ms"] > 0
    assert unseen == 0


def test_it_knows_what_the_provider_did(relay: peers.RelayPeer, provider_url: str) -> None:
    async def measure() -> dict[str, int]:
        async with opened(relay, 1) as [line]:
            await line.ask(Order(42, 250))
            await line.ended(90)
            return await provider_log(provider_url, 42)

    before = now_us()
    log = asyncio.run(measure())
    assert before < log["arrived_us"] <= log["first_us"] < now_us()
    assert (log["sent"], log["requests"]) == (250, 1)


def test_it_passes_the_order_through_any_text() -> None:
    order = Order(7, 5000, 20_000, 30_000, 2)
    assert order_of(f"Please: {order.text()}.") == order
    assert order_of("bench nothing") is None


@pytest.mark.parametrize(
    ("numbers", "faults"),
    [
        ([0, 1, 2, 3], Faults()),
        ([0, 1, 3], Faults(lost=1)),
        ([0, 1, 1, 2, 3], Faults(doubled=1)),
        ([0, 2, 1, 3], Faults(disordered=1)),
        ([0, 1, 2, 3, 4], Faults(foreign=1)),
        ([], Faults(lost=4)),
    ],
)
def test_it_sees_what_is_wrong_with_a_text(numbers: list[int], faults: Faults) -> None:
    pieces = [Piece(mark(9, n, now_us()), now_us()) for n in numbers]
    assert read(9, 4, pieces).faults == faults


def test_it_reads_marks_that_were_joined_and_cut() -> None:
    sent = now_us()
    text = "".join(mark(9, n, sent) for n in range(4))
    reading = read(9, 4, [Piece(text[:20], sent + 5), Piece(text[20:], sent + 9)])
    assert reading.faults == Faults()
    assert reading.delays_us == [5, 9, 9, 9]


def test_it_takes_text_of_another_stream_for_foreign() -> None:
    pieces = [Piece(mark(8, 0, 0), 0), Piece(mark(9, 0, 0), 0)]
    assert read(9, 1, pieces).faults == Faults(foreign=1)


def test_it_ends_what_it_started(tmp_path: Path) -> None:
    with peers.provider(tmp_path, CORES) as url, peers.relay(tmp_path, CORES, url) as peer:
        pid = peer.process.pid
        assert Path(f"/proc/{pid}").exists()
    assert not peer.process.alive()
    assert subprocess.run(["kill", "-0", str(pid)], capture_output=True, check=False).returncode != 0


def test_it_gives_lines_that_open_together_rooms_of_their_own(
    relay: peers.RelayPeer, provider_url: str
) -> None:
    async def measure() -> Round:
        lines = await asyncio.gather(*(relay.line(n) for n in range(4)))
        one = Round(relay, lines, provider_url, Streams())
        await one.full_speed(4, 50)
        for line in lines:
            await line.socket.close()
        return one

    assert asyncio.run(measure()).figures.faults == Faults()
