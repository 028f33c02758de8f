"""Presence: who is here now, people and the agents that work, told to everyone in the workspace.

`presence.changed` carries the whole list, at most once a second and only on change.
A conversation that somebody may not read is not named to them. An open socket that
answers the server's pings is present; it is gone when it ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID

from django.conf import settings
from pydantic import Field

from workspaces.access import Actor, NotFound
from workspaces.database import in_database

from . import visibility
from .frames import client_frame, make_frame
from .hub import existing_hub
from .presence_board import Entry, merged
from .presence_lease import read_all
from .presence_news import CURSOR_SECONDS, News, board, news
from .publish import publish
from .rooms import conversation_room
from .visibility import register_conversation_filter
from .waiting import register_waiting_agents, waiting_agents, waiting_changed
from .wire import Wire

if TYPE_CHECKING:
    from .consumer import NexusConsumer

__all__ = [
    "agent_done",
    "agent_working",
    "list_presence",
    "presence_in_conversation",
    "register_conversation_filter",
    "register_waiting_agents",
    "socket_closed",
    "socket_opened",
    "waiting_agents",
    "waiting_changed",
]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


# --- sockets ---


def socket_opened(socket: NexusConsumer) -> None:
    """On the loop, after `welcome`: the person is here, and gets the list."""
    actor = socket.actor
    entry = Entry(
        actor.workspace_id, str(actor.user_id), actor.user.display_name, "person", "viewing", _now()
    )
    news().arrived(socket, entry)


def socket_closed(socket: NexusConsumer) -> None:
    """On the loop: this tab is gone; the person only with their last one."""
    news().left(socket)


# --- agents ---


def agent_working(
    *,
    workspace_id: UUID,
    agent_slug: str,
    name: str,
    icon: str = "",
    conversation_id: UUID,
    activity: str = "thinking",
) -> None:
    """The agent is at work there; again with another `activity` as it goes on. From any thread."""
    key = _agent_key(agent_slug, conversation_id)
    old = board().get(workspace_id, key)
    entry = Entry(
        workspace_id,
        agent_slug,
        name,
        "agent",
        activity,
        old.since if old else _now(),
        conversation_id,
        icon=icon,
    )
    if board().put(key, entry):
        _changed(workspace_id)


def agent_done(*, workspace_id: UUID, agent_slug: str, conversation_id: UUID) -> None:
    """The agent stopped working there. From any thread; again: nothing."""
    if board().drop(workspace_id, _agent_key(agent_slug, conversation_id)):
        _changed(workspace_id)


def _agent_key(agent_slug: str, conversation_id: UUID) -> str:
    return f"agent:{agent_slug}:{conversation_id}"


def _changed(workspace_id: UUID) -> None:
    if (standing := existing_hub()) is not None:
        if asyncio._get_running_loop() is standing.loop:  # as it mostly is: no need to wake it
            _mark(workspace_id)
            return
        with contextlib.suppress(RuntimeError):  # the loop ended meanwhile: nobody listens
            standing.loop.call_soon_threadsafe(_mark, workspace_id)


def _mark(workspace_id: UUID) -> None:
    news().mark(workspace_id)


# --- reads ---


def list_presence(workspace_id: UUID, actor: Actor | None = None) -> list[dict[str, Any]]:
    """Who is in the workspace now, as wire objects. With `actor`: conversations they may not read are not named.

    Queries the database (with an actor) and, where this process does not follow the workspace, Redis: call it
    from a thread, not from the event loop.
    """
    if settings.NEXUS_REDIS_URL and not News.follows(workspace_id):
        everyone = read_all(workspace_id)
    else:
        everyone = board().all(workspace_id)
    entries = merged([*everyone, *waiting_agents(workspace_id)])
    if actor is None:
        return [entry.wire() for entry in entries]
    ids = {e.conversation_id for e in entries if e.conversation_id is not None}
    readable = visibility.readable(actor, ids)
    return [entry.wire(readable) for entry in entries]


def presence_in_conversation(
    workspace_id: UUID, conversation_id: UUID, *, waiting: Sequence[Entry] = ()
) -> list[dict[str, Any]]:
    """Who is in this conversation now, for somebody who may read it. From memory; with the agents that wait there
    for people, where the caller has read them."""
    here = [e for e in board().all(workspace_id) if e.conversation_id == conversation_id]
    return [entry.wire() for entry in merged([*here, *waiting])]


# --- frames ---

Activity = Literal["viewing", "typing", "editing-file", "running-command", "idle"]


class Cursor(Wire):
    x: float = Field(ge=-1e7, le=1e7)
    y: float = Field(ge=-1e7, le=1e7)


class Selection(Wire):
    start: int = Field(ge=0)
    end: int = Field(ge=0)
    file_path: str | None = Field(default=None, max_length=500)


class PresenceUpdate(Wire):
    conversation_id: UUID | None = None
    activity: Activity = "viewing"
    cursor: Cursor | None = None
    selection: Selection | None = None


@client_frame("presence.update", PresenceUpdate)
async def presence_update(socket: NexusConsumer, frame: PresenceUpdate) -> None:
    """Sent on change and every 30 s. Typing, the cursor and the selection go to the conversation as `cursor.moved`."""
    actor, where = socket.actor, frame.conversation_id
    # Whoever subscribed was checked then; anybody else is checked here.
    if (
        where is not None
        and not socket.is_in(conversation_room(where))
        and where not in await in_database(visibility.readable, actor, [where])
    ):
        raise NotFound()
    key = socket.connection_id
    old = board().get(actor.workspace_id, key)
    if old is None:  # the socket is on its way out
        return
    entry = replace(
        old,
        name=actor.user.display_name,
        activity=frame.activity,
        conversation_id=where,
        cursor=frame.cursor.model_dump() if frame.cursor else None,
        selection=frame.selection.model_dump(by_alias=True, exclude_none=True) if frame.selection else None,
        touched=time.time(),
    )
    if board().put(key, entry):
        news().mark(actor.workspace_id)
    if where is not None and _moved(old, entry):
        _tell_cursor(socket, entry)


def _moved(old: Entry, entry: Entry) -> bool:
    typing = ("typing" in (old.activity, entry.activity)) and old.activity != entry.activity
    return typing or entry.cursor != old.cursor or entry.selection != old.selection


def _tell_cursor(socket: NexusConsumer, entry: Entry) -> None:
    """At most ten a second per socket; the last position always arrives."""
    if socket.cursor_timer is not None:
        return
    loop = socket.loop

    def tell() -> None:
        socket.cursor_timer = None
        socket.cursor_told = loop.time()
        now = board().get(entry.workspace_id, socket.connection_id)
        if now is None or now.conversation_id is None:
            return
        payload: dict[str, Any] = {
            "userId": now.user_id,
            "name": now.name,
            "typing": now.activity == "typing",
            "since": now.since,
        }
        if now.cursor is not None:
            payload["cursor"] = now.cursor
        if now.selection is not None:
            payload["selection"] = now.selection
        frame = make_frame("cursor.moved", conversationId=str(now.conversation_id), **payload)
        publish(conversation_room(now.conversation_id), frame)

    pause = socket.cursor_told + CURSOR_SECONDS - loop.time()
    if pause <= 0:
        tell()
    else:
        socket.cursor_timer = loop.call_later(pause, tell)
