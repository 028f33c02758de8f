"""Stop: at every place where a run can be, within a second, with the partial kept."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import replace

import pytest

from nexus_core import Usage, tool
from nexus_core.chunks import ToolCallChunk
from nexus_core.defaults import MemoryMeter
from nexus_core.errors import ProviderUnavailable
from nexus_core.estimate import ready
from nexus_core.providers.base import TextDelta, UsageUpdate
from nexus_core.providers.scripted import call, say

from .helpers import bench, statuses, terminal_of, text_of


async def collect_and_cancel(b, when):
    """All chunks of a run that is cancelled at the first chunk for which `when` says so."""
    chunks = []
    async for chunk in b.agent.stream(b.request()):
        chunks.append(chunk)
        if when(chunk):
            b.context.cancelled.set()
            b.stopped_at = time.monotonic()
    return chunks


async def test_it_stops_a_provider_that_is_silent_and_closes_its_stream():
    await ready()
    took: list[float] = []
    # The best of three: a machine may stand still for a moment.
    while not took or (took[-1] >= 1 and len(took) < 3):
        b = bench([[UsageUpdate(Usage(input=9)), TextDelta("So far"), 3600.0, TextDelta(" never")]])
        stream = b.agent.stream(b.request())
        chunks = [await anext(stream)]
        asyncio.get_running_loop().call_later(0.01, b.context.cancelled.set)
        started = time.monotonic()
        chunks += [chunk async for chunk in stream]
        took.append(time.monotonic() - started)
    assert took[-1] < 1, took
    assert b.provider.closed == 1
    assert text_of(chunks) == "So far"
    done = terminal_of(chunks)
    assert (done.status, done.fields["stopReason"], done.fields["estimated"]) == (
        "cancelled",
        "cancelled",
        True,
    )
    assert done.fields["tokenUsage"]["input"] == 9
    assert done.fields["tokenUsage"]["output"] > 0
    ((_, outcome, _),) = b.meter.settled
    assert (outcome.status, outcome.streamed_text) == ("cancelled", "So far")


async def test_it_stops_between_pieces_of_a_fast_stream():
    b = bench([say("word " * 1000)])
    chunks = await collect_and_cancel(b, lambda c: c.type == "content")
    assert statuses(chunks) == ["content", "cancelled"]
    assert 0 < len(text_of(chunks)) < 5000 / 2
    ((_, outcome, _),) = b.meter.settled
    assert outcome.streamed_text.startswith("word")


async def test_it_asks_no_model_when_cancelled_before_it_began():
    b = bench([say("never")])
    b.context.cancelled.set()
    chunks = (await b.run()).chunks
    assert statuses(chunks) == ["cancelled"]
    assert b.provider.requests == []
    assert b.meter.reserved == []


async def test_it_charges_nothing_when_cancelled_while_reserving():
    b = bench([say("never")])

    class Slow(MemoryMeter):
        async def reserve(self, request, **kw):
            b.context.cancelled.set()
            return await MemoryMeter.reserve(self, request, **kw)

    meter = Slow()
    b.ports = replace(b.ports, meter=meter)
    chunks = (await b.run()).chunks
    assert statuses(chunks) == ["cancelled"]
    assert b.provider.requests == []
    ((_, outcome, settled),) = meter.settled
    assert outcome.sent is False
    assert settled.usage == Usage()


async def test_it_stops_while_waiting_for_a_retry():
    b = bench([ProviderUnavailable("busy", status=529), say("never")])
    forever = asyncio.Event()

    async def sleep(seconds: float) -> None:
        b.context.cancelled.set()
        await forever.wait()

    b.clock.sleep = sleep  # type: ignore[method-assign]
    chunks = (await b.run()).chunks
    assert statuses(chunks) == ["retrying", "cancelled"]
    assert len(b.provider.requests) == 1


@pytest.mark.parametrize(("idempotent", "status"), [(True, "FAILED"), (False, "UNKNOWN")])
async def test_it_stops_running_tools_and_says_what_became_of_them(idempotent, status):
    ended = asyncio.Event()

    @tool(idempotent=idempotent, timeout=3600)
    async def endless() -> None:
        """Never ends."""
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    b = bench([call(("endless", {})), say("never")], tools=[endless])
    chunks = await collect_and_cancel(b, lambda c: isinstance(c, ToolCallChunk) and c.status == "RUNNING")
    assert statuses(chunks) == ["progress", "endless:RUNNING", f"endless:{status}", "cancelled"]
    assert ended.is_set()
    assert [c.status for c in b.journal.calls.values()] == [status]
    assert len(b.provider.requests) == 1


async def test_it_closes_everything_and_reraises_when_its_task_is_cancelled():
    b = bench([[TextDelta("So far"), 3600.0]])
    seen = asyncio.Event()
    chunks = []

    async def host():
        async with contextlib.aclosing(b.agent.stream(b.request())) as stream:
            async for chunk in stream:
                chunks.append(chunk)
                seen.set()

    task = asyncio.create_task(host())
    await seen.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert b.provider.closed == 1
    assert statuses(chunks) == ["content"]
    assert [o.status for _, o, _ in b.meter.settled] == ["cut"]


async def test_it_leaves_a_tool_running_in_the_journal_when_its_host_goes():
    started = asyncio.Event()

    @tool(timeout=3600)
    async def endless() -> None:
        """Never ends."""
        started.set()
        await asyncio.Event().wait()

    b = bench([call(("endless", {})), say("never")], tools=[endless])
    task = asyncio.create_task(b.run())
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [c.status for c in b.journal.calls.values()] == ["RUNNING"]


async def test_it_closes_the_provider_when_a_reader_goes_away():
    b = bench([[TextDelta("a"), TextDelta("b"), 3600.0]])
    stream = b.agent.stream(b.request())
    await anext(stream)
    await stream.aclose()
    assert b.provider.closed == 1
    assert [o.status for _, o, _ in b.meter.settled] == ["cut"]


async def test_it_leaves_no_task_behind():
    before = len(asyncio.all_tasks())
    b = bench([call(("nothing", {})), say("ok")])
    await b.run()
    await asyncio.sleep(0)
    assert len(asyncio.all_tasks()) == before


async def test_it_reads_no_further_ahead_than_its_reader_allows():
    produced = 0

    def endless(request):
        def events():
            nonlocal produced
            while True:
                produced += 1
                yield TextDelta("x")
                yield 0.0

        return events()

    b = bench([endless])
    stream = b.agent.stream(b.request())
    await anext(stream)
    for _ in range(2000):
        await asyncio.sleep(0)
    assert produced <= 300
    await stream.aclose()
