"""What people are told, after commit, when what they may do in a conversation changes."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from realtime.frames import make_frame
from realtime.publish import publish
from realtime.rooms import member_room
from workspaces.models import User

from .models import Conversation


def announce_access(
    conversation: Conversation, moved: Mapping[UUID, str | None], *, by: User | None = None
) -> None:
    """`conversation.access`, to each person whose right changed: `write`, `view`, or null for who may not know of it
    any more. To those it was shared with by name, what and by whom."""
    for person, right in moved.items():
        named = right is not None and conversation.visibility == Conversation.Visibility.SHARED
        publish(
            member_room(conversation.workspace_id, person),
            make_frame(
                "conversation.access",
                conversationId=str(conversation.pk),
                right=right,
                title=(conversation.title or "New conversation") if named else None,
                by=by.display_name if named and by is not None else None,
            ),
        )
