"""Saying something to an agent while it works: it hears it before its next step, once.

What was said is a row first and a message when it was heard: below the question (or what
was said before it), with the answer below that. If the run ends before that, it becomes a
question of its own, asked behind that answer, for whoever said it; where the run was
stopped it stays as a message that nobody was asked to answer. To a run that has ended
nothing can be said: `run_ended`.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F

from nexus_core.errors import NexusError
from workspaces.access import Actor
from workspaces.audit import record

from .. import events
from ..access import access_run
from ..activities import record_steered
from ..engine import port
from ..models import Conversation, Run, Steering
from .control import require_control
from .input import BadInput, message_parts
from .run_start import IdempotencyConflict

MOST_WAITING = 20


class RunEnded(NexusError):
    """The run has ended: nobody is there to hear it. Send it as a message."""

    code = "run_ended"
    http_status = 409


def run_steer(
    *,
    actor: Actor,
    run_id: UUID | str,
    input_: str | list[Any],
    client_id: str = "",
    fence_: int | None = None,
) -> Steering:
    """Leaves it for the agent's next step. The same `client_id` again is the same word.

    Raises NotFound, Forbidden, BadInput, RunEnded, NotInControl, IdempotencyConflict.
    """
    run = access_run(actor, run_id, write=True)
    if len(client_id) > 128:
        raise BadInput("clientId has more than 128 characters.")
    parts, text, files = message_parts(actor, input_)
    if files:
        raise BadInput("Images cannot be said to a running agent; send them as a message.")
    with transaction.atomic():
        conversation = Conversation.objects.select_for_update(no_key=True).get(pk=run.conversation_id)
        run = Run.objects.select_for_update(no_key=True).get(pk=run.pk)
        if client_id:
            before = Steering.objects.filter(run=run, author_id=actor.user_id, client_id=client_id).first()
            if before is not None and before.text != text:
                raise IdempotencyConflict("This clientId was used for other words.")
            if before is not None:
                return before
        if run.finished:
            raise RunEnded("The answer has ended meanwhile. Send it as a message.")
        require_control(actor, run, fence_)
        if run.steerings >= MOST_WAITING:
            raise BadInput("The agent has not heard the last things yet. Wait a moment.")
        row = Steering.objects.create(
            run=run,
            author_id=actor.user_id,
            token_id=actor.token_id,
            client_id=client_id,
            parts=parts,
            text=text,
        )
        row.author = actor.user
        Run.objects.filter(pk=run.pk).update(steerings=F("steerings") + 1)
        record_steered(conversation, run, actor.user_id)
        record(
            "run_steered",
            actor=actor,
            target_type="conversation",
            target_id=run.conversation_id,
            metadata={"runId": str(run.pk), "agentId": run.agent_slug},
        )

        def after_commit() -> None:
            events.announce_steering(row, run.conversation_id)
            port.steer(run.pk)

        transaction.on_commit(after_commit)
    return row
