"""The tool calls of one step: side by side, journaled, results back in the model's order.

A call is durably RUNNING before its effect and has its result recorded before it is
shown. What was completed is never repeated; what was RUNNING when its owner died is
UNKNOWN unless the tool is idempotent.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from .approval import ApprovalRule, needs_approval
from .chunks import Chunk, MetadataChunk, ToolCallChunk
from .context import Charges, ExecutionContext
from .errors import NexusError, RunCancelled, RunFenced, ToolError, ToolInputInvalid
from .jsonsafe import json_text
from .messages import Message, ToolResultPart
from .ports import Decision, Ports, ToolRecord
from .progress import REPORT_SECONDS, Progress
from .tools import DEFAULT_TIMEOUT, Tool, Toolset
from .waiting import unless_cancelled

JSON = Any

AT_ONCE = 16
"""Calls of one step that run at the same time; further ones wait for their turn."""

INVALID_JSON = "invalid_json"
"""Key of `ToolCallPart.provider_data` that holds arguments which were no JSON object."""


@dataclass(frozen=True, slots=True)
class ToolPolicy:
    """`timeout` (seconds) holds for tools without their own; `approval` names tools that wait for a person."""

    timeout: float = DEFAULT_TIMEOUT
    approval: frozenset[str] | Mapping[str, ApprovalRule] = frozenset()

    def asks(self, tool: Tool, input: Mapping[str, JSON]) -> bool:
        """Whether a person has to be asked before this call."""
        if tool.asks_person or needs_approval(tool.needs_approval, input):
            return True
        named = self.approval
        rule = named.get(tool.name, False) if isinstance(named, Mapping) else tool.name in named
        return needs_approval(rule, input)


class StepToolCalls:
    """Runs the calls of one step. `run()` streams their chunks; afterwards `records` holds how each ended.

    Attributes:
        records: in the model's order.
        undecided: a person has not yet decided on one of them; the run has to wait. Then the
            last chunk is `waiting`; calls that need nobody's yes have run.
    """

    def __init__(
        self,
        records: Sequence[ToolRecord],
        *,
        invalid: Mapping[str, str],
        tools: Toolset,
        policy: ToolPolicy,
        context: ExecutionContext,
        ports: Ports,
        progress: Progress,
    ) -> None:
        self.records = list(records)
        self._undecided: set[str] = set()
        self._invalid = invalid
        self._tools = tools
        self._policy = policy
        self._context = context
        self._ports = ports
        self._progress = progress
        self._quiet: asyncio.TimerHandle | None = None
        self._chunks: asyncio.Queue[Chunk | None] = asyncio.Queue()
        self._slots = asyncio.Semaphore(AT_ONCE)

    async def run(self) -> AsyncGenerator[Chunk, None]:
        """Raises `RunCancelled` after all calls have ended; a host's error (`RunFenced` …) ends the others."""
        open_calls = [i for i, record in enumerate(self.records) if record.status in ("PENDING", "RUNNING")]
        if not open_calls:
            return
        group = asyncio.create_task(self._run_all(open_calls), name="nexus-tool-calls")
        group.add_done_callback(lambda _: self._chunks.put_nowait(None))
        try:
            with self._context.reports.ringing(self._reported):
                last: Chunk | None = None
                while (chunk := await self._chunks.get()) is not None:
                    last = chunk
                    yield chunk
            await group
            told = isinstance(last, MetadataChunk) and last.status == "waiting"
            if self._undecided and not told and not self._context.cancelled.is_set():
                # Calls that need nobody's yes ended meanwhile: the last word is still that it waits.
                first = next(r.tool_id for r in self.records if r.tool_id in self._undecided)
                yield MetadataChunk("waiting", {"toolId": first})
        finally:
            if self._quiet is not None:
                self._quiet.cancel()
            if not group.done():
                group.cancel()
                await asyncio.wait({group})
        if self._context.cancelled.is_set():
            raise RunCancelled("Stopped.")

    @property
    def undecided(self) -> bool:
        return bool(self._undecided)

    def _reported(self) -> None:
        """A tool told how far it is: shown at once, then what is newest after a pause."""
        if self._quiet is None:
            self._show_reports()

    def _show_reports(self) -> None:
        self._quiet = None
        reports = self._context.reports.take()
        for report in reports:
            self._chunks.put_nowait(self._progress.of_report(report))
        if reports:
            self._quiet = asyncio.get_running_loop().call_later(REPORT_SECONDS, self._show_reports)

    def results(self) -> Message:
        """What the model is told: one message, the results in the order in which it asked."""
        return Message("tool", tuple(result_part(record) for record in self.records))

    async def _run_all(self, indexes: Sequence[int]) -> None:
        tasks = [
            asyncio.create_task(self._run_one(i), name=f"nexus-tool-{self.records[i].name}") for i in indexes
        ]
        try:
            await asyncio.gather(*tasks)
        finally:
            left = [task for task in tasks if not task.done()]
            for task in left:
                task.cancel()
            if left:
                await asyncio.wait(left)

    async def _run_one(self, index: int) -> None:
        record = self.records[index]
        try:
            tool = self._tools.get(record.name)
            if not tool.for_model:
                raise ToolError(f"{record.name} can only be called by a person, as /{tool.command}.")
            if record.call_id in self._invalid:
                raise ToolInputInvalid(
                    f"The arguments of {record.name} were not a JSON object: {self._invalid[record.call_id][:200]!r}. "
                    "Call it again with valid JSON."
                )
        except ToolError as error:
            return await self._end(index, replace(record, status="FAILED", error=error.message))
        if record.status == "RUNNING" and not tool.idempotent:
            return await self._end(index, replace(record, status="UNKNOWN", error=UNKNOWN_MESSAGE))
        if record.status == "PENDING" and not await self._may_run(index, tool):
            return None
        async with self._slots:
            return await self._execute(index, tool)

    async def _may_run(self, index: int, tool: Tool) -> bool:
        """Asks a person where the tool demands it; a denied call ends FAILED without RUNNING, a question
        that was answered ends COMPLETED without it."""
        record = self.records[index]
        try:
            if not self._policy.asks(tool, tool.wire_input(record.input)):
                return True
            tool.validate(record.input)
        except ToolInputInvalid as error:
            await self._end(index, replace(record, status="FAILED", error=error.message))
            return False
        asked = replace(record, question=tool.asks_person)
        try:
            decision = await unless_cancelled(self._decision(asked), self._context.cancelled)
        except RunCancelled:
            await self._end(index, replace(record, status="FAILED", error="Stopped before anybody decided."))
            return False
        if decision is None:
            self._undecided.add(record.tool_id)
            return False
        if not decision.approved:
            said = "This question was not answered" if tool.asks_person else "This call was denied"
            note = f": {decision.note}" if decision.note else "."
            await self._end(index, replace(record, status="FAILED", error=f"{said}{note}"))
        elif tool.asks_person:
            result = decision.answer if isinstance(decision.answer, Mapping) else {"answer": decision.answer}
            await self._end(index, replace(record, status="COMPLETED", result=dict(result)))
            return False
        return decision.approved

    async def _decision(self, record: ToolRecord) -> Decision | None:
        """What a person said; nobody is told to decide what is decided already."""
        approvals = self._ports.approvals
        known = await approvals.known(record)
        if known is None:
            self._chunks.put_nowait(chunk_of(record))
            self._chunks.put_nowait(MetadataChunk("waiting", {"toolId": record.tool_id}))
            known = await approvals.decide(record)
        return known

    async def _execute(self, index: int, tool: Tool) -> None:
        if self._context.cancelled.is_set():
            return await self._end(
                index, replace(self.records[index], status="FAILED", error="Stopped before it started.")
            )
        record = self.records[index] = replace(self.records[index], status="RUNNING")
        await self._ports.journal.tool_started(record)
        self._chunks.put_nowait(chunk_of(record))
        started = self._ports.clock.monotonic()
        self._progress.begin(record.tool_id)
        context = replace(self._context, tool_id=record.tool_id, charges=Charges())
        work = tool.call(record.input, context, default_timeout=self._policy.timeout)
        try:
            result = await unless_cancelled(work, self._context.cancelled)
            record = replace(record, status="COMPLETED", result=result)
        except RunCancelled:
            record = (
                replace(record, status="FAILED", error="Stopped.")
                if tool.idempotent
                else replace(
                    record, status="UNKNOWN", error="Stopped while it ran; it may have taken effect."
                )
            )
        except RunFenced:
            raise
        except NexusError as error:
            record = replace(record, status="FAILED", error=error.message)
        took = round((self._ports.clock.monotonic() - started) * 1000)
        return await self._end(index, replace(record, duration_ms=took, cost=context.charges.pico))

    async def _end(self, index: int, record: ToolRecord) -> None:
        self.records[index] = record
        for report in self._context.reports.take(record.tool_id):
            self._chunks.put_nowait(self._progress.of_report(report))
        await self._ports.journal.tool_finished(record)
        self._chunks.put_nowait(chunk_of(record))


UNKNOWN_MESSAGE = (
    "It is not known whether this call took effect: the process that ran it ended before it could record a result. "
    "Do not repeat it without checking."
)


def chunk_of(record: ToolRecord) -> ToolCallChunk:
    """The call as it stands."""
    return ToolCallChunk(
        record.tool_id,
        record.name,
        dict(record.input),
        record.status,
        record.result,
        record.error,
        record.duration_ms,
    )


def result_part(record: ToolRecord) -> ToolResultPart:
    """What the model is told of an ended call: exactly the result of its chunk, or its error, as JSON."""
    if record.status == "COMPLETED":
        return ToolResultPart(record.call_id, record.name, json_text(record.result))
    told = {"error": record.error or record.status, "status": record.status}
    return ToolResultPart(record.call_id, record.name, json_text(told), is_error=True)
