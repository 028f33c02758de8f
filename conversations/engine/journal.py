"""The journal of one run: steps and tool calls in the database, so that nothing completed is repeated.

Every write names the run's epoch in an UPDATE of the run row first, whose lock is
the fence: an owner that was stopped and continued writes nothing more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from uuid import UUID

from django.db import connection, transaction
from django.db.models.functions import Now

from billing.reserving import Caller
from billing.settling import attempt_settle_in_transaction
from billing.tool_costs import tool_charge_in_transaction
from nexus_core.errors import RunFenced
from nexus_core.messages import part_from_json, part_to_json
from nexus_core.ports import Attempt, AttemptOutcome, Settled, StepRecord, ToolRecord
from nexus_core.usage import Cost, Usage
from workspaces.failpoints import failpoint
from workspaces.statements import Table, as_id, clock

from ..activities import record_tool_ran
from ..checkpoints import step_digest
from ..database import in_database
from ..instruments import tool_ended
from ..models import Run, Step, ToolCall
from .recorder import Recorder, storable, storable_json

STEPS = Table(Step)


def step_record(step: Step) -> StepRecord:
    return StepRecord(
        index=step.index,
        stop_reason=step.stop_reason,  # type: ignore[arg-type]
        parts=tuple(part_from_json(part) for part in step.parts),
        usage=Usage(**step.usage),
        cost=Cost(step.cost_input, step.cost_output),
        provider=step.provider,
        model=step.model,
    )


def tool_record(call: ToolCall) -> ToolRecord:
    return ToolRecord(
        tool_id=str(call.pk),
        call_id=call.call_id,
        step=call.step,
        name=call.tool_name,
        input=call.input,
        status=call.status,  # type: ignore[arg-type]
        result=call.result,
        error=call.error or None,
        duration_ms=call.duration_ms,
    )


def fence(run_id: UUID, epoch: int) -> None:
    """Locks the run's row if it is still this epoch's. Inside a transaction. Raises `RunFenced`."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {Run._meta.db_table} SET heartbeat_at = {clock()} "  # noqa: S608
            "WHERE id = %s AND epoch = %s AND status = 'running'",
            [as_id(run_id), epoch],
        )
        alive = cursor.rowcount
    if not alive:
        raise RunFenced(f"run {run_id} has another owner than epoch {epoch}")


class FinalStep:
    """A step after which nothing follows: it is stored with the run's end, in one transaction."""

    def __init__(self, step: StepRecord, attempt: Attempt, outcome: AttemptOutcome, settled: Settled) -> None:
        self.step, self.attempt, self.outcome, self.settled = step, attempt, outcome, settled


class DbJournal:
    """`nexus_core.ports.Journal` over the database, for one run and one epoch."""

    def __init__(
        self,
        *,
        run: Run,
        recorder: Recorder,
        steps: Sequence[StepRecord],
        calls: Sequence[ToolRecord],
    ) -> None:
        self._run, self._run_id, self._epoch = run, run.pk, run.epoch
        self._conversation_id, self._answer_id = run.conversation_id, run.answer_id
        self._caller = Caller(
            run.workspace_id, run.requested_by_id, run.agent_slug, run.token_id, run.conversation_id
        )
        self._recorder = recorder
        self._steps, self._calls = list(steps), list(calls)
        self.final: FinalStep | None = None

    async def load(self) -> tuple[Sequence[StepRecord], Sequence[ToolRecord]]:
        return self._steps, self._calls

    async def step_completed(
        self,
        step: StepRecord,
        attempt: Attempt,
        outcome: AttemptOutcome,
        settled: Settled,
        calls: Sequence[ToolRecord],
    ) -> None:
        await self._recorder.flush()
        failpoint("before_settle")
        if self.final is not None:  # it was not the last after all: somebody steered the run on
            earlier, self.final = self.final, None
            await in_database(self._store_step, earlier, ())
        if not calls and step.stop_reason not in ("pause", "tool_calls"):
            self.final = FinalStep(step, attempt, outcome, settled)
            return
        await in_database(self._store_step, FinalStep(step, attempt, outcome, settled), calls)
        failpoint("after_settle")

    async def tool_started(self, call: ToolRecord) -> None:
        await in_database(self._store_call, call)
        failpoint("before_tool")

    async def tool_finished(self, call: ToolRecord) -> None:
        failpoint("after_tool_effect")
        await in_database(self._store_call, call)
        failpoint("after_tool_record")
        tool_ended(call)

    # --- in a database thread ---

    def _store_step(self, done: FinalStep, calls: Sequence[ToolRecord]) -> None:
        with transaction.atomic():
            fence(self._run_id, self._epoch)
            store_step(self._run_id, self._epoch, self._recorder.last_seq, done)
            ToolCall.objects.bulk_create(
                [
                    ToolCall(
                        id=UUID(call.tool_id),
                        run_id=self._run_id,
                        conversation_id=self._conversation_id,
                        message_id=self._answer_id,
                        step=call.step,
                        position=position,
                        call_id=call.call_id,
                        tool_name=call.name[:128],
                        input=storable_json(dict(call.input)),
                        status=call.status,
                    )
                    for position, call in enumerate(calls)
                ]
            )

    def _store_call(self, call: ToolRecord) -> None:
        with transaction.atomic():
            fence(self._run_id, self._epoch)
            fields: dict[str, object] = {"status": call.status}
            if call.status == "RUNNING":
                fields["started_at"] = Now()
            elif call.status in ("COMPLETED", "FAILED", "UNKNOWN"):
                fields |= {
                    "completed_at": Now(),
                    "result": storable_json(call.result),
                    "error": storable(call.error or ""),
                    "duration_ms": call.duration_ms,
                }
            ToolCall.objects.filter(pk=UUID(call.tool_id)).update(**fields)
            if "completed_at" in fields and call.duration_ms is not None:  # it ran: nobody denied it before
                record_tool_ran(self._run, call)
            if call.cost and "completed_at" in fields:
                tool_charge_in_transaction(
                    self._caller,
                    run_id=self._run_id,
                    tool_id=UUID(call.tool_id),
                    tool=call.name,
                    amount=call.cost,
                )


def store_step(run_id: UUID, epoch: int, last_seq: int, done: FinalStep) -> None:
    """Inserts the step and settles its attempt; inside the caller's transaction."""
    step = done.step
    row = Step(
        run_id=run_id,
        index=step.index,
        epoch=epoch,
        last_seq=last_seq,
        stop_reason=step.stop_reason,
        parts=storable_json([part_to_json(part) for part in step.parts]),
        usage=asdict(step.usage),
        cost_input=step.cost.input,
        cost_output=step.cost.output,
        provider=step.provider,
        model=step.model,
        attempt_id=done.attempt.id,
    )
    row.digest = step_digest(row)
    STEPS.insert(row)
    attempt_settle_in_transaction(done.attempt, done.outcome, done.settled)
