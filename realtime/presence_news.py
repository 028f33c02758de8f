"""The news of presence: when and to whom `presence.changed` goes, and who is recorded as joined or left.

One `News` per process, on the hub's loop. It follows the workspaces that have sockets
here; with Redis it also writes the process's lease and reads those of the others.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Sequence
from datetime import timedelta
from hashlib import blake2b
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.conf import settings
from django.utils import timezone

from workspaces.access import Actor
from workspaces.database import in_database

from . import visibility
from .activity import activity_record
from .frames import Frame, make_frame
from .hub import hub
from .models import Activity
from .presence_board import Board, Entry, merged
from .presence_lease import RENEW_SECONDS, Lease
from .publish import publish
from .rooms import presence_room
from .waiting import CHANGED, waiting_agents

if TYPE_CHECKING:
    from .consumer import NexusConsumer

log = logging.getLogger(__name__)

TELL_SECONDS = 1.0
CURSOR_SECONDS = 0.1
BREAK_SECONDS = 3.0
"""After a break of Redis all processes have found it again, and said who is with them."""
LEAVE_SECONDS = 20.0
"""A reload is no farewell: a person is recorded as gone this long after their last socket ended."""
REJOIN = timedelta(minutes=10)
"""After a restart everybody comes back: no second "joined" this soon after one without a "left"."""

_board = Board()


def board() -> Board:
    return _board


class News:
    """Tells sockets of this process who is here. All methods on the loop."""

    _following: set[UUID] = set()
    """Workspaces with sockets in this process, readable from any thread."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self._sockets: dict[UUID, dict[str, NexusConsumer]] = {}
        self._told_at: dict[UUID, float] = {}
        self._told: dict[UUID, dict[str, bytes]] = {}
        # Per socket a digest of the list it has: the lists of sockets that came one by one are all their own text.
        self._timers: dict[UUID, asyncio.TimerHandle] = {}
        self._leaving: dict[tuple[UUID, str], asyncio.TimerHandle] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._lease = Lease(hub().process) if settings.NEXUS_REDIS_URL else None
        self._renewing: asyncio.Task[None] | None = None
        self._locks: dict[UUID, asyncio.Lock] = {}
        self._waiting: dict[UUID, Sequence[Entry]] = {}
        """Agents that wait for people, by workspace; not there: to be read."""
        if self._lease is not None:
            hub().on_missed(lambda: self._soon(self._after_break()))

    @classmethod
    def follows(cls, workspace_id: UUID) -> bool:
        return workspace_id in cls._following

    # --- sockets ---

    def arrived(self, socket: NexusConsumer, entry: Entry) -> None:
        workspace_id = entry.workspace_id
        known = _board.has(workspace_id, entry.user_id)
        here = self._sockets.setdefault(workspace_id, {})
        if not here:
            self._following.add(workspace_id)
            hub().join(presence_room(workspace_id), self)
            if self._lease is not None:
                self._soon(self._look(workspace_id))
        here[socket.connection_id] = socket
        changed = _board.put(socket.connection_id, entry)
        leaving = self._leaving.pop((workspace_id, entry.user_id), None)
        if leaving is not None:
            leaving.cancel()
        elif not known:
            self._soon(self._record_joined(workspace_id, UUID(entry.user_id)))
        self._soon(self._tell([socket], workspace_id, only_changes=False))
        if changed:
            self.mark(workspace_id)

    def left(self, socket: NexusConsumer) -> None:
        workspace_id, user_id = socket.actor.workspace_id, str(socket.actor.user_id)
        here = self._sockets.get(workspace_id, {})
        if here.pop(socket.connection_id, None) is None:
            return
        self._told.get(workspace_id, {}).pop(socket.connection_id, None)
        _board.drop(workspace_id, socket.connection_id)
        if not _board.has(workspace_id, user_id) and (workspace_id, user_id) not in self._leaving:
            self._leaving[workspace_id, user_id] = self.loop.call_later(
                LEAVE_SECONDS, self._gone, workspace_id, user_id
            )
        self.mark(workspace_id)
        if not here:
            self._sockets.pop(workspace_id, None)
            self._told.pop(workspace_id, None)
            self._following.discard(workspace_id)
            self._waiting.pop(workspace_id, None)
            hub().leave(presence_room(workspace_id), self)

    def _gone(self, workspace_id: UUID, user_id: str) -> None:
        self._leaving.pop((workspace_id, user_id), None)
        if not _board.has(workspace_id, user_id):
            self._soon(self._record_left(workspace_id, UUID(user_id)))

    # --- telling ---

    def mark(self, workspace_id: UUID) -> None:
        """Something changed: everyone hears within a second, and at most once a second."""
        if workspace_id in self._timers:
            return
        pause = max(0.0, self._told_at.get(workspace_id, 0.0) + TELL_SECONDS - self.loop.time())
        self._timers[workspace_id] = self.loop.call_later(pause, self._due, workspace_id)

    def _due(self, workspace_id: UUID) -> None:
        self._timers.pop(workspace_id, None)
        self._told_at[workspace_id] = self.loop.time()
        self._soon(self._spread(workspace_id))

    async def _spread(self, workspace_id: UUID) -> None:
        if self._lease is not None:
            await self._write(workspace_id)
            publish(presence_room(workspace_id), Frame("", "presence.look"))
            self._renew()
        await self._tell(list(self._sockets.get(workspace_id, {}).values()), workspace_id, only_changes=True)

    async def _tell(self, sockets: list[NexusConsumer], workspace_id: UUID, *, only_changes: bool) -> None:
        """Each socket gets the list as its person may see it; one frame per different list."""
        if not sockets:
            return
        async with self._locks.setdefault(workspace_id, asyncio.Lock()):
            waiting = self._waiting.get(workspace_id)
            if waiting is None:
                waiting = self._waiting[workspace_id] = await in_database(waiting_agents, workspace_id)
            entries = merged([*_board.all(workspace_id), *waiting])
            ids = {e.conversation_id for e in entries if e.conversation_id is not None}
            actors = {socket.actor.user_id: socket.actor for socket in sockets}
            readable = await in_database(_readable_of, list(actors.values()), ids) if ids else {}
            frames: dict[frozenset[UUID], tuple[Frame, bytes]] = {}
            told = self._told.setdefault(workspace_id, {})
            for socket in sockets:
                may = frozenset(readable.get(socket.actor.user_id, ()))
                made = frames.get(may)
                if made is None:
                    made = frames[may] = _list_for(entries, may)
                frame, digest = made
                if only_changes and told.get(socket.connection_id) == digest:
                    continue
                if socket.connection_id in self._sockets.get(workspace_id, {}):
                    told[socket.connection_id] = digest
                    socket.send(frame)

    # --- other processes ---

    def receive(self, room: str, frames: Sequence[Frame]) -> None:
        """The hub's doorbell: another process changed its lease, or an agent began or ended to wait for people."""
        for workspace_id in list(self._following):
            if presence_room(workspace_id) != room:
                continue
            if any(frame.type == CHANGED for frame in frames):
                self._waiting.pop(workspace_id, None)
                self.mark(workspace_id)
            if self._lease is not None and any(frame.type != CHANGED for frame in frames):
                self._soon(self._look(workspace_id))

    async def _look(self, workspace_id: UUID) -> None:
        assert self._lease is not None
        try:
            entries = await self._lease.read_others(workspace_id)
        except Exception as fault:
            log.warning("presence: reading leases failed (%s)", type(fault).__name__)
            return
        if _board.set_foreign(workspace_id, entries):
            await self._tell(
                list(self._sockets.get(workspace_id, {}).values()), workspace_id, only_changes=True
            )

    async def _after_break(self) -> None:
        """Redis may have come back empty, and doorbells were lost: everybody says again who is here."""
        for workspace_id in list(self._following):
            self._waiting.pop(workspace_id, None)
            self.mark(workspace_id)
        await asyncio.sleep(BREAK_SECONDS)
        for workspace_id in list(self._following):
            await self._look(workspace_id)

    async def _write(self, workspace_id: UUID) -> None:
        assert self._lease is not None
        try:
            await self._lease.write(workspace_id, _board.own(workspace_id))
        except Exception as fault:
            log.warning("presence: writing the lease failed (%s)", type(fault).__name__)

    def _renew(self) -> None:
        if self._renewing is None or self._renewing.done():
            self._renewing = self.loop.create_task(self._renew_leases(), name="presence-lease")

    async def _renew_leases(self) -> None:
        while _board.workspaces():
            await asyncio.sleep(RENEW_SECONDS)
            for workspace_id in _board.workspaces():
                await self._write(workspace_id)
            for workspace_id in list(self._following):
                self._waiting.pop(workspace_id, None)  # a doorbell may have been lost; the next list reads it
                await self._look(workspace_id)

    # --- joined and left ---

    async def _record_joined(self, workspace_id: UUID, user_id: UUID) -> None:
        await in_database(_joined, workspace_id, user_id)

    async def _record_left(self, workspace_id: UUID, user_id: UUID) -> None:
        await in_database(
            activity_record,
            workspace_id=workspace_id,
            user_id=user_id,
            activity_type="user-left",
            metadata={},
        )

    # --- tasks ---

    def _soon(self, work: Coroutine[Any, Any, None]) -> None:
        task = self.loop.create_task(work, name="presence")
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (fault := task.exception()) is not None:
            log.warning("presence: %s: %s", type(fault).__name__, fault)

    async def close(self) -> None:
        """Gives the leases back and ends all tasks."""
        for timer in [*self._timers.values(), *self._leaving.values()]:
            timer.cancel()
        tasks = [*self._tasks, *([self._renewing] if self._renewing else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._lease is not None:
            workspaces = _board.workspaces()
            _board.clear()
            for workspace_id in workspaces:
                await self._write(workspace_id)
            await self._lease.close()


def _list_for(entries: Sequence[Entry], may: frozenset[UUID]) -> tuple[Frame, bytes]:
    """The list as who may read these conversations sees it, and a digest of it."""
    frame = make_frame("presence.changed", users=[entry.wire(set(may)) for entry in entries])
    return frame, blake2b(frame.text.encode(errors="surrogatepass"), digest_size=16).digest()


def _readable_of(actors: list[Actor], ids: set[UUID]) -> dict[UUID, set[UUID]]:
    open_ids = visibility.open_to_all(ids)
    rest = ids - open_ids
    return {actor.user_id: open_ids | visibility.readable(actor, rest) for actor in actors}


def _joined(workspace_id: UUID, user_id: UUID) -> None:
    last = (
        Activity.objects.filter(
            workspace_id=workspace_id, user_id=user_id, activity_type__in=("user-joined", "user-left")
        )
        .order_by("-created_at")
        .first()
    )
    if last is not None and last.activity_type == "user-joined" and last.created_at > timezone.now() - REJOIN:
        return
    activity_record(workspace_id=workspace_id, user_id=user_id, activity_type="user-joined", metadata={})


_news: News | None = None


def news() -> News:
    """The news of this process and loop."""
    global _news
    if _news is None or _news.loop is not asyncio.get_running_loop():
        if _news is not None:
            _board.clear()  # what an ended loop left behind
            News._following.clear()
        _news = News()
    return _news


async def close_news() -> None:
    """At the end of a server process: others see this one's people go at once, not a lease later."""
    global _news
    if _news is not None and _news.loop is asyncio.get_running_loop():
        await _news.close()
        _news = None
