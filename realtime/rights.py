"""The rights watch: sockets end within seconds after logout, removal or revocation.

Every few seconds a process asks for all its sockets at once whether their sessions,
tokens and memberships still stand, and whether who needs a second step has one: three queries, or four, however many sockets. One more says
which of the conversations they watch are open to all; of the others each watcher is asked about.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING
from uuid import UUID

from django.contrib.sessions.models import Session
from django.db.models import Q
from django.utils import timezone

from workspaces.access import Actor
from workspaces.database import in_database
from workspaces.models import ApiToken, Membership
from workspaces.two_step import with_second_step

from .close_codes import CLOSE_LOGIN, CLOSE_NOT_ALLOWED
from .frames import make_frame
from .rooms import conversation_room
from .sockets import open_sockets
from .visibility import open_to_all, readable

if TYPE_CHECKING:
    from .consumer import NexusConsumer

log = logging.getLogger(__name__)

EVERY_SECONDS = 3.0

_on_lost: list[Callable[[UUID, UUID], Awaitable[None]]] = []


def on_rights_lost(fn: Callable[[UUID, UUID], Awaitable[None]]) -> None:
    """Registers what follows when sockets noticed that a person's rights changed: `await fn(workspace_id, user_id)`.
    Only from then on they start nothing more: what they started since the change is to be looked for."""
    if fn not in _on_lost:
        _on_lost.append(fn)


class RightsWatch:
    """One per process and loop; runs while a socket is open."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self._task: asyncio.Task[None] | None = None
        self._now = asyncio.Event()

    def needed(self) -> None:
        """A socket opened."""
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="rights-watch")

    def check_soon(self) -> None:
        """Somebody's rights changed: look at once."""
        self._now.set()

    async def _run(self) -> None:
        while open_sockets():
            try:
                async with asyncio.timeout(EVERY_SECONDS):
                    await self._now.wait()
            except TimeoutError:
                pass
            self._now.clear()
            sockets = open_sockets()
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
            changed = {
                (socket.actor.workspace_id, socket.actor.user_id)
                for socket in sockets
                if self._judge(socket, standing)
            }
            try:
                for workspace_id, user_id in changed:
                    for fn in _on_lost:
                        await fn(workspace_id, user_id)
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

    def _judge(self, socket: NexusConsumer, standing: Standing) -> bool:
        """True where what the person may do here is not what it was."""
        actor = socket.actor
        role = standing.roles.get((actor.user_id, actor.workspace_id))
        if not _credential_stands(actor, standing):
            socket.close_soon(CLOSE_LOGIN)
        elif role is None or (
            actor.session_key and (actor.user_id, actor.workspace_id) in standing.unsecured
        ):
            socket.close_soon(CLOSE_NOT_ALLOWED)
        elif role != actor.role:
            socket.actor = replace(actor, role=role)
        return role != actor.role


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
        unsecured: set[tuple[UUID, UUID]],
    ) -> None:
        self.roles, self.passwords, self.tokens, self.sessions = roles, passwords, tokens, sessions
        self.unsecured = unsecured
        """Who has no second step in a workspace that asks for one: no session of theirs is let in there."""


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
    asked: set[tuple[UUID, UUID]] = set()
    for user_id, workspace_id, role, password, two_step in members.values_list(
        "user_id", "workspace_id", "role", "user__password", "workspace__require_two_step"
    ):
        roles[user_id, workspace_id] = role
        passwords[user_id] = password
        if two_step:
            asked.add((user_id, workspace_id))
    secured = with_second_step({user_id for user_id, _ in asked}) if asked else set()
    alive = ApiToken.objects.filter(
        Q(expires_at=None) | Q(expires_at__gt=now), pk__in=tokens, revoked_at=None
    )
    logged_in = Session.objects.filter(pk__in=sessions, expire_date__gt=now)
    return Standing(
        roles,
        passwords,
        set(alive.values_list("pk", flat=True)) if tokens else set(),
        set(logged_in.values_list("pk", flat=True)) if sessions else set(),
        {pair for pair in asked if pair[0] not in secured},
    )


_watch: RightsWatch | None = None


def watch() -> RightsWatch:
    """The watch of this process and loop."""
    global _watch
    if _watch is None or _watch.loop is not asyncio.get_running_loop():
        _watch = RightsWatch()
    return _watch
