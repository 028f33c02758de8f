"""The lookout: sockets that missed a doorbell find out from the log, within seconds.

Every few seconds a process asks once how far the runs of all conversations that are
watched here have come. A socket that stands still behind its run reads the log on;
also one that never heard of the run, unless it came after the run had ended.
After Redis was away everybody looks at once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

from .gate import RunGates
from .hub import hub
from .rooms import conversation_of_room, conversation_room

log = logging.getLogger(__name__)

EVERY_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class RunState:
    """How far a run's log has come. An `ended` run is only of interest to who was there before it ended, and one
    that was `superseded` too only to who saw some of it."""

    conversation_id: UUID
    run_id: str
    last_seq: int
    ended: bool
    superseded: bool


RunLister = Callable[[Sequence[UUID]], Awaitable[list[RunState]]]
_lister: RunLister | None = None


def register_run_lister(lister: RunLister) -> None:
    """`await lister(conversation_ids)`: their runs that go on, and those that ended in the last minute."""
    global _lister
    _lister = lister


class Lookout:
    """One per process and loop; runs while a conversation is watched."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self._now = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._looked_at, self._listed = float("-inf"), frozenset[str]()
        """When the last look was, in the loop's seconds, and the runs that there were."""
        hub().on_missed(self._now.set)

    def needed(self) -> None:
        """A socket joined a conversation."""
        if self._task is None or self._task.done():
            self._task = self.loop.create_task(self._run(), name="lookout")

    async def _run(self) -> None:
        while True:
            try:
                async with asyncio.timeout(EVERY_SECONDS):
                    await self._now.wait()
            except TimeoutError:
                pass
            missed = self._now.is_set()
            self._now.clear()
            if not await self.look(missed=missed):
                return

    async def look(self, *, missed: bool = False) -> bool:
        """One look; False where nobody watches anything.

        `missed`: frames of other processes may have been lost; nobody waits for a second look.
        """
        watched = [found for room in hub().rooms() if (found := conversation_of_room(room)) is not None]
        if _lister is None or not watched:
            return bool(watched)
        began = self.loop.time()
        try:
            states = await _lister(watched)
        except asyncio.CancelledError:
            raise
        except Exception as fault:  # the database is away: the next look finds what this one did not
            log.warning("lookout: %s", type(fault).__name__)
            return True
        for state in states:
            self._tell(state, missed=missed)
        self._looked_at, self._listed = began, frozenset(state.run_id for state in states)
        return True

    def _tell(self, state: RunState, *, missed: bool) -> None:
        """Who was there at the last look, when there was no such run yet, has to see all of it."""
        new = state.run_id not in self._listed
        for member, joined in hub().in_room(conversation_room(state.conversation_id)):
            gates: RunGates | None = getattr(member, "gates", None)
            if gates is None:
                continue
            if not state.ended or (new and not state.superseded and joined <= self._looked_at):
                gates.expect(state.run_id)
            if gates.follows(state.run_id):
                gates.look(state.run_id, state.last_seq, at_once=missed)

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)


_lookout: Lookout | None = None


def lookout() -> Lookout:
    """The lookout of this process and loop."""
    global _lookout
    if _lookout is None or _lookout.loop is not asyncio.get_running_loop():
        _lookout = Lookout()
    return _lookout


async def close_lookout() -> None:
    global _lookout
    if _lookout is not None and _lookout.loop is asyncio.get_running_loop():
        await _lookout.close()
        _lookout = None
