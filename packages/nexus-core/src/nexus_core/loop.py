"""The loop: model → tools → model, until the model is done.

`run_loop` streams one run as chunks. It knows no database and no transport:
budgets, durability, time, steering and approvals come in as ports. It yields
content, reasoning, tool calls, `progress`, `retrying`, `fallback`, `waiting`,
errors, and at the end exactly one terminal chunk. `started`, `resumed` and `reset`
are the host's.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Literal
from uuid import uuid4

from .approval import ApprovalRule
from .chunks import Chunk, ErrorChunk, MetadataChunk
from .confidence import confidence
from .context import ExecutionContext
from .errors import BudgetExceeded, NexusError, Refused, RunCancelled, RunFenced
from .fallback import Route
from .messages import Message, Part, ReasoningPart, TextPart, ToolCallPart, for_provider
from .ports import Ports, StepRecord, ToolRecord
from .progress import Progress
from .providers.base import ModelRequest, Reasoning, Stop
from .retry import RetryPolicy
from .step import Completed, ModelStep
from .thinking import ThinkingSplitter
from .toolcalls import INVALID_JSON, StepToolCalls, ToolPolicy, chunk_of
from .tools import DEFAULT_TIMEOUT, Tool, Toolset
from .usage import Cost, Usage

JSON = Any

MOST_PAUSES = 10
"""How often in a row a turn that the provider paused is sent again."""

LIMIT_NOTE = (
    "You have used all {turns} tool turns that this run allows. Answer now from what you have, "
    "without calling tools, and say plainly what is missing."
)

CUT_BY_BUDGET = "The budget “{budget}” had no room for a longer answer. What was written is kept."

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RunSpec:
    """What to run.

    Attributes:
        routes: the model and its fallbacks, first first.
        max_tokens: answer tokens per model call.
        max_tool_turns: model turns with tool calls in a row; then it must answer without.
        tool_timeout: seconds, for tools that name none of their own.
        approval: tools that wait for a person, besides those that say so themselves: their names, or
            names with a rule each (`approval.ApprovalRule`).
        user, cache_key: see `ModelRequest`.
    """

    routes: Sequence[Route]
    system: str = ""
    tools: Sequence[Tool] = ()
    max_tokens: int = 2000
    temperature: float | None = None
    reasoning: Reasoning = "off"
    max_tool_turns: int = 5
    tool_timeout: float = DEFAULT_TIMEOUT
    approval: frozenset[str] | Mapping[str, ApprovalRule] = frozenset()
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    response_schema: Mapping[str, JSON] | None = None
    user: str = ""
    cache_key: str = ""


async def run_loop(
    spec: RunSpec, messages: Sequence[Message], context: ExecutionContext, ports: Ports
) -> AsyncGenerator[Chunk, None]:
    """Streams one run, going on from what `ports.journal` remembers of it.

    Calls of the last remembered step are shown again as they stand (readers replace by id); its
    text is not. Provider and budget errors become an `error` chunk and `failed`; `context.cancelled`
    becomes `cancelled`. `RunFenced` and the host's own errors pass through without a terminal chunk,
    and so does `CancelledError`, after the provider's connection is closed. When a person has yet to
    decide on a call (`Approvals.decide` gave `None`) the last chunk is `waiting` and there is no terminal one.
    """
    run = LoopRun(spec, messages, context, ports)
    started = ports.clock.monotonic()
    status: Literal["complete", "cancelled", "failed"] = "complete"
    try:
        async with aclosing(run.steps()) as chunks:
            async for chunk in chunks:
                if context.reports.waiting:
                    for report in context.reports.take():
                        yield run.progress.of_report(report)
                yield chunk
    except RunCancelled:
        status, run.stop_reason = "cancelled", "cancelled"
    except RunFenced:
        raise
    except NexusError as error:
        _log.debug("the run failed: %s", error.code)  # its host and its chunks say so
        status, run.stop_reason = "failed", _stop_reason(error)
        if isinstance(error, BudgetExceeded):
            run.budget = error.budget
        yield ErrorChunk(error.message, error.code, error.retryable)
    if run.waiting:
        return
    yield MetadataChunk(
        status, run.summary(round((ports.clock.monotonic() - started) * 1000), cut=status != "complete")
    )


def _stop_reason(error: NexusError) -> str:
    if isinstance(error, BudgetExceeded):
        return "budget"
    return "refusal" if isinstance(error, Refused) else "error"


class LoopRun:
    """The state of one run while it goes. `steps()` streams it and raises what ends it early."""

    def __init__(
        self, spec: RunSpec, messages: Sequence[Message], context: ExecutionContext, ports: Ports
    ) -> None:
        self.spec = spec
        self.context = context
        self.ports = ports
        self.messages = list(messages)
        self.tools = Toolset(spec.tools)
        self.policy = ToolPolicy(spec.tool_timeout, spec.approval)
        self.routes = list(spec.routes)
        self.stop_reason = ""
        self.budget = ""
        self.waiting = False
        self.text = ""
        self.progress = Progress(ports.clock.monotonic)
        self.progress.begin()
        self.answered: tuple[str, str] | None = None
        self.index = 0
        self.tool_turns = 0
        self.pauses = 0
        self._recalled = False

    def ask_again(self, message: Message) -> None:
        """After the end: says something more, for another round of `steps()`."""
        self.messages.append(message)
        self.stop_reason = self.text = ""

    async def steps(self) -> AsyncGenerator[Chunk, None]:
        self._refuse_if_cancelled()
        if not self._recalled:
            self._recalled = True
            async with aclosing(self._recall()) as chunks:
                async for chunk in chunks:
                    yield chunk
        while not self.stop_reason and not self.waiting:
            self._refuse_if_cancelled()
            self._hear(await self.ports.inbox.take(self.index))
            step = ModelStep(
                index=self.index,
                routes=self.routes,
                build=self.request_to,
                context=self.context,
                ports=self.ports,
                retry=self.spec.retry,
            )
            try:
                async with aclosing(step.run()) as chunks:
                    async for chunk in chunks:
                        yield chunk
            finally:
                self.text += step.text
                for settled in step.spent:
                    self._add(settled.usage, settled.cost)
            assert step.completed is not None
            async with aclosing(self._after(step.completed)) as chunks:
                async for chunk in chunks:
                    yield chunk

    async def _recall(self) -> AsyncGenerator[Chunk, None]:
        """Replays what is already done: no model call and no completed tool call is repeated."""
        steps, calls = await self.ports.journal.load()
        for step in steps:
            self._hear(await self.ports.inbox.taken(step.index))
            self._take_over(step)
            self.text += _visible_text(step.parts)
            records = [call for call in calls if call.step == step.index]
            if not records:
                if step is steps[-1]:
                    await self._decide_without_calls(step)
                continue
            if step is steps[-1]:
                for record in records:
                    if record.status not in ("PENDING", "RUNNING"):
                        yield chunk_of(record)
            async with aclosing(self._run_calls(step.parts, records)) as chunks:
                async for chunk in chunks:
                    yield chunk

    async def _after(self, completed: Completed) -> AsyncGenerator[Chunk, None]:
        """Records the step, then runs what it asked for."""
        stop, route = completed.stop, completed.route
        wanted = self._wanted(stop)
        step = StepRecord(
            index=self.index,
            stop_reason=stop.reason,
            parts=stop.parts if wanted or stop.reason == "pause" else _without_calls(stop.parts),
            usage=completed.settled.usage,
            cost=completed.settled.cost,
            provider=route.provider.name,
            model=completed.outcome.model,
        )
        records = [
            ToolRecord(str(uuid4()), call.call_id, self.index, call.name, call.input, "PENDING")
            for call in wanted
        ]
        await self.ports.journal.step_completed(
            step, completed.attempt, completed.outcome, completed.settled, records
        )
        self._take_over(step)
        if stop.reason == "length" and completed.attempt.limited_by:
            budget = completed.attempt.limited_by
            raise BudgetExceeded(CUT_BY_BUDGET.format(budget=budget), budget=budget)
        if not records:
            await self._decide_without_calls(step)
            return
        yield self.progress.at_step(self.index)
        async with aclosing(self._run_calls(stop.parts, records)) as chunks:
            async for chunk in chunks:
                yield chunk

    def _wanted(self, stop: Stop) -> list[ToolCallPart]:
        """The calls to run: not those of a turn cut by length or refused, and none at the ceiling."""
        if self._at_ceiling or stop.reason not in ("end", "tool_calls", "stop_sequence"):
            return []
        return _calls(stop.parts)

    def _take_over(self, step: StepRecord) -> None:
        self.index = step.index + 1
        self.answered = (step.provider, step.model)
        if step.parts:
            self.messages.append(Message("assistant", step.parts))
        self._add(step.usage, step.cost)
        # The route that answered stays: the next step does not knock at a closed door again.
        names = [route.provider.name for route in self.routes]
        if step.provider in names:
            self.routes = self.routes[names.index(step.provider) :]

    async def _decide_without_calls(self, step: StepRecord) -> None:
        """The model called nothing: done, unless the provider paused or a person has said more."""
        if step.stop_reason == "pause" and self.pauses < MOST_PAUSES:
            self.pauses += 1
            return
        at_ceiling = self._at_ceiling
        if self._hear(await self.ports.inbox.take(self.index)):
            return
        finished = step.stop_reason in ("end", "tool_calls", "stop_sequence")
        self.stop_reason = "tool_limit" if at_ceiling and finished else step.stop_reason

    async def _run_calls(
        self, parts: Sequence[Part], records: Sequence[ToolRecord]
    ) -> AsyncGenerator[Chunk, None]:
        invalid = {
            call.call_id: str(call.provider_data[INVALID_JSON])
            for call in _calls(parts)
            if call.provider_data and INVALID_JSON in call.provider_data
        }
        calls = StepToolCalls(
            records,
            invalid=invalid,
            tools=self.tools,
            policy=self.policy,
            context=self.context,
            ports=self.ports,
            progress=self.progress,
        )
        async with aclosing(calls.run()) as chunks:
            async for chunk in chunks:
                yield chunk
        self.waiting = calls.undecided
        self.tool_turns += 1
        self.pauses = 0
        self.messages.append(calls.results())

    def _hear(self, steered: Sequence[Message]) -> bool:
        """What people said to the running agent, if anything; their word starts the count of tool turns anew."""
        self.messages.extend(steered)
        if steered:
            self.tool_turns = 0
        return bool(steered)

    @property
    def _at_ceiling(self) -> bool:
        return self.tool_turns >= self.spec.max_tool_turns > 0

    def request_to(self, route: Route) -> ModelRequest:
        """What that route would be asked now."""
        spec = self.spec
        system = spec.system
        if self._at_ceiling:
            system = f"{system}\n\n{LIMIT_NOTE.format(turns=spec.max_tool_turns)}".strip()
        return ModelRequest(
            model=route.model,
            messages=tuple(for_provider(self.messages, route.provider.name)),
            system=system,
            tools=tuple(tool.schema for tool in self.tools.for_model),
            tool_choice="none" if self._at_ceiling else "auto",
            max_tokens=spec.max_tokens,
            temperature=spec.temperature,
            reasoning=spec.reasoning,
            response_schema=spec.response_schema,
            user=spec.user,
            cache_key=spec.cache_key,
        )

    @property
    def usage(self) -> Usage:
        return self.progress.usage

    @property
    def cost(self) -> Cost:
        return self.progress.cost

    def _add(self, usage: Usage, cost: Cost) -> None:
        self.progress.usage += usage
        self.progress.cost += cost

    def _refuse_if_cancelled(self) -> None:
        if self.context.cancelled.is_set():
            raise RunCancelled("Stopped.")

    def summary(self, duration_ms: int, *, cut: bool) -> dict[str, JSON]:
        """The fields of the terminal chunk."""
        fields: dict[str, JSON] = {
            "tokenUsage": self.usage.to_wire(),
            "cost": self.cost.to_wire(),
            "durationMs": duration_ms,
            "stopReason": self.stop_reason,
            "confidence": confidence(self.text),
        }
        if self.answered:
            fields["provider"], fields["model"] = self.answered
        if self.budget:
            fields["budget"] = self.budget
        if cut or self.usage.estimated:
            fields["estimated"] = True
        return fields


def _calls(parts: Sequence[Part]) -> list[ToolCallPart]:
    return [part for part in parts if isinstance(part, ToolCallPart)]


def _without_calls(parts: Sequence[Part]) -> tuple[Part, ...]:
    """A turn whose calls are not run: they and the thinking that led to them would be refused on replay."""
    if not _calls(parts):
        return tuple(parts)
    return tuple(part for part in parts if not isinstance(part, ToolCallPart | ReasoningPart))


def _visible_text(parts: Sequence[Part]) -> str:
    """The text of a recorded turn without the thinking in it."""
    splitter = ThinkingSplitter()
    pieces = (
        splitter.feed("".join(part.text for part in parts if isinstance(part, TextPart))) + splitter.finish()
    )
    return "".join(text for kind, text in pieces if kind == "text")
