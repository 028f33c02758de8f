"""Ports for use without a host: everything in memory, for one run."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import uuid4

from .estimate import estimate_usage
from .messages import Message
from .ports import Attempt, AttemptOutcome, Decision, Ports, Settled, StepRecord, ToolRecord
from .providers.base import ModelRequest
from .usage import Cost, Usage


@dataclass(slots=True)
class MemoryMeter:
    """Counts tokens; it has no prices, so whatever used tokens costs `None`.

    `reserved` and `settled` are the requests so far, in order; a completed one is settled
    by its journal, so it appears in `settled` of a meter only through `MemoryJournal`.
    """

    reserved: list[Attempt] = field(default_factory=list)
    settled: list[tuple[Attempt, AttemptOutcome, Settled]] = field(default_factory=list)
    _requests: dict[object, ModelRequest] = field(default_factory=dict)

    async def reserve(self, request: ModelRequest, *, provider: str, step: int, attempt: int) -> Attempt:
        reserved = Attempt(uuid4(), provider, request.model, request.max_tokens)
        self.reserved.append(reserved)
        self._requests[reserved.id] = request
        return reserved

    def price(self, attempt: Attempt, outcome: AttemptOutcome) -> Settled:
        usage = outcome.usage
        if not outcome.sent:
            usage = Usage()
        elif usage is None:
            usage = estimate_usage(self._requests[attempt.id], outcome.streamed_text)
        return Settled(usage, Cost(None, None) if usage.total else Cost())

    async def settle(self, attempt: Attempt, outcome: AttemptOutcome, settled: Settled) -> None:
        self.settled.append((attempt, outcome, settled))
        self._requests.pop(attempt.id, None)


@dataclass(slots=True)
class MemoryJournal:
    """Steps and tool calls of one run. Give the same one to a second `run_loop` and it goes on."""

    steps: list[StepRecord] = field(default_factory=list)
    calls: dict[str, ToolRecord] = field(default_factory=dict)

    async def load(self) -> tuple[Sequence[StepRecord], Sequence[ToolRecord]]:
        return tuple(self.steps), tuple(self.calls.values())

    async def step_completed(
        self,
        step: StepRecord,
        attempt: Attempt,
        outcome: AttemptOutcome,
        settled: Settled,
        calls: Sequence[ToolRecord],
    ) -> None:
        self.steps.append(step)
        self.calls.update({call.tool_id: call for call in calls})

    async def tool_started(self, call: ToolRecord) -> None:
        self.calls[call.tool_id] = call

    async def tool_finished(self, call: ToolRecord) -> None:
        self.calls[call.tool_id] = call


class SystemClock:
    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class EmptyInbox:
    async def take(self, step: int) -> Sequence[Message]:
        return ()

    async def taken(self, step: int) -> Sequence[Message]:
        return ()


class NobodyApproves:
    """Denies every call that needs approval, and says why."""

    async def known(self, call: ToolRecord) -> Decision | None:
        return None

    async def decide(self, call: ToolRecord) -> Decision | None:
        if call.question:
            return Decision(False, "there is nobody here who could be asked.")
        return Decision(False, f"{call.name} needs the approval of a person, and nobody can approve here.")


def default_ports() -> Ports:
    """A fresh set for one run."""
    return Ports(MemoryMeter(), MemoryJournal(), SystemClock(), EmptyInbox(), NobodyApproves())
