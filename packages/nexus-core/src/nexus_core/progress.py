"""Progress: how far a run, or one of its tool calls, has come [G1].

Whoever knows says so with `context.progress(percentage=40)`; nobody guesses. What is
told is a `progress` chunk with all fields of the contract, null where unknown, the
remaining time in seconds. A percentage never falls. Without `toolId` a chunk is about the run, with it about that call.
"""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from .chunks import MetadataChunk
from .usage import Cost, Usage, pico_to_usd

REPORT_SECONDS = 0.25
"""At most one progress chunk in that time is shown of all the tool calls of a step."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a tool or agent said of itself; see `ExecutionContext.progress`."""

    tool_id: str = ""
    percentage: float | None = None
    current_step: int | None = None
    total_steps: int | None = None
    remaining_seconds: float | None = None
    message: str = ""


class Reports:
    """Reports that nobody has taken yet: the newest of each tool call, and of the agent. Any thread may add."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._newest: dict[str, Report] = {}
        self._bell: Callable[[], object] | None = None

    @property
    def waiting(self) -> bool:
        return bool(self._newest)

    def add(self, report: Report) -> None:
        with self._lock:
            self._newest.pop(report.tool_id, None)
            self._newest[report.tool_id] = report
            bell = self._bell
        if bell is not None:
            bell()

    def take(self, tool_id: str | None = None) -> list[Report]:
        """All of them, or that of one tool call, oldest first."""
        with self._lock:
            if tool_id is not None:
                report = self._newest.pop(tool_id, None)
                return [report] if report is not None else []
            taken, self._newest = list(self._newest.values()), {}
        return taken

    @contextmanager
    def ringing(self, bell: Callable[[], object]) -> Iterator[None]:
        """Calls `bell` on this event loop whenever there is a report."""
        loop = asyncio.get_running_loop()

        def ring() -> None:
            try:
                loop.call_soon_threadsafe(bell)
            except RuntimeError:  # a tool's thread that outlived its loop
                return

        before, self._bell = self._bell, ring
        try:
            yield
        finally:
            self._bell = before


@dataclass(slots=True)
class _Known:
    """The last word on the run (without a tool's id) or on a call."""

    since: float
    percentage: float | None = None
    current_step: int | None = None
    total_steps: int | None = None
    remaining_seconds: float | None = None
    message: str = ""


@dataclass(slots=True)
class Progress:
    """The progress of one run, made into chunks. `now` gives seconds that only grow."""

    now: Callable[[], float]
    usage: Usage = field(default_factory=Usage)
    cost: Cost = field(default_factory=Cost)
    _known: dict[str, _Known] = field(default_factory=dict)

    def begin(self, tool_id: str = "") -> None:
        """From here its remaining time is reckoned."""
        self._known[tool_id] = _Known(self.now())

    def at_step(self, done: int) -> MetadataChunk:
        """The run at a border between two steps; `done` model calls are complete. An agent's own count goes first."""
        known = self._of("")
        return self._chunk("", known, done if known.current_step is None else known.current_step)

    def of_report(self, report: Report) -> MetadataChunk:
        known = self._of(report.tool_id)
        if report.current_step is not None:
            known.current_step = max(report.current_step, known.current_step or 0, 0)
        if report.total_steps is not None:
            known.total_steps = max(report.total_steps, 1)
        told = _percentage(report.percentage)
        if told is None and report.current_step is not None and known.total_steps:
            told = _percentage(100 * (known.current_step or 0) / known.total_steps)
        if told is not None:
            known.percentage = max(told, known.percentage or 0.0)
        known.remaining_seconds = report.remaining_seconds
        known.message = report.message or known.message
        return self._chunk(report.tool_id, known, known.current_step)

    def _of(self, tool_id: str) -> _Known:
        if tool_id not in self._known:
            self.begin(tool_id)
        return self._known[tool_id]

    def _chunk(self, tool_id: str, known: _Known, current_step: int | None) -> MetadataChunk:
        return MetadataChunk(
            "progress",
            {
                **({"toolId": tool_id} if tool_id else {}),
                "percentage": None if known.percentage is None else round(known.percentage, 1),
                "currentStep": current_step,
                "totalSteps": known.total_steps,
                "estimatedTimeRemaining": self._remaining(known),
                "tokensUsed": self.usage.total,
                "cost": pico_to_usd(self.cost.total),
                **({"message": known.message} if known.message else {}),
            },
        )

    def _remaining(self, known: _Known) -> float | None:
        """Seconds: what was told; else, after a first part is done, the rest at the same pace."""
        told = known.remaining_seconds
        if told is not None and math.isfinite(told):
            return round(max(float(told), 0.0), 1)
        if not known.percentage:
            return None
        elapsed = self.now() - known.since
        return round(elapsed * (100 - known.percentage) / known.percentage, 1)


def _percentage(value: float | None) -> float | None:
    """Between 0 and 100; what is no number is unknown."""
    if value is None or not math.isfinite(value):
        return None
    return min(max(float(value), 0.0), 100.0)
