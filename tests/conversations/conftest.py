"""A running engine, and agents whose provider plays a script."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from uuid import UUID

import orjson
import pytest
from django.conf import settings

from agents.models import Agent
from conversations.database import in_database
from conversations.engine import runner
from conversations.engine.start import EngineHost
from conversations.follow import follow
from conversations.log import whole_log
from conversations.models import Run
from nexus_core.agent import ModelAgent
from nexus_core.fallback import Route
from nexus_core.providers.scripted import ScriptedProvider, Turn
from nexus_core.retry import RetryPolicy
from nexus_core.tools import Tool
from realtime.hub import close_hub


@asynccontextmanager
async def executing() -> AsyncIterator[EngineHost]:
    """A process that executes runs, on this test's loop: the embedded server, or with Redis a worker."""
    scaled = bool(settings.NEXUS_REDIS_URL)
    host = EngineHost("worker" if scaled else "web", lock=False)
    await host.start()
    stop = asyncio.Event()
    working = asyncio.create_task(host.work(stop)) if scaled else None
    try:
        yield host
    finally:
        if working is not None:
            stop.set()
            await working
        await host.stop()
        await close_hub()


@pytest.fixture
async def engine(transactional_db: None) -> AsyncIterator[EngineHost]:
    async with executing() as host:
        yield host


@pytest.fixture
def plays(monkeypatch: pytest.MonkeyPatch) -> Callable[..., ScriptedProvider]:
    """`plays("Hello")` makes every agent play these turns; gives the provider with its requests."""

    def use(
        *turns: Turn, tools: Iterable[Tool] = (), delay: float = 0.0, **options: object
    ) -> ScriptedProvider:
        provider = ScriptedProvider(turns, delay=delay)

        def build(agent: Agent, **_: object) -> ModelAgent:
            return ModelAgent(
                id=agent.slug,
                name=agent.name,
                routes=[Route(provider, "scripted-1")],
                tools=list(tools),
                retry=RetryPolicy(base=0.001),
                **options,  # type: ignore[arg-type]
            )

        monkeypatch.setattr(runner, "build_agent", build)
        return provider

    return use


async def chunks_of(run_id: UUID, after: int = 0) -> list[tuple[int, dict[str, object]]]:
    """Follows the run to its end, as any watcher does."""
    async with asyncio.timeout(60):
        return [(seq, orjson.loads(wire)) async for seq, wire in follow(run_id, after)]


async def stored(run_id: UUID) -> list[tuple[int, dict[str, object]]]:
    return [(seq, orjson.loads(wire)) for seq, _, wire in await in_database(whole_log, run_id)]


async def reloaded(run: Run) -> Run:
    return await in_database(Run.objects.get, pk=run.pk)


def text_of(chunks: list[tuple[int, dict[str, object]]]) -> str:
    return "".join(str(chunk["data"]) for _, chunk in chunks if chunk["type"] == "content")


def last_status(chunks: list[tuple[int, dict[str, object]]]) -> object:
    return chunks[-1][1]["data"]["status"]  # type: ignore[index,call-overload]
