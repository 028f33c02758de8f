"""Activity: what happened lately in a workspace, recorded, announced and listed.

Ids, names and numbers only, never text of a conversation. Where somebody may not
read a conversation, they see that something happened, not where.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from uuid import UUID

import orjson
from django.db import transaction
from django.db.models import Q
from pydantic import Field

from nexus_core.jsonsafe import json_safe
from workspaces.access import READ_ONLY_SCOPE, Actor, Forbidden, Invalid
from workspaces.cursors import cursor_of, place_of
from workspaces.database import in_database
from workspaces.models import User
from workspaces.statements import Table

from . import visibility
from .bulletin import publish_soon
from .frames import client_frame, make_frame
from .models import Activity
from .publish import publish
from .rooms import workspace_room
from .wire import Wire

if TYPE_CHECKING:
    from .consumer import NexusConsumer

_ACTIVITIES = Table(Activity)

MOST_METADATA = 4096
MOST_LISTED = 200
QUIET_TYPES = ("suggestion-clicked",)
"""Recorded for analysis; neither announced nor listed."""


# --- writes ---


def activity_record(
    *,
    workspace_id: UUID,
    activity_type: str,
    user_id: UUID | None = None,
    user: User | None = None,
    agent_slug: str = "",
    conversation_id: UUID | None = None,
    open_to_all: bool | None = None,
    metadata: Mapping[str, Any] | None = None,
    at_leisure: bool = False,
) -> Activity:
    """Stores one activity and, after the commit, tells the workspace.

    Args:
        at_leisure: tell it with the bulletin, a moment later.
        user: in place of `user_id`, where the caller has the person at hand.
        open_to_all: whether everyone in the workspace may read the conversation, where the caller knows.
    """
    activity = Activity(
        workspace_id=workspace_id,
        user_id=user.pk if user is not None else user_id,
        agent_slug=agent_slug,
        activity_type=activity_type,
        conversation_id=conversation_id,
        metadata=dict(metadata or {}),
    )
    if user is not None:
        activity.user = user
    _ACTIVITIES.insert(activity)
    if activity_type not in QUIET_TYPES:
        transaction.on_commit(lambda: _announce(activity, open_to_all, at_leisure))
    return activity


def _announce(activity: Activity, open_to_all: bool | None, at_leisure: bool) -> None:
    """One frame for all: it names the conversation only if everyone in the workspace may read it."""
    if open_to_all is None and activity.conversation_id is not None:
        open_to_all = visibility.open_to_all([activity.conversation_id]) != set()
    wire = activity_wire(activity, bool(open_to_all))
    room = workspace_room(activity.workspace_id)
    if at_leisure:
        publish_soon(room, f"activity:{activity.pk}", lambda: make_frame("activity.recorded", **wire))
    else:
        publish(room, make_frame("activity.recorded", **wire))


# --- reads ---


def activity_wire(activity: Activity, show_conversation: bool) -> dict[str, Any]:
    wire: dict[str, Any] = {
        "id": str(activity.pk),
        "activityType": activity.activity_type,
        "userId": str(activity.user_id) if activity.user_id else None,
        "userName": activity.user.display_name if activity.user else None,
        "agentId": activity.agent_slug or None,
        "metadata": activity.metadata,
        "createdAt": activity.created_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }
    if activity.conversation_id is not None and show_conversation:
        wire["conversationId"] = str(activity.conversation_id)
    return wire


def activities_recent(actor: Actor, limit: int = 20) -> list[dict[str, Any]]:
    """The newest activities as wire objects."""
    return activities_page(actor, limit=limit)[0]


def activities_page(
    actor: Actor, *, limit: int = 20, cursor: str | None = None
) -> tuple[list[dict[str, Any]], str | None]:
    """A page, newest first, and the cursor of the next one (None at the end). At most 200 at once."""
    limit = max(1, min(limit, MOST_LISTED))
    rows = (
        Activity.objects.filter(workspace_id=actor.workspace_id)
        .exclude(activity_type__in=QUIET_TYPES)
        .select_related("user")
        .order_by("-created_at", "-id")
    )
    if cursor:
        at, last_id = place_of(cursor, UUID)
        rows = rows.filter(Q(created_at__lt=at) | Q(created_at=at, id__lt=last_id))
    page = list(rows[: limit + 1])
    more, page = len(page) > limit, page[:limit]
    ids = {a.conversation_id for a in page if a.conversation_id is not None}
    readable = visibility.readable(actor, ids)
    items = [activity_wire(a, a.conversation_id in readable) for a in page]
    return items, cursor_of(page[-1].created_at, page[-1].pk) if more else None


# --- frames ---


class ActivityBroadcast(Wire):
    activity_type: str = Field(min_length=1, max_length=64, pattern=r"^[a-zA-Z0-9._-]+$")
    metadata: dict[str, Any] = Field(default_factory=dict)


class SuggestionClicked(Wire):
    suggestion: str = Field(min_length=1, max_length=500)


@client_frame("activity.broadcast", ActivityBroadcast, writes=True)
async def broadcast(socket: NexusConsumer, frame: ActivityBroadcast) -> None:
    """Recorded, and shown to the workspace as `activity.recorded`."""
    await in_database(_record, socket.actor, frame.activity_type, _checked(frame.metadata))


@client_frame("suggestion.clicked", SuggestionClicked)
async def suggestion_clicked(socket: NexusConsumer, frame: SuggestionClicked) -> None:
    """Counted, shown to nobody."""
    if READ_ONLY_SCOPE in socket.actor.scopes:
        raise Forbidden("Read-only tokens can read along, but not change anything.")
    await in_database(
        _record, socket.actor, "suggestion-clicked", {"suggestion": str(json_safe(frame.suggestion))}
    )


def _record(actor: Actor, activity_type: str, metadata: dict[str, Any]) -> None:
    activity_record(
        workspace_id=actor.workspace_id, user_id=actor.user_id, activity_type=activity_type, metadata=metadata
    )


def _checked(metadata: dict[str, Any]) -> dict[str, Any]:
    try:
        size = len(orjson.dumps(metadata))
    except TypeError:  # nested too deep
        size = MOST_METADATA + 1
    if size > MOST_METADATA:
        raise Invalid(
            f"The metadata of an activity may take {MOST_METADATA} bytes of JSON, not nested too deep."
        )
    safe = json_safe(metadata)
    assert isinstance(safe, dict)
    return safe
