"""A draft that several people write together, read: what a newcomer starts from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from workspaces.access import Actor
from workspaces.models import User

from .access import access_conversation
from .models import Conversation, Draft
from .wire import person_wire


@dataclass(frozen=True, slots=True)
class Splice:
    """At `at`, `removed` units are taken out and `inserted` is put in. UTF-16 units, as browsers count."""

    at: int
    removed: int
    inserted: str


def draft_of(conversation: Conversation) -> dict[str, Any] | None:
    """The draft that is open in a conversation (read with `draft__opened_by`), for somebody who may read it; or None."""
    try:
        return draft_wire(conversation.draft)
    except Draft.DoesNotExist:
        return None


def draft_read(*, actor: Actor, conversation_id: UUID | str) -> dict[str, Any] | None:
    """The same, asked by id. Raises NotFound."""
    conversation = access_conversation(actor, conversation_id)
    found = Draft.objects.filter(conversation=conversation).select_related("opened_by").first()
    return None if found is None else draft_wire(found)


def draft_wire(draft: Draft) -> dict[str, Any]:
    return {
        "id": str(draft.pk),
        "text": draft.text,
        "version": draft.version,
        "openedBy": person_wire(draft.opened_by),
    }


def draft_closed_wire(draft: Draft, by: User, *, sent: bool) -> dict[str, Any]:
    """What its end says, to whoever ended it and to everyone else."""
    return {
        "conversationId": str(draft.conversation_id),
        "draftId": str(draft.pk),
        "by": person_wire(by),
        "sent": sent,
    }
