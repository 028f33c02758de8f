"""Going on with a run that failed or was stopped: a new run for the same message.

The old run stays as it is; its answer is superseded by the new one, unless people have
written below it: then it stays as a branch of its own, beside the new one. The new run
begins at seq 1 and goes on from the old one's last completed step, however long ago
that was; a step that was damaged meanwhile is not used (`checkpoints.py`).
"""

from __future__ import annotations

from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils import timezone

from agents.services import access_agent
from nexus_core.errors import NexusError
from workspaces.access import Actor

from ..access import access_run
from ..engine import port
from ..events import announce_queued
from ..models import Conversation, Message, Run
from ..tracing import carry
from .input import BadInput
from .run_start import RunInProgress, Started, earlier_start, fingerprint

STANDS: dict[str, str] = {
    Run.Status.COMPLETE: "is complete",
    Run.Status.WAITING: "waits for a person's decision",
    Run.Status.QUEUED: "has not begun",
}


class NotResumable(NexusError):
    """The run is still going, is complete, was withdrawn, or was resumed already; the message says which."""

    code = "not_resumable"
    http_status = 409


def run_resume(*, actor: Actor, run_id: UUID | str, client_id: str = "") -> Started:
    """Raises NotFound, Forbidden, NotResumable, RunInProgress, AgentNotFound, IdempotencyConflict."""
    old = access_run(actor, run_id, write=True)
    if len(client_id) > 128:
        raise BadInput("clientId has more than 128 characters.")
    body = fingerprint("resume", str(old.pk))
    if client_id and (earlier := earlier_start(actor, client_id, body)):
        return earlier
    try:
        with transaction.atomic():
            return _resume(actor, old.pk, client_id, body)
    except IntegrityError:
        # The same client id, at the same moment, on another connection: the other one won.
        if client_id and (earlier := earlier_start(actor, client_id, body)):
            return earlier
        raise


def _resume(actor: Actor, old_id: UUID, client_id: str, body: str) -> Started:
    old = Run.objects.select_related("message__author").get(pk=old_id)
    # The conversation's row lock: two resumes of one run come one after the other.
    conversation = Conversation.objects.select_for_update(no_key=True).get(pk=old.conversation_id)
    old.refresh_from_db(fields=["status", "superseded"])
    if old.status not in (Run.Status.FAILED, Run.Status.CANCELLED):
        said = STANDS.get(old.status, "is still going")
        raise NotResumable(f"This run {said}; only a failed or stopped one can be resumed.")
    if old.superseded or Message.objects.filter(pk=old.message_id, superseded=True).exists():
        raise NotResumable("This run was withdrawn together with its question; ask again instead.")
    if (newer := old.resumed_as.order_by("-created_at").first()) is not None:
        raise NotResumable(f"This run was resumed already, as {newer.pk}.")
    agent = access_agent(actor, old.agent_slug)
    unfinished = Run.objects.filter(
        conversation=conversation, agent_slug=agent.slug, status__in=Run.UNFINISHED
    )
    if unfinished.exists():
        raise RunInProgress(f"{agent.name} is answering here. Wait until it is done, or stop it.")
    if not Message.objects.filter(parent_id=old.answer_id).exists():
        Message.objects.filter(pk=old.answer_id).update(superseded=True)
    run = Run(
        workspace_id=actor.workspace_id,
        conversation=conversation,
        agent=agent,
        agent_slug=agent.slug,
        message=old.message,
        requested_by_id=actor.user_id,
        token_id=actor.token_id,
        client_id=client_id,
        body_hash=body,
        policy="reject",
        model_override=old.model_override,
        resumed_from=old,
        created_at=timezone.now(),
    )
    run.save(force_insert=True)

    def after_commit() -> None:
        announce_queued(conversation, run)
        port.enqueue(run.pk)

    transaction.on_commit(lambda: carry(run.pk))
    transaction.on_commit(after_commit)
    return Started(run, conversation, old.message, True)
