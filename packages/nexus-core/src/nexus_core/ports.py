"""What the loop needs from outside itself, as small protocols that the host injects.

With the defaults (`nexus_core.defaults`) the loop runs in a ten-line script
without a database. Nexus injects its own: the meter books attempts in `billing`,
the journal keeps steps and tool calls in `conversations`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol
from uuid import UUID

from .messages import Message, Part
from .providers.base import ModelRequest, StopReason
from .usage import Cost, Usage

JSON = Any


@dataclass(frozen=True, slots=True)
class Attempt:
    """A reserved provider request. `max_tokens` is what the meter lets it spend (≤ what was asked)."""

    id: UUID
    provider: str
    model: str
    max_tokens: int
    limited_by: str = ""
    """The budget that `max_tokens` was made smaller for."""


@dataclass(frozen=True, slots=True)
class AttemptOutcome:
    """How a provider request ended.

    `usage` is None when the provider never said; then `streamed_text` (what left
    the provider, reasoning and tool arguments included) is what the meter counts.
    """

    status: Literal["complete", "failed", "cancelled", "cut"]
    usage: Usage | None
    streamed_text: str
    stop_reason: str | None = None
    error_code: str | None = None
    duration_ms: int = 0
    time_to_first_token_ms: int | None = None
    model: str = ""
    request_id: str = ""
    sent: bool = True
    """False: refused before a byte left (no connection, no key); nothing is charged."""


@dataclass(frozen=True, slots=True)
class Settled:
    """What an attempt finally cost."""

    usage: Usage
    cost: Cost


class Meter(Protocol):
    """Reserve before bytes leave, settle once after. No meter, no call."""

    async def reserve(self, request: ModelRequest, *, provider: str, step: int, attempt: int) -> Attempt: ...

    def price(self, attempt: Attempt, outcome: AttemptOutcome) -> Settled:
        """What the outcome costs at the price chosen at `reserve`; pure, no I/O."""
        ...

    async def settle(self, attempt: Attempt, outcome: AttemptOutcome, settled: Settled) -> None:
        """Books a failed or cut attempt. A completed one is booked by `Journal.step_completed`,
        in the transaction that ends its step."""
        ...


@dataclass(frozen=True, slots=True)
class StepRecord:
    """A completed model call: what a resume or a takeover goes on from."""

    index: int
    """0, 1, 2 … within the run."""
    stop_reason: StopReason
    parts: tuple[Part, ...]
    """The assistant turn, to be replayed unchanged."""
    usage: Usage
    cost: Cost
    provider: str
    model: str


@dataclass(frozen=True, slots=True)
class ToolRecord:
    """A tool call of a step, as the journal knows it."""

    tool_id: str
    """Ours, unique everywhere."""
    call_id: str
    """The provider's."""
    step: int
    name: str
    input: Mapping[str, JSON]
    status: Literal["PENDING", "RUNNING", "COMPLETED", "FAILED", "UNKNOWN"]
    result: JSON = None
    error: str | None = None
    duration_ms: int | None = None
    question: bool = False
    """It asks a person something (`Tool.asks_person`); set where it is put to `Approvals`."""
    cost: int = 0
    """pico-USD that the tool reported (`ExecutionContext.charge`); set where the call ends."""


class Journal(Protocol):
    """Remembers steps and tool calls, so that nothing completed is ever repeated."""

    async def load(self) -> tuple[Sequence[StepRecord], Sequence[ToolRecord]]:
        """What earlier owners of this run completed or started, in order; empty for a new run."""
        ...

    async def step_completed(
        self,
        step: StepRecord,
        attempt: Attempt,
        outcome: AttemptOutcome,
        settled: Settled,
        calls: Sequence[ToolRecord],
    ) -> None:
        """One transaction: the step, its tool calls (PENDING), and the settlement of its attempt."""
        ...

    async def tool_started(self, call: ToolRecord) -> None:
        """Durably RUNNING, before the effect."""
        ...

    async def tool_finished(self, call: ToolRecord) -> None:
        """COMPLETED, FAILED or UNKNOWN with its result, after the effect."""
        ...


@dataclass(frozen=True, slots=True)
class Decision:
    """What a person said to a waiting tool call; `note` is told to the model when it was denied.

    `answer` is the result of a call that asks a person something; `approved` is then whether they answered.
    """

    approved: bool
    note: str = ""
    answer: JSON = None


class Approvals(Protocol):
    """Asks a person about a tool call that needs approval, or that is a question to a person."""

    async def known(self, call: ToolRecord) -> Decision | None:
        """A decision that is there already: made while the run waited, or remembered from an earlier call.
        `None`: somebody has to be asked."""
        ...

    async def decide(self, call: ToolRecord) -> Decision | None:
        """The decision on this call, which is PENDING. It may wait for a person here, or answer
        `None`: nobody has decided yet. Then the loop ends behind its `waiting` chunks without a
        terminal chunk, and the host runs it again (with the same journal) once there is a decision."""
        ...


class Clock(Protocol):
    def monotonic(self) -> float: ...

    async def sleep(self, seconds: float) -> None: ...


class Inbox(Protocol):
    """Messages that people steer a running agent with; read at each step."""

    async def take(self, step: int) -> Sequence[Message]:
        """What is to be said before that step, in order: what an earlier owner of the run took for it, and
        everything new. Each message is given once."""
        ...

    async def taken(self, step: int) -> Sequence[Message]:
        """Only what was taken for that step before: it is completed, and gone through again."""
        ...


@dataclass(frozen=True, slots=True)
class Ports:
    """All of them for one run; `nexus_core.defaults.default_ports()` makes a set without a host."""

    meter: Meter
    journal: Journal
    clock: Clock
    inbox: Inbox
    approvals: Approvals
