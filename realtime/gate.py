"""The sequence gates of one socket: each run's chunks go out in order, once, without a hole.

A frame passes when its seq follows the last one. An older one is dropped. At a gap
the log is read from the last one on; what arrives meanwhile waits its turn.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from .frames import Frame
from .instruments import FOUND_BY_LOOK, FOUND_BY_NEXT

log = logging.getLogger(__name__)

LogReader = Callable[[str, int, int], Awaitable[list[Frame]]]
PAGE = 500
MOST_GATES = 500
"""A socket that stays for days sees thousands of runs; more than this at once it does not follow."""
FAULT_SECONDS = 0.5
_reader: LogReader | None = None


def register_log_reader(reader: LogReader) -> None:
    """`await reader(run_id, after, limit)` gives the stored chunk frames with seq > after, in order."""
    global _reader
    _reader = reader


class RunGates:
    """Per run the last seq sent, or the frames that wait while the log is read."""

    def __init__(self, send: Callable[[Frame], None]) -> None:
        self._send = send
        self._last: dict[str, int] = {}
        self._waiting: dict[str, list[Frame]] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._behind: dict[str, int] = {}

    def pass_on(self, frame: Frame) -> None:
        run_id, seq = frame.run_id, frame.seq
        assert run_id is not None
        assert seq is not None
        waiting = self._waiting.get(run_id)
        if waiting is not None:
            waiting.append(frame)
            return
        last = self._last.get(run_id, 0)
        if seq == last + 1:
            self._note(run_id, seq)
            self._send(frame)
        elif seq > last:
            FOUND_BY_NEXT.inc()
            self._read(run_id, last, [frame])

    def follow(self, run_id: str, after: int) -> None:
        """Sends what the log has after that seq, then goes on live. Again for a run: from there again."""
        old = self._tasks.pop(run_id, None)
        if old is not None:
            old.cancel()
        self._read(run_id, after, self._waiting.pop(run_id, []))

    def expect(self, run_id: str) -> None:
        """A run of which all is to be seen: where no frame of it comes, the next looks find it, also when it has ended
        by then."""
        if run_id not in self._last:
            self._note(run_id, 0)

    def follows(self, run_id: str) -> bool:
        return run_id in self._last

    def look(self, run_id: str, last_seq: int, *, at_once: bool = False) -> None:
        """The log of that run stands at `last_seq`. A socket that is behind, and was at the look before, reads on.

        One look is not enough: what was just committed may still be on its way here.
        """
        last = self._last.get(run_id, 0)
        if run_id in self._waiting or last >= last_seq:
            self._behind.pop(run_id, None)
        elif at_once or self._behind.get(run_id) == last:
            self._behind.pop(run_id, None)
            FOUND_BY_LOOK.inc()
            self._read(run_id, last, [])
        else:
            self._behind[run_id] = last

    def close(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        self._tasks.clear()

    def _read(self, run_id: str, after: int, waiting: list[Frame]) -> None:
        self._waiting[run_id] = waiting
        self._note(run_id, after)
        task = asyncio.create_task(self._catch_up(run_id, after), name="socket-catch-up")
        self._tasks[run_id] = task

    def _note(self, run_id: str, seq: int) -> None:
        """The run stands there. Of too many, that one is forgotten of which nothing came for the longest time."""
        self._last.pop(run_id, None)
        self._last[run_id] = seq
        if len(self._last) > MOST_GATES:
            quiet = next((known for known in self._last if known not in self._waiting), run_id)
            self._last.pop(quiet)
            self._behind.pop(quiet, None)

    async def _catch_up(self, run_id: str, last: int) -> None:
        assert _reader is not None, "no log reader is registered"
        while True:
            try:
                frames = await _reader(run_id, last, PAGE)
            except asyncio.CancelledError:
                raise
            except Exception as fault:  # the database is away: the stream waits, nothing is lost
                log.warning("reading the log failed (%s), trying again", type(fault).__name__)
                await asyncio.sleep(FAULT_SECONDS)
                continue
            for frame in frames:
                self._send(frame)
                last = frame.seq or last
            self._last[run_id] = last
            if len(frames) == PAGE:
                continue
            gap = False
            for frame in sorted(self._waiting[run_id], key=lambda f: f.seq or 0):
                seq = frame.seq or 0
                if seq <= last:
                    continue
                if seq != last + 1:
                    gap = True
                    break
                self._send(frame)
                last = seq
            self._last[run_id] = last
            if gap and frames:
                continue
            self._tasks.pop(run_id, None)
            rest = [f for f in self._waiting.pop(run_id) if (f.seq or 0) > last]
            if rest and not frames:
                # Told of a chunk that the log does not show yet: a replica or clock of another
                # connection. The next doorbell or the next look finds it.
                log.info("run %s: seq %s announced, %s stored", run_id, rest[0].seq, last)
            return
