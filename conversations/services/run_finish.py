"""The end of a run, in one transaction: last step, its settlement, terminal chunk, answer, numbers.

It begins after the writer acknowledged the run's last flush and never waits for the
writer inside the transaction (SQLite would deadlock with itself).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from billing.settling import attempts_total
from nexus_core.chunks import Chunk, ErrorChunk, MetadataChunk, ToolCallChunk
from nexus_core.errors import RunFenced
from nexus_core.toolcalls import chunk_of
from nexus_core.usage import Cost, Usage
from realtime.publish import publish
from realtime.rooms import conversation_room
from workspaces.audit import record
from workspaces.failpoints import failpoint

from .. import events, instruments
from ..activities import record_approval_decided, record_finished
from ..checkpoints import readable_log
from ..engine import port
from ..engine.journal import FinalStep, store_step, tool_record
from ..engine.recorder import encode
from ..engine.writer import Row, frame_of
from ..fold import fold, visible_text
from ..models import Approval, Conversation, Message, Run, ToolCall
from .asking import waited_ms
from .hearing import steerings_follow_up
from .statements import MESSAGES, chunks_insert, conversation_count, run_end, run_waiting

STOPPED = "Stopped before anybody decided."


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run ended: its status, the terminal chunk's further fields, and its numbers."""

    status: str
    usage: Usage = field(default_factory=Usage)
    cost: Cost = field(default_factory=Cost)
    fields: dict[str, Any] = field(default_factory=dict)
    provider: str = ""
    model: str = ""
    stop_reason: str = ""
    error_code: str = ""
    error_message: str = ""
    confidence: float | None = None
    first_token_ms: int | None = None


def run_finish(
    run: Run, *, log: list[tuple[int, Chunk]], last_seq: int, ending: Ending, final: FinalStep | None
) -> None:
    """Ends the run at this epoch. Raises `RunFenced` when another owner has it."""
    last = _last_words(run, log, last_seq, ending)
    run.context_tokens = final.step.usage.total if final is not None else None
    with transaction.atomic():
        _end(run, last, was=Run.Status.RUNNING, epoch=run.epoch)
        if final is not None:
            store_step(run.pk, run.epoch, last_seq, final)
        failpoint("in_finish")


def run_end_unstarted(run_id: UUID, *, status: str, error_code: str = "", error_message: str = "") -> bool:
    """Ends a run that nobody ever worked on (cancelled in the queue): started, error if any, terminal."""
    with transaction.atomic():
        where = Run.objects.filter(pk=run_id).values_list("conversation_id", flat=True).first()
        if where is None:
            return False
        conversation = conversation_count(
            where
        )  # the answer's number, and the lock that comes before any run's
        run = (
            Run.objects.select_for_update(of=("self",), no_key=True)
            .select_related("conversation", "message")
            .filter(pk=run_id, status=Run.Status.QUEUED)
            .first()
        )
        if run is None:
            transaction.set_rollback(True)  # nothing is added
            return False
        epoch, run.epoch = run.epoch, run.epoch + 1
        run.started_at = timezone.now()
        chunks: list[Chunk] = [started_chunk(run)]
        if error_code:
            chunks.append(ErrorChunk(error_message, error_code))
        log = list(enumerate(chunks, 1))
        rows = [Row(seq, chunk.type, encode(chunk)) for seq, chunk in log]
        chunks_insert(run.pk, *rows)
        _publish_rows_after_commit(run, rows)
        ending = Ending(status, error_code=error_code, error_message=error_message)
        _end(
            run,
            _last_words(run, log, len(log), ending),
            was=Run.Status.QUEUED,
            epoch=epoch,
            conversation=conversation,
        )
        return True


