"""What an agent hears between its steps, and what becomes of words that it did not hear any more."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from nexus_core.messages import Message as ModelMessage
from nexus_core.messages import TextPart
from workspaces.models import Membership, Role, User

from .. import events
from ..engine.journal import fence
from ..models import Conversation, Message, Run, Steering
from .inheritance import ancestors_of
from .statements import conversation_count


@dataclass(frozen=True, slots=True)
class Heard:
    """What an agent is told before a step: `fresh` is False where an earlier owner of the run was told it already."""

    message: ModelMessage
    steering: Steering
    fresh: bool


def steering_take(run: Run, step: int, *, again: bool) -> list[Heard]:
    """What is to be said before that step, in order; what is new becomes messages now.

    `again`: with what an earlier owner took for this step. Raises `RunFenced`.
    """
    told: list[Heard] = []
    if again:
        told = [Heard(_as_told(row), row, False) for row in Steering.objects.filter(run_id=run.pk, step=step)]
    if not Steering.objects.filter(run_id=run.pk, step=None).exists():
        return told
    with transaction.atomic():
        # Its lock comes before the run's; each message takes the next number.
        Conversation.objects.select_for_update(no_key=True).get(pk=run.conversation_id)
        fence(run.pk, run.epoch)
        below = Run.objects.values_list("tail_id", flat=True).get(pk=run.pk) or run.message_id
        fresh = list(
            Steering.objects.filter(run_id=run.pk, step=None)
            .select_related("author")
            .order_by("created_at", "id")
        )
        for row in fresh:
            message = _as_message(row, run, parent_id=below)
            below = message.pk
            row.step = step
            row.save(update_fields=["step"])
            told.append(Heard(_as_told(row), row, True))
        Run.objects.filter(pk=run.pk).update(steerings=F("steerings") - len(fresh), tail_id=below)
    return told


def steering_taken(run: Run, step: int) -> list[ModelMessage]:
    """What was said before a step that is completed, also in the runs that this one goes on from."""
    rows = Steering.objects.filter(run_id__in=[run.pk, *ancestors_of(run)], step=step)
    return [_as_told(row) for row in rows.order_by("created_at", "id")]


def steerings_follow_up(run: Run, conversation: Conversation) -> None:
    """What nobody heard before the run ended, in the transaction of its end: questions behind its answer."""
    below: UUID = run.answer_id
    for row in (
        Steering.objects.filter(run_id=run.pk, step=None)
        .select_related("author")
        .order_by("created_at", "id")
    ):
        message = _as_message(row, run, parent_id=below)
        below = message.pk
        if run.status == Run.Status.CANCELLED or run.agent_id is None or not _may_ask(row.author, run):
            continue
        following = Run.objects.create(
            workspace_id=run.workspace_id,
            conversation=conversation,
            agent_id=run.agent_id,
            agent_slug=run.agent_slug,
            message=message,
            requested_by=row.author,
            token_id=row.token_id,
            policy="enqueue",
            model_override=run.model_override,
            created_at=timezone.now(),
        )
        Message.objects.filter(pk=message.pk).update(run_id=following.pk)
        Steering.objects.filter(pk=row.pk).update(follow_up=following)
        events.queue_follow_up(conversation, following)
    Run.objects.filter(pk=run.pk).update(steerings=0)


def _may_ask(person: User | None, run: Run) -> bool:
    """Whoever left meanwhile, or may only read by now, has no run started for them."""
    mine = Membership.objects.filter(workspace_id=run.workspace_id, user=person, user__is_active=True)
    return person is not None and mine.exclude(role=Role.VIEWER).exists()


def _as_told(row: Steering) -> ModelMessage:
    return ModelMessage("user", tuple(TextPart(part["text"]) for part in row.parts))


def _as_message(row: Steering, run: Run, *, parent_id: UUID) -> Message:
    counted = conversation_count(run.conversation_id)
    assert counted is not None
    message = Message.objects.create(
        id=row.pk,
        conversation_id=run.conversation_id,
        parent_id=parent_id,
        number=counted.message_count,
        role=Message.Role.USER,
        content=row.text,
        parts=row.parts,
        author_id=row.author_id,
        run_id=run.pk,
        created_at=timezone.now(),
    )
    message.author = row.author
    events.announce_message_later(message)
    return message
