"""Read after N, then follow: the one way to watch a run, for socket, SSE and HTTP alike.

Join the room, read the log after seq N, then take what the room brings; at any gap
read the log again. The log is asked every few seconds anyway, so that a lost
doorbell costs seconds and never the stream. While the database is away a reader waits.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from typing import ParamSpec, TypeVar
from uuid import UUID

import orjson
from django.db import InterfaceError, OperationalError

from realtime.frames import Frame
from realtime.hub import hub
from realtime.instruments import FOUND_BY_LOOK
from realtime.rooms import conversation_room

from .database import in_database
from .engine.writer import Row, frame_of
from .log import ROWS, pieces_after, read_log, read_rows
from .models import Run

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

LOOK_SECONDS = 3.0
FAULT_SECONDS = 0.5
TERMINAL_STATUSES = ("complete", "cancelled", "failed")


def is_terminal(kind: str, wire: str) -> bool:
    if kind != "metadata":
        return False
    return bool(orjson.loads(wire)["data"].get("status") in TERMINAL_STATUSES)


class _Bell:
    """A hub member that only remembers that something happened."""

    def __init__(self, run_id: str) -> None:
        self.rung = asyncio.Event()
        self._run_id = run_id

    def receive(self, room: str, frames: Sequence[Frame]) -> None:
        if any(frame.run_id == self._run_id for frame in frames):
            self.rung.set()


async def follow(run_id: UUID, after: int = 0) -> AsyncIterator[tuple[int, str]]:
    """`(seq, chunk JSON text)` of every chunk after `after`, live until the terminal one.

    A run that does not exist gives nothing. Rights are the caller's business.
    """
    conversation_id = await _patiently(_conversation_of, run_id)
    if conversation_id is None:
        return
    bell = _Bell(str(run_id))
    room, here = conversation_room(conversation_id), hub()
    here.join(room, bell)
    silent = False
    try:
        while True:
            bell.rung.clear()
            rows = await _patiently(read_rows, run_id, after)
            if rows and silent and not bell.rung.is_set():
                FOUND_BY_LOOK.inc()
            silent = False
            for seq, kind, wire in pieces_after(rows, after):
                after = seq
                yield seq, wire
                if is_terminal(kind, wire):
                    return
            if len(rows) == ROWS:
                continue
            if not rows and await _patiently(_over, run_id, after):
                return
            try:
                async with asyncio.timeout(LOOK_SECONDS):
                    await bell.rung.wait()
            except TimeoutError:
                silent = True
    finally:
        # Not `hub()`: whoever left is heard of late, and would make a new one at shutdown.
        here.leave(room, bell)


async def _patiently(read: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """A reader that has begun to answer cannot say that the database is away: it asks until it is back."""
    while True:
        try:
            return await in_database(read, *args, **kwargs)
        except (OperationalError, InterfaceError) as fault:
            log.warning("following a run: the database is away (%s), trying again", type(fault).__name__)
            await asyncio.sleep(FAULT_SECONDS)


async def read_frames(run_id: str, after: int, limit: int) -> list[Frame]:
    """The log as socket frames: what a socket's sequence gate asks for at a gap."""
    return await in_database(_read_frames, UUID(run_id), after, limit)


def _read_frames(run_id: UUID, after: int, limit: int) -> list[Frame]:
    conversation_id = _conversation_of(run_id)
    rows = read_log(run_id, after, limit)
    return [frame_of(str(run_id), str(conversation_id), Row(seq, kind, wire)) for seq, kind, wire in rows]


def _conversation_of(run_id: UUID) -> UUID | None:
    return Run.objects.filter(pk=run_id).values_list("conversation_id", flat=True).first()


def _over(run_id: UUID, after: int) -> bool:
    """The run has ended and its last chunk was already given (a reader that asked beyond the end)."""
    run = Run.objects.filter(pk=run_id).only("status", "last_seq").first()
    return run is None or (run.finished and after >= run.last_seq)
