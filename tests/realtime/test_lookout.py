"""The looks into the log: what a socket in a room has to see though nothing of it arrived."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from realtime import gate, lookout
from realtime.frames import Frame
from realtime.gate import RunGates
from realtime.hub import close_hub, hub
from realtime.lookout import Lookout, RunState
from realtime.rooms import conversation_room

HERE = uuid4()


class Watcher:
    """A socket in the conversation's room. `seen` has the runs that it read in the log."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.gates = RunGates(lambda frame: self.seen.append(str(frame.run_id)))
        hub().join(conversation_room(HERE), self)

    def receive(self, room: str, frames: object) -> None:
        raise AssertionError("every hint is lost")


class Log:
    """The runs there are, each with a chunk; `await look()` twice, since once is not enough for who is behind."""

    def __init__(self) -> None:
        self.runs: list[RunState] = []
        self._lookout = Lookout()

    def has(self, run_id: str, *, ended: bool, superseded: bool = False) -> None:
        self.runs = [run for run in self.runs if run.run_id != run_id]
        self.runs.append(RunState(HERE, run_id, 1, ended, superseded))

    async def look(self, *watchers: Watcher, times: int = 2) -> None:
        for _ in range(times):
            await self._lookout.look()
        for watcher in watchers:
            for task in list(watcher.gates._tasks.values()):
                await task


@pytest.fixture
async def log(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Log]:
    made = Log()

    async def runs(conversation_ids: object) -> list[RunState]:
        assert conversation_ids == [HERE]
        return made.runs

    async def chunks(run_id: str, after: int, limit: int) -> list[Frame]:
        return [Frame('{"seq":1}', "chunk", run_id, 1)] if after < 1 else []

    monkeypatch.setattr(lookout, "_lister", runs)
    monkeypatch.setattr(gate, "_reader", chunks)
    yield made
    await close_hub()


async def test_a_run_that_goes_on_is_read_by_who_never_heard_of_it(log: Log) -> None:
    watcher = Watcher()
    log.has("r", ended=False)
    await log.look(watcher)
    assert watcher.seen == ["r"]
    log.has("r", ended=True)
    await log.look(watcher, times=3)
    assert watcher.seen == ["r"]


async def test_one_that_ended_after_the_first_look_that_found_it_too(log: Log) -> None:
    watcher = Watcher()
    log.has("r", ended=False)
    await log.look(watcher, times=1)
    log.has("r", ended=True)
    await log.look(watcher, times=1)
    assert watcher.seen == ["r"]


async def test_one_that_came_and_went_between_two_looks_is_read_by_who_was_there(log: Log) -> None:
    watcher = Watcher()
    await log.look(watcher, times=1)
    log.has("r", ended=True)
    later = Watcher()
    await log.look(watcher, later, times=3)
    assert watcher.seen == ["r"]
    assert later.seen == [], "it read the conversation after the run"


async def test_one_that_was_there_before_the_first_look_is_not(log: Log) -> None:
    log.has("r", ended=True)
    watcher = Watcher()
    await log.look(watcher, times=3)
    assert watcher.seen == []


async def test_one_that_was_taken_back_is_not(log: Log) -> None:
    watcher = Watcher()
    await log.look(watcher, times=1)
    log.has("r", ended=True, superseded=True)
    await log.look(watcher, times=3)
    assert watcher.seen == []
