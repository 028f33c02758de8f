"""The rights watch: sockets end within seconds after logout, removal or revocation.

Every few seconds a process asks for all its sockets at once whether their sessions,
tokens and memberships still stand: three queries, however many sockets. One more says
which of the conversations they watch are open to all; of the others each watcher is asked about.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from typing import TYPE_CHECKING
from uuid import UUID

from django.contrib.sessions.models import Session
from django.db.models import Q
from django.utils import timezone

from workspaces.access import Actor
from workspaces.database import in_database
from workspaces.models import ApiToken, Membership

from .frames import make_frame
from .rooms import conversation_room
from .visibility import open_to_all, readable

if TYPE_CHECKING:
    from .consumer import NexusConsumer

log = logging.getLogger(__name__)

EVERY_SECONDS = 3.0
LOGGED_OUT, NOT_ALLOWED = 4401, 4403


class RightsWatch:
    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self._sockets: dict[NexusConsumer, None] = {}
        self._task: asyncio.Task[None] | None = None
        self._now = asyncio.Event()

    def __len__(self) -> int:
        return len(self._sockets)

    def add(self, socket: NexusConsumer) -> None:
        self._sockets[socket] = None
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="rights-watch")

    def remove(self, socket: NexusConsumer) -> None:
        self._sockets.pop(socket, None)

    def check_soon(self) -> None:
        """Somebody's rights changed: look at once."""
        self._now.set()

    async def _run(self) -> None:
        while self._sockets:
            try:
                async with asyncio.timeout(EVERY_SECONDS):
                    await self._now.wait()
            except TimeoutError:
                pass
            self._now.clear()
            sockets = list(self._sockets)
            if not sockets:
                return
            try:
                standing = await in_database(
                    _standing,
                    {(s.actor.user_id, s.actor.workspace_id) for s in sockets},
                    {s.actor.token_id for s in sockets if s.actor.token_id is not None},
                    {s.actor.session_key for s in sockets if s.actor.session_key},
                )
            except asyncio.CancelledError:
                raise
            except Exception as fault:
                log.warning("rights watch: %s", type(fault).__name__)
                continue
            for socket in sockets:
                self._judge(socket, standing)
            try:
                await self._judge_rooms(sockets)
            except asyncio.CancelledError:
                raise
            except Exception as fault:
                log.warning("rights watch: %s", type(fault).__name__)

    async def _judge_rooms(self, sockets: list[NexusConsumer]) -> None:
        """Who may not read a conversation any more (made private, unshared, deleted) leaves its room."""
        watched = {socket: socket.conversations() for socket in sockets}
        everything = set().union(*watched.values())
        if not everything:
            return
        closed = everything - await in_database(open_to_all, everything)
        for socket, ids in watched.items():
            doubted = ids & closed
            if not doubted:
                continue
            for conversation_id in doubted - await in_database(readable, socket.actor, doubted):
                socket.leave(conversation_room(conversation_id))
                socket.send(make_frame("unsubscribed", conversationId=str(conversation_id)))

    def _judge(self, socket: NexusConsumer, standing: Standing) -> None:
        actor = socket.actor
        role = standing.roles.get((actor.user_id, actor.workspace_id))
        if not _credential_stands(actor, standing):
            socket.close_soon(LOGGED_OUT)
        elif role is None:
            socket.close_soon(NOT_ALLOWED)
        elif role != actor.role:
            socket.actor = replace(actor, role=role)


def _credential_stands(actor: Actor, standing: Standing) -> bool:
    """What opened the socket, directly or by a ticket, is still good."""
    if actor.session_key:
        same_password = standing.passwords.get(actor.user_id, actor.user.password) == actor.user.password
        return actor.session_key in standing.sessions and same_password
    return actor.token_id is None or actor.token_id in standing.tokens


class Standing:
    """What stands in the database right now."""

    def __init__(
        self,
        roles: dict[tuple[UUID, UUID], str],
        passwords: dict[UUID, str],
        tokens: set[UUID],
        sessions: set[str],
    ) -> None:
        self.roles, self.passwords, self.tokens, self.sessions = roles, passwords, tokens, sessions


def _standing(pairs: set[tuple[UUID, UUID]], tokens: set[UUID], sessions: set[str]) -> Standing:
    now = timezone.now()
    members = Membership.objects.filter(
        user_id__in={user for user, _ in pairs},
        workspace_id__in={w for _, w in pairs},
        workspace__deleted_at=None,
        user__is_active=True,
    )
    roles: dict[tuple[UUID, UUID], str] = {}
    passwords: dict[UUID, str] = {}
    for user_id, workspace_id, role, password in members.values_list(
        "user_id", "workspace_id", "role", "user__password"
    ):
        roles[user_id, workspace_id] = role
        passwords[user_id] = password
    alive = ApiToken.objects.filter(
        Q(expires_at=None) | Q(expires_at__gt=now), pk__in=tokens, revoked_at=None
    )
    logged_in = Session.objects.filter(pk__in=sessions, expire_date__gt=now)
    return Standing(
        roles,
        passwords,
        set(alive.values_list("pk", flat=True)) if tokens else set(),
        set(logged_in.values_list("pk", flat=True)) if sessions else set(),
    )


_watch: RightsWatch | None = None


def watch() -> RightsWatch:
    """The watch of this process and loop."""
    global _watch
    if _watch is None or _watch.loop is not asyncio.get_running_loop():
        _watch = RightsWatch()
    return _watch
