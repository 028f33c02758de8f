"""What an owner writes that was replaced a moment ago: not its tool's result, not the run's end.

Here the other owner comes in the one moment in which the log's writer cannot have told of it yet.
"""

from __future__ import annotations

import asyncio

import pytest

from conversations.database import in_database
from conversations.engine import runner
from conversations.models import Run, ToolCall
from conversations.services.run_start import run_start
from nexus_core.messages import ToolCallPart
from nexus_core.providers.base import Stop
from nexus_core.tools import tool
from nexus_core.usage import Usage
from workspaces.access import Actor

from .conftest import reloaded, stored, text_of

pytestmark = pytest.mark.django_db(transaction=True)
OTHERS = 7
"""The epoch of the owner that came."""


async def begin(actor: Actor):
    return await in_database(run_start, actor=actor, agent_id="demo-agent", input_="Hello")


async def left(engine, run: Run) -> None:
    """Waits until this process has let go of the run."""
    async with asyncio.timeout(30):
        while run.pk not in engine.runner._tasks and (await reloaded(run)).epoch != OTHERS:
            await asyncio.sleep(0.01)
        while run.pk in engine.runner._tasks:
            await asyncio.sleep(0.01)


async def test_it_does_not_record_a_tools_result_that_is_another_owners_to_tell(engine, alice, plays):
    @tool
    async def slow_note(text: str) -> str:
        """Notes something, and is overtaken meanwhile."""

        def overtake() -> None:
            call = ToolCall.objects.get(tool_name="slow_note")
            ToolCall.objects.filter(pk=call.pk).update(status="UNKNOWN")
            Run.objects.filter(pk=call.run_id).update(epoch=OTHERS)

        await in_database(overtake)
        return text

    asked = Stop("tool_calls", (ToolCallPart("c1", "slow_note", {"text": "x"}),), Usage(input=1, output=1))
    plays([asked], "Never said.", tools=[slow_note])
    started = await begin(alice)
    await left(engine, started.run)
    call = await in_database(ToolCall.objects.get, run_id=started.run.pk)
    assert (call.status, call.result) == ("UNKNOWN", None)
    assert "Never said" not in text_of(await stored(started.run.pk))


async def test_it_does_not_end_a_run_that_is_another_owners(engine, alice, plays, monkeypatch):
    finish = runner.run_finish

    def overtaken(run: Run, **ending: object) -> None:
        Run.objects.filter(pk=run.pk).update(epoch=OTHERS)
        finish(run, **ending)  # type: ignore[arg-type]

    monkeypatch.setattr(runner, "run_finish", overtaken)
    plays("All said.")
    started = await begin(alice)
    await left(engine, started.run)
    run, chunks = await reloaded(started.run), await stored(started.run.pk)
    assert (run.status, run.epoch, run.finished_at) == ("running", OTHERS, None)
    assert text_of(chunks) == "All said."
    assert chunks[-1][1]["type"] == "content"