def run_end_waiting(run_id: UUID) -> bool:
    """Ends, as stopped, a run that waits for people: nobody works on it. False when it waits no more."""
    with transaction.atomic():
        where = Run.objects.filter(pk=run_id).values_list("conversation_id", flat=True).first()
        conversation = conversation_count(where) if where is not None else None
        run = (
            Run.objects.select_for_update(of=("self",), no_key=True)
            .select_related("conversation", "message", "requested_by")
            .filter(pk=run_id, status=Run.Status.WAITING)
            .first()
        )
        if run is None or conversation is None:
            transaction.set_rollback(True)  # nothing is added
            return False
        run.waited_ms += waited_ms(run)
        Run.objects.filter(pk=run_id).update(waited_ms=run.waited_ms, waiting_since=None)
        log, last_seq = readable_log(run_id), run.last_seq
        rows: list[Row] = []
        for call in ToolCall.objects.filter(run=run, status=ToolCall.Status.PENDING).order_by("position"):
            call.status, call.error, call.completed_at = "FAILED", STOPPED, timezone.now()
            call.save(update_fields=["status", "error", "completed_at"])
            last_seq += 1
            chunk = chunk_of(tool_record(call))
            log.append((last_seq, chunk))
            rows.append(Row(last_seq, chunk.type, encode(chunk)))
        chunks_insert(run.pk, *rows)
        _publish_rows_after_commit(run, rows)
        spent = attempts_total(run_id)
        ending = Ending("cancelled", usage=spent.usage, cost=spent.cost)
        _end(
            run,
            _last_words(run, log, last_seq, ending),
            was=Run.Status.WAITING,
            epoch=run.epoch,
            conversation=conversation,
        )
        transaction.on_commit(lambda: events.announce_waited(run))
        return True


def started_chunk(run: Run) -> MetadataChunk:
    fields: dict[str, Any] = {
        "runId": str(run.pk),
        "conversationId": str(run.conversation_id),
        "agentId": run.agent_slug,
        "messageId": str(run.answer_id),
        "questionId": str(run.message_id),
    }
    if run.resumed_from_id:
        fields["resumedFrom"] = str(run.resumed_from_id)
    return MetadataChunk("started", fields)


@dataclass(frozen=True, slots=True)
class _LastWords:
    """What a run leaves behind, made before any row is locked."""

    terminal: Row
    parts: list[dict[str, Any]]
    calls: tuple[str, ...]
    at: datetime


def _last_words(run: Run, log: list[tuple[int, Chunk]], last_seq: int, ending: Ending) -> _LastWords:
    """The terminal chunk and the answer's parts; `run` gets its numbers."""
    now = timezone.now()
    duration = max(0, int((now - (run.started_at or now)).total_seconds() * 1000) - run.waited_ms)
    terminal = MetadataChunk(
        ending.status,  # type: ignore[arg-type]
        {
            "tokenUsage": ending.usage.to_wire(),
            "cost": ending.cost.to_wire(),
            "durationMs": duration,
            "stopReason": ending.stop_reason or ending.status,
            "confidence": ending.confidence,
            **({"estimated": True} if ending.usage.estimated else {}),
            **ending.fields,
            "messageId": str(run.answer_id),
        },
    )
    row = Row(last_seq + 1, terminal.type, encode(terminal))
    run.status = ending.status
    run.last_seq = row.seq
    run.finished_at = now
    run.provider, run.model = ending.provider[:64], ending.model[:160]
    run.stop_reason = (ending.stop_reason or ending.status)[:32]
    run.error_code, run.error_message = ending.error_code[:64], ending.error_message
    usage = ending.usage
    run.tokens_input, run.tokens_output = usage.input, usage.output
    run.tokens_cache_read, run.tokens_cache_write = usage.cache_read, usage.cache_write
    run.tokens_reasoning = usage.reasoning
    run.cost_input, run.cost_output = ending.cost.input, ending.cost.output
    run.estimated, run.confidence, run.first_token_ms = (
        usage.estimated,
        ending.confidence,
        ending.first_token_ms,
    )
    run.owner, run.heartbeat_at = "", None
    return _LastWords(row, fold(log), _tools_called(log), now)


