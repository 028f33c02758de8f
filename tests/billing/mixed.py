"""A process that makes provider calls of every kind, as a worker does, and may be killed at any moment.

One JSON order a line on stdin, a line on stdout for each call that ended. What the provider's pieces said is written
to a file before anybody hears it, for each request apart: that is what was streamed, whatever becomes of the process.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

ROUTES = (("mixed-a", "openai-chat", "chaos-a"), ("mixed-b", "anthropic", "claude-chaos-b"))
"""Name, wire and model of the two providers; each is the other one's fallback."""


@dataclass(slots=True)
class Said:
    """What one call heard, request by request."""

    file: int
    key: str
    attempt: UUID | None = None

    def write(self, text: str) -> None:
        if text:
            line = json.dumps({"key": self.key, "attempt": str(self.attempt), "text": text})
            os.write(self.file, (line + "\n").encode())


def main() -> None:
    import django

    django.setup()
    asyncio.run(_serve(os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644), sys.argv[2]))


async def _serve(file: int, url: str) -> None:
    print(json.dumps("ready"), flush=True)
    going: set[asyncio.Task[None]] = set()
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        order = json.loads(line)
        task = asyncio.create_task(_call(Said(file, order["key"]), url, order))
        going.add(task)
        task.add_done_callback(going.discard)
    await asyncio.gather(*going)


async def _call(said: Said, url: str, order: dict[str, Any]) -> None:
    from billing.meter import DbMeter
    from nexus_core.agent import AgentRequest, ModelAgent, run_agent
    from nexus_core.context import ExecutionContext
    from nexus_core.defaults import MemoryJournal, default_ports
    from nexus_core.fallback import Route
    from nexus_core.providers.base import (
        ModelEvent,
        ModelRequest,
        ProviderSpec,
        ReasoningDelta,
        TextDelta,
        ToolInputDelta,
    )
    from nexus_core.providers.table import create_provider
    from nexus_core.retry import RetryPolicy
    from nexus_core.tools import tool

    class Heard:
        """A provider, with what it says written down first."""

        def __init__(self, name: str, wire: Any) -> None:
            base = f"{url}/v1" if wire == "openai-chat" else url
            self._inner = create_provider(ProviderSpec(name, name, wire, base), key="k")
            self.name = name

        def __getattr__(self, name: str) -> Any:
            return getattr(self._inner, name)

        async def stream(self, request: ModelRequest) -> AsyncIterator[ModelEvent]:
            async for event in self._inner.stream(request):
                match event:
                    case TextDelta(text) | ReasoningDelta(text):
                        said.write(text)
                    case ToolInputDelta(partial_json=text):
                        said.write(text or "")
                yield event

    class Meter(DbMeter):
        async def reserve(self, *given: Any, **named: Any) -> Any:
            attempt = await super().reserve(*given, **named)
            said.attempt = attempt.id
            return attempt

    class Journal(MemoryJournal):
        """Books a completed step, as a journal does."""

        async def step_completed(
            self, step: Any, attempt: Any, outcome: Any, settled: Any, calls: Any
        ) -> None:
            await meter.settle(attempt, outcome, settled)
            await MemoryJournal.step_completed(self, step, attempt, outcome, settled, calls)

    class NoWaiting:
        def monotonic(self) -> float:
            return asyncio.get_running_loop().time()

        async def sleep(self, seconds: float) -> None:
            await asyncio.sleep(0)

    @tool(idempotent=True)
    async def chaos_append(key: str, before_ms: int = 0, after_ms: int = 0) -> str:
        """Notes a key."""
        return key

    meter = Meter(workspace_id=UUID(order["workspace"]), run_id=UUID(order["run"]), agent_slug="mixed")
    routes = [Route(Heard(name, wire), model) for name, wire, model in ROUTES]  # type: ignore[arg-type]
    agent = ModelAgent(
        id="mixed", routes=routes if order["first"] == 0 else routes[::-1], tools=[chaos_append], max_tokens=800,
        reasoning="low", retry=RetryPolicy(base=0.0),
    )  # fmt: skip
    context = ExecutionContext(run_id=order["run"])
    ports = replace(default_ports(), meter=meter, journal=Journal(), clock=NoWaiting())
    left = order["stop_after"]
    async for chunk in run_agent(
        agent, AgentRequest("mixed", order["message"], context=context, ports=ports)
    ):
        if chunk.type == "content" and left >= 0:
            left -= 1
            if left < 0:
                context.cancelled.set()
    print(json.dumps(said.key), flush=True)


if __name__ == "__main__":
    main()
