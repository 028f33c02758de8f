"""Claiming a run: whoever moves the epoch owns it, on the database's clock.

A claim succeeds for a queued run whose agent is not already answering in that
conversation, and for a running one whose lease has run out. It returns all that the
runner needs, in one transaction.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F, Q
from django.db.models.functions import Coalesce, Now

from nexus_core.chunks import Chunk
from nexus_core.ports import StepRecord, ToolRecord
from workspaces.access import Actor
from workspaces.failpoints import failpoint

from ..checkpoints import checkpoints_of
from ..engine.journal import step_record, tool_record
from ..history import Turn, branch_to
from ..models import Run, Step
from . import handover
from .inheritance import inherited_by


@dataclass(frozen=True, slots=True)
class Claim:
    """A run that is ours, with what earlier owners left.

    Attributes:
        line: the branch up to the question, oldest first.
        steps, calls: completed steps and known tool calls of this run.
        log: chunks already stored, by seq.
        keep_seq: last seq of the last completed step (1 when there is none).
        actor: whom it works for, where that is known already.
        inherited: what a resumed run shows again of the run it goes on from.
        last_seq: of the last chunk stored.
        damaged: some completed steps were of no use, so it goes on from before them.
    """

    run: Run
    line: list[Turn]
    steps: list[StepRecord]
    calls: list[ToolRecord]
    log: list[tuple[int, Chunk]]
    keep_seq: int
    too_often: bool
    inherited: list[Chunk] = field(default_factory=list)
    actor: Actor | None = None
    last_seq: int = 0
    damaged: bool = False

    @property
    def past(self) -> dict[str, Any]:
        """Where it goes on from, for its `started` or `resumed` chunk."""
        return {"fromStep": len(self.steps), **({"damaged": True} if self.damaged else {})}

    @property
    def fresh(self) -> bool:
        return self.run.epoch == 1


def lease_ended() -> Q:
    lease = timedelta(seconds=settings.NEXUS_LEASE_SECONDS)
    return Q(heartbeat_at=None) | Q(heartbeat_at__lt=Now() - lease)


def run_claim(run_id: UUID, owner: str) -> Claim | None:
    """Takes the run, or returns None when it is not to be had (finished, alive elsewhere, waiting its turn)."""
    try:
        with transaction.atomic():
            return _claim(run_id, owner)
    except IntegrityError:
        return None  # its agent is answering in that conversation: its turn comes when that one ends


def claim_given(given: handover.Handover) -> Claim:
    """A run that its start claimed for this process."""
    failpoint("in_claim")
    line = branch_to(given.run.message)
    return Claim(given.run, line, [], [], [(1, given.started)], 1, False, actor=given.actor, last_seq=1)


def _claim(run_id: UUID, owner: str) -> Claim | None:
    taken = (
        Run.objects.filter(
            Q(status=Run.Status.QUEUED) | (Q(status=Run.Status.RUNNING) & lease_ended()), pk=run_id
        )
        .exclude(cancel_requested_at__isnull=False, status=Run.Status.QUEUED)
        .update(
            epoch=F("epoch") + 1,
            owner=owner,
            heartbeat_at=Now(),
            started_at=Coalesce("started_at", Now()),
            status=Run.Status.RUNNING,
        )
    )
    if not taken:
        return None
    failpoint("in_claim")
    run = Run.objects.select_related("conversation", "workspace", "agent", "message", "requested_by").get(
        pk=run_id
    )
    line = branch_to(run.message)
    if run.epoch == 1:
        return Claim(run, line, [], [], [], 0, False) if run.resumed_from_id is None else _resumed(run, line)
    return _taken_over(run, line)


def _resumed(run: Run, line: list[Turn]) -> Claim:
    """A new run that goes on from the last completed step of an earlier one and shows what led there."""
    before = inherited_by(run)
    return Claim(
        run,
        line,
        before.steps,
        before.calls,
        [],
        0,
        False,
        inherited=before.shown,
        damaged=before.damaged,
    )


def _taken_over(run: Run, line: list[Turn]) -> Claim:
    """What earlier owners left, as far as it is sound. What is not makes room for the steps to come."""
    mine, before = checkpoints_of(run.pk), inherited_by(run)
    own = mine.steps
    if own and own[0].index > len(before.steps):
        own = []
    unusable = [step.pk for step in [*mine.steps, *mine.damaged] if step not in own]
    if unusable:
        Step.objects.filter(pk__in=unusable).delete()
    earlier = before.steps[: own[0].index] if own else before.steps
    return Claim(
        run,
        line,
        [*earlier, *map(step_record, own)],
        [*before.calls, *(tool_record(call) for call in mine.calls)] if own else before.calls,
        mine.log,
        mine.keep_seq if own else 1,
        run.epoch - run.handovers > Run.MOST_EPOCHS,
        # With a step of its own what it showed again stands before that, and is kept with it.
        inherited=[] if own else before.shown,
        last_seq=mine.last_seq,
        damaged=bool(unusable) or before.damaged,
    )
