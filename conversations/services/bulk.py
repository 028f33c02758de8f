"""One act on several conversations: each id is checked and changed by itself, as if it had been asked for alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

from nexus_core.errors import NexusError
from workspaces.access import Actor, NotFound

from ..access import as_uuid
from ..models import Conversation
from .conversations import conversation_delete, conversation_restore, conversation_update
from .marks import mark_read

Action = Literal["archive", "restore", "delete", "read"]
MOST = 200


def conversations_bulk(*, actor: Actor, ids: Sequence[str], action: Action) -> list[dict[str, Any]]:
    """`{id, status, error}` per id, in order: 200, or the refusal the single request would have got."""
    act = ACTIONS[action]
    results: list[dict[str, Any]] = []
    for conversation_id in ids[:MOST]:
        status, error = 200, None
        try:
            act(actor, conversation_id)
        except NexusError as refusal:
            status, error = refusal.http_status, {"code": refusal.code, "message": refusal.message}
        results.append({"id": conversation_id, "status": status, "error": error})
    return results


def _archive(actor: Actor, conversation_id: str) -> None:
    conversation_update(actor=actor, conversation_id=conversation_id, status=Conversation.Status.ARCHIVED)


def _restore(actor: Actor, conversation_id: str) -> None:
    """Out of the archive, or back from deletion."""
    try:
        conversation_update(actor=actor, conversation_id=conversation_id, status=Conversation.Status.ACTIVE)
    except NotFound:
        conversation_restore(actor=actor, conversation_id=as_uuid(conversation_id))


def _delete(actor: Actor, conversation_id: str) -> None:
    conversation_delete(actor=actor, conversation_id=conversation_id)


def _read(actor: Actor, conversation_id: str) -> None:
    mark_read(actor=actor, conversation_id=conversation_id)


ACTIONS: dict[Action, Callable[[Actor, str], None]] = {
    "archive": _archive,
    "restore": _restore,
    "delete": _delete,
    "read": _read,
}
