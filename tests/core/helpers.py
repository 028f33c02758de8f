"""What the tests of the framework share: a clock that does not wait, and ways to run an agent."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from nexus_core import AgentRequest, AgentResponse, Chunk, ModelAgent, Route, Tool
from nexus_core.chunks import ContentChunk, ErrorChunk, MetadataChunk, ReasoningChunk, ToolCallChunk
from nexus_core.context import ExecutionContext
from nexus_core.defaults import MemoryJournal, MemoryMeter, default_ports
from nexus_core.ports import Attempt, AttemptOutcome, Ports, Settled, StepRecord, ToolRecord
from nexus_core.providers.scripted import ScriptedProvider, Turn
from nexus_core.retry import RetryPolicy


class FakeClock:
    """Time passes only by sleeping; `slept` tells how long, each time."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


@dataclass
class BookingJournal(MemoryJournal):
    """Keeps what the host books with a step, and the order of everything it is told."""

    booked: list[tuple[Attempt, AttemptOutcome, Settled]] = field(default_factory=list)
    told: list[tuple[str, str]] = field(default_factory=list)

    async def step_completed(
        self,
        step: StepRecord,
        attempt: Attempt,
        outcome: AttemptOutcome,
        settled: Settled,
        calls: Sequence[ToolRecord],
    ) -> None:
        await super().step_completed(step, attempt, outcome, settled, calls)
        self.booked.append((attempt, outcome, settled))
        self.told.append(("step", step.stop_reason))

    async def tool_started(self, call: ToolRecord) -> None:
        await super().tool_started(call)
        self.told.append(("started", call.name))

    async def tool_finished(self, call: ToolRecord) -> None:
        await super().tool_finished(call)
        self.told.append((call.status, call.name))


@dataclass
class Bench:
    """An agent on a scripted provider with everything to look at afterwards."""

    agent: ModelAgent
    providers: list[ScriptedProvider]
    clock: FakeClock
    meter: MemoryMeter
    journal: BookingJournal
    context: ExecutionContext
    ports: Ports

    @property
    def provider(self) -> ScriptedProvider:
        return self.providers[0]

    def request(self, text: str = "Hello") -> AgentRequest:
        return AgentRequest("test", text, self.context, ports=self.ports)

    async def run(self, text: str = "Hello") -> AgentResponse:
        return await self.agent.execute(self.request(text))


def bench(
    script: Iterable[Turn] | Sequence[Iterable[Turn]],
    *,
    tools: Iterable[Tool] = (),
    fallbacks: Sequence[Iterable[Turn]] = (),
    context: ExecutionContext | None = None,
    **agent: Any,
) -> Bench:
    """An agent whose provider plays `script`; each fallback is a provider of its own with its script."""
    providers = [ScriptedProvider(s, name=f"p{n}") for n, s in enumerate([script, *fallbacks])]
    clock, meter, journal = FakeClock(), MemoryMeter(), BookingJournal()
    return Bench(
        agent=ModelAgent(
            id="test",
            routes=[Route(p, f"model-{p.name}") for p in providers],
            tools=list(tools),
            retry=agent.pop("retry", RetryPolicy(jitter=lambda: 1.0)),
            **agent,
        ),
        providers=providers,
        clock=clock,
        meter=meter,
        journal=journal,
        context=context or ExecutionContext(),
        ports=replace(default_ports(), meter=meter, journal=journal, clock=clock),
    )


def statuses(chunks: Iterable[Chunk]) -> list[str]:
    """The run as short words: `content`, `tool:RUNNING`, `retrying`, `complete` … with repeats folded."""
    words: list[str] = []
    for chunk in chunks:
        match chunk:
            case ToolCallChunk():
                word = f"{chunk.tool_name}:{chunk.status}"
            case MetadataChunk():
                word = chunk.status
            case ErrorChunk():
                word = f"error:{chunk.code}"
            case _:
                word = chunk.type
        if not words or words[-1] != word or chunk.type == "metadata":
            words.append(word)
    return words


def text_of(chunks: Iterable[Chunk]) -> str:
    return "".join(c.text for c in chunks if isinstance(c, ContentChunk))


def reasoning_of(chunks: Iterable[Chunk]) -> str:
    return "".join(c.text for c in chunks if isinstance(c, ReasoningChunk))


def terminal_of(chunks: Sequence[Chunk]) -> MetadataChunk:
    """The terminal chunk, which must be the last one and the only one."""
    found = [c for c in chunks if isinstance(c, MetadataChunk) and c.terminal]
    assert len(found) == 1, found
    assert chunks[-1] is found[0]
    return found[0]
