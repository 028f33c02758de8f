"""The hub: the rooms of this process, and with Redis the way between processes.

A room holds its local members; delivering is a loop over them, without a task, a
thread or a channel-layer message per member. Between processes there is one
subscription per process and room, and one message per call and room. Nothing here
is durable: the log in the database is the truth, this is the doorbell.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid
from collections.abc import Callable, Sequence
from typing import Protocol

from django.conf import settings

from .bridge import Bridge
from .frames import Frame, bundled

log = logging.getLogger(__name__)


class Member(Protocol):
    """Somebody in a room. `receive` must not block and must not raise."""

    def receive(self, room: str, frames: Sequence[Frame]) -> None: ...


class Hub:
    """Lives on one event loop; `publish` (see publish.py) is the door for everyone else."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.process = uuid.uuid4().hex
        self._rooms: dict[str, dict[Member, float]] = {}
        """Per room its members and when they joined, in the loop's seconds."""
        self._on_missed: list[Callable[[], None]] = []
        url = settings.NEXUS_REDIS_URL
        self._bridge = Bridge(url, self.process, self.deliver, self._missed) if url else None

    def join(self, room: str, member: Member) -> None:
        members = self._rooms.get(room)
        if members is None:
            members = self._rooms[room] = {}
            if self._bridge is not None:
                self._bridge.subscribe(room)
        members.setdefault(member, self.loop.time())

    def leave(self, room: str, member: Member) -> None:
        members = self._rooms.get(room)
        if members is None:
            return
        members.pop(member, None)
        if not members:
            del self._rooms[room]
            if self._bridge is not None:
                self._bridge.unsubscribe(room)

    async def ready(self, room: str) -> bool:
        """After `join`: waits (a second at most) until other processes' frames arrive too. Read the log after it.
        False where they do not yet."""
        if self._bridge is not None and room in self._rooms:
            return await self._bridge.ready(room)
        return True

    def members(self, room: str) -> int:
        return len(self._rooms.get(room, ()))

    def in_room(self, room: str) -> list[tuple[Member, float]]:
        """Its members and when they joined, in the loop's seconds."""
        return list(self._rooms.get(room, {}).items())

    def rooms(self) -> list[str]:
        return list(self._rooms)

    def on_missed(self, fn: Callable[[], None]) -> None:
        """Registers what to do when frames of other processes may have been missed."""
        self._on_missed.append(fn)

    def _missed(self) -> None:
        for fn in self._on_missed:
            fn()

    def deliver(self, room: str, frames: Sequence[Frame]) -> None:
        """To the local members only; on the hub's loop."""
        members = self._rooms.get(room)
        if not members:
            return
        frames = bundled(frames)
        for member in list(members):
            try:
                member.receive(room, frames)
            except Exception:
                log.exception("a member of %s failed", room)

    def publish(self, room: str, frames: Sequence[Frame]) -> None:
        """To everyone in the room, here and in other processes; on the hub's loop."""
        self.deliver(room, frames)
        if self._bridge is not None:
            self._bridge.send(room, frames)

    async def close(self) -> None:
        if self._bridge is not None:
            await self._bridge.close()
        self._rooms.clear()


_hub: Hub | None = None


def hub() -> Hub:
    """The hub of this process; made on first use, on the running loop (a new loop gets a new one)."""
    global _hub
    loop = asyncio.get_running_loop()
    if _hub is None or _hub.loop is not loop:
        _hub = Hub()
    return _hub


def existing_hub() -> Hub | None:
    """The hub if one was made and its loop still runs; callable from any thread."""
    if _hub is None or _hub.loop.is_closed():
        return None
    return _hub


async def close_hub() -> None:
    global _hub
    if _hub is not None and _hub.loop is asyncio.get_running_loop():
        with contextlib.suppress(Exception):
            await _hub.close()
        _hub = None
