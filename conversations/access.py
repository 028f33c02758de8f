"""Who may see and do what with conversations, and the only way to fetch one for a person.

A thing that is not there, is deleted, belongs to another workspace or is private to
somebody else is `NotFound`, all alike. A viewer of the workspace, and whom a conversation is
shared with to read along, may watch; writing is `Forbidden`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar
from uuid import UUID

from django.db.models import Exists, OuterRef, Q, QuerySet

from workspaces.access import READ_ONLY_SCOPE, Actor, Forbidden, NotFound
from workspaces.statements import Compiled, from_id, here

from .models import Conversation, ConversationShare, Message, Run, ToolCall, Upload

InConversation = TypeVar("InConversation", Run, Message, ToolCall)


def readable(actor: Actor) -> QuerySet[Conversation]:
    """The conversations this person may read in this workspace."""
    shared = ConversationShare.objects.filter(conversation=OuterRef("pk"), user_id=actor.user_id)
    return Conversation.objects.filter(
        Q(visibility=Conversation.Visibility.WORKSPACE)
        | Q(created_by_id=actor.user_id)
        | Q(Exists(shared), visibility=Conversation.Visibility.SHARED),
        workspace_id=actor.workspace_id,
        deleted_at=None,
    )


def writable(actor: Actor) -> QuerySet[Conversation]:
    """Those of them that this person may write in, if their role lets them write at all."""
    given = ConversationShare.objects.filter(
        conversation=OuterRef("pk"), user_id=actor.user_id, right=ConversationShare.Right.WRITE
    )
    return Conversation.objects.filter(
        Q(visibility=Conversation.Visibility.WORKSPACE)
        | Q(created_by_id=actor.user_id)
        | Q(Exists(given), visibility=Conversation.Visibility.SHARED),
        workspace_id=actor.workspace_id,
        deleted_at=None,
    )


def as_uuid(value: UUID | str) -> UUID:
    """The id, or NotFound: what is not an id is nobody's."""
    try:
        return value if isinstance(value, UUID) else UUID(value)
    except (ValueError, AttributeError, TypeError):
        raise NotFound() from None


def require_write(actor: Actor) -> None:
    if not actor.can_write:
        raise Forbidden(
            "Viewers can read along, but not write. Ask an admin of the workspace for another role."
        )


def may_write(actor: Actor, conversation: Conversation) -> bool:
    """Whether somebody who may read it may write there: not where it is shared with them to read along."""
    if not actor.can_write:
        return False
    # Only of one that is shared by name it is asked.
    shared = conversation.visibility == Conversation.Visibility.SHARED
    return not shared or writable(actor).filter(pk=conversation.pk).exists()


def require_write_in(actor: Actor, conversation: Conversation) -> None:
    require_write(actor)
    if not may_write(actor, conversation):
        raise Forbidden(
            "This conversation is shared with you to read along. Ask the person who began it for the right to write."
        )


def require_mark(actor: Actor) -> None:
    """For a person's own marks, which change nothing for others: viewers may, read-only tokens may not."""
    if READ_ONLY_SCOPE in actor.scopes:
        raise Forbidden("Read-only tokens can read along, but not change anything.")


def access_conversation(actor: Actor, conversation_id: UUID | str, *, write: bool = False) -> Conversation:
    found = readable(actor).filter(pk=as_uuid(conversation_id)).first()
    if found is None:
        raise NotFound()
    if write:
        require_write_in(actor, found)
    return found


def access_run(actor: Actor, run_id: UUID | str, *, write: bool = False) -> Run:
    return _there(actor, Run.objects.select_related("conversation", "message", "requested_by"), run_id, write)


def access_message(actor: Actor, message_id: UUID | str, *, write: bool = False) -> Message:
    return _there(actor, Message.objects.select_related("conversation", "author"), message_id, write)


def access_tool_call(actor: Actor, tool_id: UUID | str, *, write: bool = False) -> ToolCall:
    calls = ToolCall.objects.select_related("conversation", "approval__decided_by")
    return _there(actor, calls, tool_id, write)


def _there(actor: Actor, rows: QuerySet[InConversation], key: UUID | str, write: bool) -> InConversation:
    """The row of a conversation that this person may read, or write in."""
    found = rows.filter(pk=as_uuid(key), conversation__in=readable(actor)).first()
    if found is None:
        raise NotFound()
    if write:
        require_write_in(actor, found.conversation)
    return found


def access_upload(actor: Actor, file_id: UUID | str) -> Upload:
    """A file one uploaded, or one that stands in a conversation one may read."""
    found = Upload.objects.filter(pk=as_uuid(file_id), workspace_id=actor.workspace_id).first()
    if found is None:
        raise NotFound()
    if found.conversation_id is None:
        allowed = found.user_id == actor.user_id
    else:
        allowed = readable(actor).filter(pk=found.conversation_id).exists()
    if not allowed:
        raise NotFound()
    return found


def readable_ids(actor: Actor, conversation_ids: Iterable[UUID]) -> set[UUID]:
    """Those of the ids that this person may read."""
    return set(readable(actor).filter(pk__in=list(conversation_ids)).values_list("pk", flat=True))


def _open_among(conversation_ids: Iterable[UUID]) -> QuerySet[Conversation]:
    return Conversation.objects.filter(
        pk__in=list(conversation_ids), visibility=Conversation.Visibility.WORKSPACE, deleted_at=None
    )


def _open_keys(*few: UUID) -> QuerySet[Any]:
    return _open_among(few).values("pk")


_FEW = 8
_OPEN = Compiled(_open_keys, *(f"id{n}" for n in range(_FEW)))


def open_ids(conversation_ids: Iterable[UUID]) -> set[UUID]:
    """Those of the ids that everyone in their workspace may read. Presence asks every second, mostly for few."""
    asked = list(conversation_ids)
    if not 0 < len(asked) <= _FEW:
        return set(_open_among(asked).values_list("pk", flat=True))
    sql, params = _OPEN.sql(*asked, *asked[-1:] * (_FEW - len(asked)))
    with here().cursor() as cursor:
        cursor.execute(sql, params)
        return {found for (value,) in cursor.fetchall() if (found := from_id(value)) is not None}
