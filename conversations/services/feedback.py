"""What a person thinks of an answer: good or poor, and why. One mark per person and answer, to be taken back."""

from __future__ import annotations

from uuid import UUID

from django.db import transaction
from django.utils import timezone

from workspaces.access import Actor

from ..access import access_message, require_mark
from ..engine.recorder import storable
from ..events import announce_feedback
from ..models import Message, MessageFeedback
from .input import BadInput

LONGEST_COMMENT = 2000


def feedback_give(*, actor: Actor, message_id: UUID | str, rating: str, comment: str = "") -> MessageFeedback:
    """Stores or replaces this person's mark. Viewers too: it is their own, and changes nothing for others.

    Raises NotFound, BadInput (not an answer, no such rating, the comment too long).
    """
    if rating not in MessageFeedback.Rating.values:
        raise BadInput(f"rating is one of {', '.join(MessageFeedback.Rating.values)}, not {rating!r}.")
    comment = storable(comment).strip()
    if len(comment) > LONGEST_COMMENT:
        raise BadInput(f"The comment has {len(comment):,} characters; at most {LONGEST_COMMENT:,} fit.")
    with transaction.atomic():
        message = _answer(actor, message_id)
        feedback, _ = MessageFeedback.objects.update_or_create(
            message=message,
            user_id=actor.user_id,
            defaults={"rating": rating, "comment": comment, "updated_at": timezone.now()},
        )
        transaction.on_commit(lambda: announce_feedback(actor.workspace_id, actor.user_id, message, feedback))
    return feedback


def feedback_withdraw(*, actor: Actor, message_id: UUID | str) -> None:
    """Takes it back; nothing happens where there is none. Raises NotFound, BadInput (not an answer)."""
    with transaction.atomic():
        message = _answer(actor, message_id)
        gone, _ = MessageFeedback.objects.filter(message=message, user_id=actor.user_id).delete()
        if gone:
            transaction.on_commit(lambda: announce_feedback(actor.workspace_id, actor.user_id, message, None))


def _answer(actor: Actor, message_id: UUID | str) -> Message:
    message = access_message(actor, message_id)
    require_mark(actor)
    if message.role != Message.Role.ASSISTANT:
        raise BadInput("Only an agent's answer can be called good or poor.")
    return message
