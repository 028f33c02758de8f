"""Claiming a run: whoever moves the epoch owns it, on the database's clock.

A claim succeeds for a queued run whose agent is not already answering in that
conversation, and for a running one whose lease has run out. It returns all that the
runner needs, in one transaction.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F, Q
from django.db.models.functions import Coalesce, Now

from nexus_core.chunks import Chunk, ContentChunk, ReasoningChunk, ToolCallChunk, from_wire
from nexus_core.ports import StepRecord, ToolRecord
from nexus_core.usage import Cost, Usage
from workspaces.access import Actor
from workspaces.failpoints import failpoint

from ..engine.journal import step_record, tool_record
from ..fold import kept
from ..history import branch_to
from ..log import whole_log
from ..models import Message, Run, Step, ToolCall
from . import handover
from .statements import run_now

MOST_RESUMES = 100


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
    """

    run: Run
    line: list[Message]
    steps: list[StepRecord]
    calls: list[ToolRecord]
    log: list[tuple[int, Chunk]]
    keep_seq: int
    too_often: bool
    inherited: list[Chunk] = field(default_factory=list)
    actor: Actor | None = None

    @property
    def fresh(self) -> bool:
        return self.run.epoch == 1


def lease_ended() -> Q:
    lease = timedelta(seconds=settings.NEXUS_LEASE_SECONDS)
    return Q(heartbeat_at=None) | Q(heartbeat_at__lt=Now() - lease)


def run_claim(run_id: UUID, owner: str) -> Claim | None:
    """Takes the run, or returns None when it is not to be had (finished, alive elsewhere, waiting its turn)."""
    given = handover.take(run_id)
    if given is not None:
        return _claimed_by_its_start(given)
    try:
        with transaction.atomic():
            return _claim(run_id, owner)
    except IntegrityError:
        return None  # its agent is answering in that conversation: its turn comes when that one ends


def _claimed_by_its_start(given: handover.Handover) -> Claim | None:
    """Somebody may have asked it to stop between the start and now; or it hung so long that another has it."""
    failpoint("in_claim")
    run = given.run
    now = run_now(run.pk)
    if now is None or now.epoch != run.epoch:
        return None
    run.cancel_requested_at = now.cancel_requested_at
    return Claim(run, branch_to(run.message), [], [], [], 0, False, actor=given.actor)


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
    steps = [step_record(step) for step in Step.objects.filter(run=run)]
    calls = [tool_record(call) for call in ToolCall.objects.filter(run=run).order_by("step", "position")]
    log = [(seq, chunk_of(wire)) for seq, _, wire in whole_log(run.pk)]
    keep = max([1, *Step.objects.filter(run=run).values_list("last_seq", flat=True)])
    before = _inherited(run)
    return Claim(
        run,
        line,
        [*before.steps, *steps],
        [*before.calls, *calls],
        log,
        keep,
        run.epoch > Run.MOST_EPOCHS,
        # With a step of its own what it showed again stands before that, and is kept with it.
        inherited=[] if steps else before.shown,
    )


@dataclass(frozen=True, slots=True)
class Inherited:
    """What the runs before a resumed one completed, and showed up to there."""

    steps: list[StepRecord] = field(default_factory=list)
    calls: list[ToolRecord] = field(default_factory=list)
    shown: list[Chunk] = field(default_factory=list)


def _resumed(run: Run, line: list[Message]) -> Claim:
    """A new run that goes on from the last completed step of an earlier one and shows what led there."""
    before = _inherited(run)
    return Claim(run, line, before.steps, before.calls, [], 0, False, inherited=before.shown)


def _inherited(run: Run) -> Inherited:
    """Of all the runs it goes back to: one that was resumed may have gone on from another itself."""
    line = _ancestors(run)
    if not line:
        return Inherited()
    order = {run_id: place for place, run_id in enumerate(line)}
    steps = sorted(Step.objects.filter(run_id__in=line), key=lambda step: (order[step.run_id], step.index))
    calls = sorted(
        ToolCall.objects.filter(run_id__in=line),
        key=lambda call: (order[call.run_id], call.step, call.position),
    )
    shown: list[Chunk] = []
    if steps:
        # The last of them to complete a step shows in its own log what it had from those before.
        last = steps[-1]
        log = whole_log(last.run_id, until=last.last_seq)
        shown = [
            chunk
            for _, chunk in kept((seq, chunk_of(wire)) for seq, _, wire in log)
            if isinstance(chunk, (ContentChunk, ReasoningChunk, ToolCallChunk))
        ]
    # What they cost is booked on the runs that made them.
    told = [replace(step_record(step), usage=Usage(), cost=Cost()) for step in steps]
    return Inherited(told, [tool_record(call) for call in calls], shown)


def _ancestors(run: Run) -> list[UUID]:
    """The runs it was resumed from, oldest first."""
    line: list[UUID] = []
    at = run.resumed_from_id
    while at is not None and at not in line and len(line) < MOST_RESUMES:
        line.append(at)
        at = Run.objects.filter(pk=at).values_list("resumed_from_id", flat=True).first()
    return line[::-1]


def chunk_of(wire: str) -> Chunk:
    import orjson

    return from_wire(orjson.loads(wire))
