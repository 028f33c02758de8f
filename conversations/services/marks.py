"""What a person has read: one mark per conversation, which only moves forward."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from workspaces.access import Actor

from ..access import access_conversation, require_mark
from ..events import announce_read
from ..models import ConversationMark, Message
from ..selectors import annotated
from ..wire import instant


def mark_read(*, actor: Actor, conversation_id: UUID | str, number: int | None = None) -> dict[str, Any]:
    """This person has seen the messages up to that number; without one, all there are. Viewers too: it is
    their own mark. Gives `{conversationId, unread, lastReadAt}`. Raises NotFound, and
    Forbidden for a read-only token."""
    with transaction.atomic():
        conversation = access_conversation(actor, conversation_id)
        require_mark(actor)
        newest = (
            Message.objects.filter(conversation=conversation).aggregate(newest=Max("number"))["newest"] or 0
        )
        seen = newest if number is None else min(number, newest)
        marks = ConversationMark.objects.filter(conversation=conversation, user_id=actor.user_id)
        now = timezone.now()
        moved = marks.filter(read_number__lt=seen).update(read_number=seen, read_at=now)
        if not moved:
            moved = marks.filter(read_at=None).update(read_at=now)
        if not moved and not marks.exists():
            _, moved = ConversationMark.objects.get_or_create(
                conversation=conversation,
                user_id=actor.user_id,
                defaults={"read_number": seen, "read_at": now},
            )
        row = annotated(actor).get(pk=conversation.pk)
        mark = {
            "conversationId": str(conversation.pk),
            "unread": row.unread,  # type: ignore[attr-defined]
            "lastReadAt": instant(row.read_at),  # type: ignore[attr-defined]
        }
        if moved:
            transaction.on_commit(lambda: announce_read(actor.workspace_id, actor.user_id, mark))
    return mark
