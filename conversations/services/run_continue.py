"""Going on with an answer that was cut by its length: a new question that says so, and a run for it.

The model sees its own cut answer and the instruction; a reader sees one answer, with a line where it was cut.
"""

from __future__ import annotations

from uuid import UUID

from django.db import transaction

from nexus_core.errors import NexusError
from workspaces.access import Actor

from ..access import access_message
from ..models import Conversation, Message, Run
from .run_start import Started, run_start

INSTRUCTION = "Continue your answer exactly where it stopped. Repeat nothing and add no introduction."
LENGTH_STOPS = frozenset({"length", "max_tokens"})


class NotContinuable(NexusError):
    """The message is not an answer that was cut by its length, or it was continued already; the text says which."""

    code = "not_continuable"
    http_status = 409


def run_continue(*, actor: Actor, message_id: UUID | str, client_id: str = "") -> Started:
    """Raises NotFound, Forbidden, NotContinuable, RunInProgress, AgentNotFound, IdempotencyConflict."""
    answer = access_message(actor, message_id, write=True)
    with transaction.atomic():
        # The conversation's row lock: of two who press at once, one goes on and the other is told.
        Conversation.objects.select_for_update(no_key=True).get(pk=answer.conversation_id)
        run = Run.objects.filter(pk=answer.run_id).first() if answer.run_id else None
        cut = run is not None and run.status == Run.Status.COMPLETE and run.stop_reason in LENGTH_STOPS
        if run is None or not cut or answer.superseded or answer.role != Message.Role.ASSISTANT:
            raise NotContinuable("This answer was not cut by its length; there is nothing to go on with.")
        later = Message.objects.filter(
            conversation_id=answer.conversation_id, continues_id=answer.pk, superseded=False
        ).first()
        if later is not None:
            if client_id and (seen := _seen(actor, later, client_id)):
                return seen
            raise NotContinuable("This answer was continued already.")
        started = run_start(
            actor=actor,
            agent_id=run.agent_slug,
            input_=INSTRUCTION,
            conversation_id=answer.conversation_id,
            client_id=client_id,
            model=run.model_override,
            parent_message_id=answer.pk,
        )
        started.message.continues_id = answer.pk  # before the commit, which tells the watchers of it
        Message.objects.filter(pk=started.message.pk).update(continues_id=answer.pk)
    return started


def _seen(actor: Actor, question: Message, client_id: str) -> Started | None:
    run = (
        Run.objects.select_related("conversation", "message__author")
        .filter(message=question, requested_by_id=actor.user_id, client_id=client_id)
        .first()
    )
    return Started(run, run.conversation, run.message, False) if run is not None else None
