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
from collections.abc import Sequence
from typing import Any, Protocol

from django.conf import settings

from .frames import Frame

log = logging.getLogger(__name__)

RESUBSCRIBE_SECONDS = 30.0
"""The layer does not tell of a Redis that came back; membership is renewed this often."""
FAULT_SECONDS = 1.0


class Member(Protocol):
    """Somebody in a room. `receive` must not block and must not raise."""

    def receive(self, room: str, frames: Sequence[Frame]) -> None: ...


class Hub:
    """Lives on one event loop; `publish` (see publish.py) is the door for everyone else."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.process = uuid.uuid4().hex
        self._rooms: dict[str, dict[Member, None]] = {}
        self._bridge = Bridge(self) if settings.NEXUS_REDIS_URL else None

    def join(self, room: str, member: Member) -> None:
        members = self._rooms.get(room)
        if members is None:
            members = self._rooms[room] = {}
            if self._bridge is not None:
                self._bridge.subscribe(room)
        members[member] = None

    def leave(self, room: str, member: Member) -> None:
        members = self._rooms.get(room)
        if members is None:
            return
        members.pop(member, None)
        if not members:
            del self._rooms[room]
            if self._bridge is not None:
                self._bridge.unsubscribe(room)

    def members(self, room: str) -> int:
        return len(self._rooms.get(room, ()))

    def rooms(self) -> list[str]:
        return list(self._rooms)

    def deliver(self, room: str, frames: Sequence[Frame]) -> None:
        """To the local members only; on the hub's loop."""
        members = self._rooms.get(room)
        if not members:
            return
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


class Bridge:
    """One channel of this process on the channel layer, in a group per room."""

    def __init__(self, hub: Hub) -> None:
        from channels.layers import get_channel_layer

        self._hub = hub
        self._layer: Any = get_channel_layer()
        self._wanted: set[str] = set()
        self._joined: set[str] = set()
        self._changed = asyncio.Event()
        self._outgoing: asyncio.Queue[tuple[str, dict[str, Any]]] = asyncio.Queue(maxsize=10_000)
        self._channel: str | None = None
        self._tasks = [
            asyncio.create_task(self._keep_groups(), name="hub-groups"),
            asyncio.create_task(self._receive(), name="hub-receive"),
            asyncio.create_task(self._send(), name="hub-send"),
        ]

    def subscribe(self, room: str) -> None:
        self._wanted.add(room)
        self._changed.set()

    def unsubscribe(self, room: str) -> None:
        self._wanted.discard(room)
        self._changed.set()

    def send(self, room: str, frames: Sequence[Frame]) -> None:
        message = {
            "type": "hub",
            "from": self._hub.process,
            "room": room,
            "frames": [(f.text, f.type, f.run_id, f.seq) for f in frames],
        }
        try:
            self._outgoing.put_nowait((room, message))
        except asyncio.QueueFull:
            log.warning("hub: too much waits for Redis; a doorbell was dropped")

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _name(self) -> str:
        if self._channel is None:
            self._channel = await self._layer.new_channel()
        return self._channel

    async def _keep_groups(self) -> None:
        while True:
            try:
                channel = await self._name()
                for room in list(self._wanted - self._joined):
                    await self._layer.group_add(room, channel)
                    self._joined.add(room)
                for room in list(self._joined - self._wanted):
                    await self._layer.group_discard(room, channel)
                    self._joined.discard(room)
                self._changed.clear()
                if self._wanted != self._joined:
                    continue
                try:
                    async with asyncio.timeout(RESUBSCRIBE_SECONDS):
                        await self._changed.wait()
                except TimeoutError:
                    self._joined.clear()
            except asyncio.CancelledError:
                raise
            except Exception as fault:
                log.warning("hub: subscribing failed (%s), trying again", type(fault).__name__)
                self._joined.clear()
                await asyncio.sleep(FAULT_SECONDS)

    async def _receive(self) -> None:
        while True:
            try:
                message = await self._layer.receive(await self._name())
                if message.get("from") == self._hub.process:
                    continue
                self._hub.deliver(message["room"], [Frame(*frame) for frame in message["frames"]])
            except asyncio.CancelledError:
                raise
            except Exception as fault:
                log.warning("hub: receiving failed (%s), trying again", type(fault).__name__)
                await asyncio.sleep(FAULT_SECONDS)

    async def _send(self) -> None:
        while True:
            room, message = await self._outgoing.get()
            try:
                await self._layer.group_send(room, message)
            except asyncio.CancelledError:
                raise
            except Exception as fault:
                log.warning("hub: sending failed (%s); watchers read the log", type(fault).__name__)


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
