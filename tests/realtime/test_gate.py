"""The sequence gate: in order, once, without a hole, whatever the doorbells do."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator

import pytest

from realtime import gate
from realtime.frames import Frame
from realtime.gate import RunGates


def chunk(seq: int, run_id: str = "r") -> Frame:
    return Frame(f'{{"seq":{seq}}}', "chunk", run_id, seq)


class Log:
    """A run's log: what is committed; a reader that can be slow or fail."""

    def __init__(self) -> None:
        self.committed = 0
        self.reads: list[int] = []
        self.faults = 0
        self.may_read = asyncio.Event()
        self.may_read.set()

    async def read(self, run_id: str, after: int, limit: int) -> list[Frame]:
        self.reads.append(after)
        await self.may_read.wait()
        await asyncio.sleep(0)
        if self.faults:
            self.faults -= 1
            raise OSError("away")
        return [chunk(n, run_id) for n in range(after + 1, self.committed + 1)][:limit]


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Log:
    made = Log()
    monkeypatch.setattr(gate, "_reader", made.read)
    monkeypatch.setattr(gate, "FAULT_SECONDS", 0.001)
    return made


class Sent(list[int]):
    async def reaches(self, seq: int) -> None:
        async with asyncio.timeout(20):
            while not self or self[-1] < seq:
                await asyncio.sleep(0)


@pytest.fixture
async def sent() -> Sent:
    return Sent()


@pytest.fixture
async def gates(log: Log, sent: Sent) -> AsyncIterator[RunGates]:
    made = RunGates(lambda frame: sent.append(frame.seq or 0))
    yield made
    made.close()


async def test_it_passes_what_follows_and_drops_what_was(gates: RunGates, sent: Sent, log: Log) -> None:
    for seq in (1, 2, 2, 1, 3, 3, 4):
        gates.pass_on(chunk(seq))
    assert sent == [1, 2, 3, 4]
    assert log.reads == []


async def test_it_reads_the_log_at_a_gap(gates: RunGates, sent: Sent, log: Log) -> None:
    log.committed = 6
    for seq in (1, 2, 5, 6, 4, 7):
        log.committed = max(log.committed, seq)
        gates.pass_on(chunk(seq))
    await sent.reaches(7)
    assert sent == [1, 2, 3, 4, 5, 6, 7]


async def test_it_holds_what_comes_while_it_reads(gates: RunGates, sent: Sent, log: Log) -> None:
    log.committed = 3
    log.may_read.clear()
    gates.follow("r", 0)
    for seq in (4, 5, 6):
        gates.pass_on(chunk(seq))
    assert sent == []
    log.may_read.set()
    await sent.reaches(6)
    assert sent == [1, 2, 3, 4, 5, 6]


async def test_it_goes_on_after_the_seq_a_client_has(gates: RunGates, sent: Sent, log: Log) -> None:
    log.committed = 9
    gates.follow("r", 7)
    await sent.reaches(9)
    gates.pass_on(chunk(10))
    assert sent == [8, 9, 10]


async def test_it_reads_a_long_log_page_by_page(
    gates: RunGates, sent: Sent, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "PAGE", 10)
    log.committed = 35
    gates.follow("r", 0)
    await sent.reaches(35)
    assert sent == list(range(1, 36))
    assert log.reads == [0, 10, 20, 30]


async def test_it_waits_for_a_database_that_is_away(gates: RunGates, sent: Sent, log: Log) -> None:
    log.committed, log.faults = 4, 3
    gates.follow("r", 0)
    gates.pass_on(chunk(5))
    log.committed = 5
    await sent.reaches(5)
    assert sent == [1, 2, 3, 4, 5]


async def test_it_keeps_runs_apart(gates: RunGates, sent: Sent, log: Log) -> None:
    gates.pass_on(chunk(1, "a"))
    gates.pass_on(chunk(1, "b"))
    gates.pass_on(chunk(2, "a"))
    assert sent == [1, 1, 2]


async def test_it_reads_on_when_it_stands_still_behind_the_log(gates: RunGates, sent: Sent, log: Log) -> None:
    """Every doorbell was lost: two looks in a row find it, one does not."""
    gates.pass_on(chunk(1))
    log.committed = 4
    gates.look("r", 4)
    await asyncio.sleep(0)
    assert sent == [1]
    gates.look("r", 4)
    await sent.reaches(4)
    assert sent == [1, 2, 3, 4]


async def test_it_does_not_read_the_log_of_a_stream_that_moves(gates: RunGates, sent: Sent, log: Log) -> None:
    for seq in range(1, 20):
        gates.pass_on(chunk(seq))
        gates.look("r", seq + 3)
    assert log.reads == []
    gates.look("r", 30, at_once=True)
    assert log.reads == [] or log.reads == [19]


@pytest.mark.parametrize("seed", range(20))
async def test_it_gives_the_same_whatever_is_lost_doubled_or_late(
    gates: RunGates, sent: Sent, log: Log, seed: int
) -> None:
    dice = random.Random(seed)
    doorbells: list[int] = []
    for seq in range(1, 120):
        log.committed = seq
        doorbells += [seq] * dice.choice((0, 0, 1, 1, 1, 2))
        while doorbells and dice.random() < 0.6:
            gates.pass_on(chunk(doorbells.pop(dice.randrange(len(doorbells)))))
        if dice.random() < 0.2:
            await asyncio.sleep(0)
        if dice.random() < 0.03:
            log.faults += 1
    log.committed = 120
    gates.look("r", 120)
    while sent[-1:] != [120]:
        gates.look("r", 120, at_once=True)
        await asyncio.sleep(0.001)
    assert sent == list(range(1, 121))


async def test_it_forgets_runs_that_are_long_over_but_none_that_goes_on(
    gates: RunGates, sent: Sent, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "MOST_GATES", 10)
    for n in range(1, 200):
        gates.pass_on(chunk(n, "long"))
        gates.pass_on(chunk(1, f"short-{n}"))
    gates.pass_on(chunk(200, "long"))
    assert [seq for seq in sent if seq > 1] == list(range(2, 201))
    assert log.reads == []
    assert gates.follows("short-199")
    assert not gates.follows("short-1")
    assert len(gates._last) <= 10