def _end(
    run: Run, last: _LastWords, *, was: str, epoch: int, conversation: Conversation | None = None
) -> None:
    """Conversation first, then the run: whoever locks the two the other way round waits for somebody who waits
    for him. The run's UPDATE is the fence; raises `RunFenced`."""
    conversation = conversation or conversation_count(run.conversation_id)
    ended = run_end(run, was=was, epoch=epoch)
    if conversation is None or ended is None:
        raise RunFenced(f"run {run.pk} has another owner than epoch {epoch}")
    # What people asked for while it ran: the row in the runner's hands is from its beginning.
    superseded, run.cancelled_by_id, steerings, tail_id = ended
    row = last.terminal
    chunks_insert(run.pk, row)
    answer = Message(
        id=run.answer_id,
        conversation=conversation,
        parent_id=tail_id or run.message_id,
        number=conversation.message_count,
        role=Message.Role.ASSISTANT,
        content=visible_text(last.parts),
        parts=last.parts,
        agent_slug=run.agent_slug,
        run_id=run.pk,
        superseded=superseded,
        created_at=last.at,
    )
    MESSAGES.insert(answer)
    if last.calls:
        _end_calls(run)
    if steerings:
        steerings_follow_up(run, conversation)
    following = run_waiting(run.conversation_id, run.agent_slug)
    record_finished(run, conversation)
    _record(run, last.calls)

    def after_commit() -> None:
        failpoint("after_finish")
        terminal = frame_of(str(run.pk), str(run.conversation_id), row)
        events.announce_finished(conversation, run, answer, terminal)
        if following is not None:
            port.enqueue(following)
        instruments.run_ended(run)

    transaction.on_commit(after_commit)


def _tools_called(log: list[tuple[int, Chunk]]) -> tuple[str, ...]:
    """The names of the tools that were asked for, in their order."""
    asked = {chunk.tool_id: chunk.tool_name for _, chunk in log if isinstance(chunk, ToolCallChunk)}
    return tuple(asked.values())


def _record(run: Run, calls: tuple[str, ...]) -> None:
    """One event for each ended run, temporary chats' too: numbers and names, no words. One INSERT."""
    costs = [cost for cost in (run.cost_input, run.cost_output) if cost is not None]
    began = run.started_at or run.finished_at
    assert run.finished_at is not None
    record(
        "ai_response_completed",
        workspace_id=run.workspace_id,
        user_id=run.requested_by_id,
        token_id=run.token_id,
        agent_slug=run.agent_slug,
        target_type="conversation",
        target_id=run.conversation_id,
        outcome="failed" if run.status == Run.Status.FAILED else "ok",
        metadata={
            "model": f"{run.provider}/{run.model}" if run.provider else run.model,
            "tokensUsed": {"input": run.tokens_input, "output": run.tokens_output},
            "toolsCalled": list(calls),
            "duration": max(
                0, int((run.finished_at - (began or run.finished_at)).total_seconds() * 1000) - run.waited_ms
            ),
            "runId": str(run.pk),
            "status": str(run.status),
            "costPicoUsd": sum(costs) if len(costs) == 2 else None,
            **({"error": run.error_code} if run.error_code else {}),
            **({"stoppedBy": str(run.cancelled_by_id)} if run.cancelled_by_id else {}),
        },
    )


def _end_calls(run: Run) -> None:
    """Calls that never came to an end: asked for but not begun are failed, begun ones unknown."""
    calls = ToolCall.objects.filter(run=run)
    calls.filter(status=ToolCall.Status.PENDING).update(
        status=ToolCall.Status.FAILED, error="The run ended before this call began.", completed_at=Now()
    )
    calls.filter(status=ToolCall.Status.RUNNING).update(
        status=ToolCall.Status.UNKNOWN, error="The run ended while this call was running.", completed_at=Now()
    )
    withdrawn = Approval.objects.filter(run=run, status=Approval.Status.OPEN).update(
        status=Approval.Status.WITHDRAWN, decided_at=Now()
    )
    if withdrawn:
        _tell_withdrawn(run)


def _tell_withdrawn(run: Run) -> None:
    """Nobody needs to decide any more: audit, feed, and those who were asked hear of it."""
    for row in Approval.objects.filter(run=run, status=Approval.Status.WITHDRAWN):
        record(
            "tool_withdrawn",
            workspace_id=run.workspace_id,
            user_id=run.cancelled_by_id,
            agent_slug="" if run.cancelled_by_id else run.agent_slug,
            target_type="tool",
            target_id=row.pk,
            target_name=row.tool_name,
            metadata={"agentId": run.agent_slug, "runId": str(run.pk)},
        )
        record_approval_decided(run.conversation, row)
        transaction.on_commit(lambda row=row: events.announce_approval(run.conversation, row))  # type: ignore[misc]


def _publish_rows_after_commit(run: Run, rows: list[Row]) -> None:
    frames = [frame_of(str(run.pk), str(run.conversation_id), row) for row in rows]
    transaction.on_commit(lambda: publish(conversation_room(run.conversation_id), *frames))
