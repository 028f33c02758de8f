"""Progress: told by whoever knows, never falling, never invented."""

from __future__ import annotations

import asyncio
import threading

from hypothesis import given
from hypothesis import strategies as st

from nexus_core import AgentRequest, BaseAgent
from nexus_core.chunks import MetadataChunk, ToolCallChunk
from nexus_core.context import ExecutionContext
from nexus_core.progress import Progress, Report
from nexus_core.providers.scripted import call, say
from nexus_core.tools import tool
from nexus_core.usage import Usage

from .helpers import bench

FIELDS = {"percentage", "currentStep", "totalSteps", "estimatedTimeRemaining", "tokensUsed", "cost"}


def told(chunks, *names: str) -> list:
    found = [c.fields for c in chunks if isinstance(c, MetadataChunk) and c.status == "progress"]
    assert all(set(fields) - {"toolId", "message"} == FIELDS for fields in found)
    return [tuple(fields.get(name) for name in names) if names else fields for fields in found]


async def test_it_claims_no_percentage_that_nobody_told():
    b = bench([call(("wait", {}), usage=Usage(input=100, output=10)), say("Done.")], tools=[wait])
    assert told((await b.run()).chunks, "percentage", "currentStep", "totalSteps", "tokensUsed") == [
        (None, 1, None, 110)
    ]


@tool
async def wait() -> str:
    """Waits."""
    return "waited"


async def test_it_shows_a_tools_progress_while_it_works():
    gate = asyncio.Event()

    @tool
    async def build(context: ExecutionContext) -> str:
        """Builds."""
        context.progress(current_step=1, total_steps=4, message="reading")
        await gate.wait()
        return "built"

    b = bench([call(("build", {})), say("Done.")], tools=[build])
    seen = []
    async for chunk in b.agent.stream(b.request()):
        seen.append(chunk)
        if len(told(seen)) == 2:
            gate.set()  # only what it told lets it go on
    (_, mine) = told(seen)
    call_id = next(c.tool_id for c in seen if isinstance(c, ToolCallChunk))
    assert mine["toolId"] == call_id and mine["message"] == "reading"
    assert (mine["percentage"], mine["currentStep"], mine["totalSteps"]) == (25.0, 1, 4)


async def test_it_shows_the_last_word_of_many_before_the_result():
    @tool
    async def build(context: ExecutionContext) -> str:
        """Builds."""
        for n in range(1000):
            context.progress(n / 10)
        context.progress(100)
        return "built"

    b = bench([call(("build", {})), say("Done.")], tools=[build])
    chunks = (await b.run()).chunks
    kinds = [
        c.fields["percentage"] if isinstance(c, MetadataChunk) and c.status == "progress" else c.type
        for c in chunks
    ]
    assert kinds[:4] == [None, "tool_call", 100.0, "tool_call"] and len(told(chunks)) == 2


async def test_it_hears_tools_that_run_in_a_thread_side_by_side():
    both = threading.Barrier(2, timeout=60)

    @tool
    def build(n: int, context: ExecutionContext) -> int:
        """Builds."""
        both.wait()
        context.progress(50 + n)
        both.wait()
        return n

    b = bench([call(("build", {"n": 1}), ("build", {"n": 2})), say("Done.")], tools=[build])
    chunks = (await b.run()).chunks
    last = {c["toolId"]: c["percentage"] for c in told(chunks) if "toolId" in c}
    assert sorted(last.values()) == [51.0, 52.0]


async def test_it_shows_an_agents_own_progress_with_its_next_chunk():
    class Painter(BaseAgent):
        id = "painter"

        async def stream(self, request):
            for section in range(3):
                request.context.progress(current_step=section, total_steps=3)
                yield self.create_content_chunk(f"section {section}")

    chunks = (await Painter().execute(AgentRequest("painter", "go"))).chunks
    assert told(chunks, "percentage", "currentStep") == [(0.0, 0), (33.3, 1), (66.7, 2)]
    assert [c.type for c in chunks[:2]] == ["metadata", "content"]


def test_it_reckons_the_remaining_time_from_the_pace_and_never_divides_by_zero():
    now = [100.0]
    progress = Progress(lambda: now[0])
    progress.begin()
    assert progress.of_report(Report(percentage=0)).fields["estimatedTimeRemaining"] is None
    now[0] = 130.0
    assert progress.of_report(Report(percentage=75)).fields["estimatedTimeRemaining"] == 10.0
    assert progress.of_report(Report(remaining_seconds=4)).fields["estimatedTimeRemaining"] == 4.0
    assert progress.of_report(Report(percentage=100)).fields["estimatedTimeRemaining"] == 0.0
    assert progress.at_step(7).fields["currentStep"] == 7


NUMBER = st.none() | st.floats() | st.integers(-(10**9), 10**9)
COUNT = st.none() | st.integers(-5, 10**9)


@given(reports=st.lists(st.tuples(NUMBER, COUNT, COUNT, NUMBER), min_size=1))
def test_it_takes_whatever_it_is_told_and_never_falls(reports):
    progress = Progress(iter(range(10**6)).__next__)
    progress.begin()
    last = 0.0
    for percentage, step, total, remaining in reports:
        fields = progress.of_report(Report("", percentage, step, total, remaining)).fields
        shown = fields["percentage"]
        assert shown is None or last <= shown <= 100
        last = shown or last
        left = fields["estimatedTimeRemaining"]
        assert left is None or left >= 0
        assert fields["currentStep"] is None or fields["currentStep"] >= 0


def test_it_bears_a_thread_that_outlives_the_loop():
    context = ExecutionContext()

    async def listen():
        with context.reports.ringing(lambda: None):
            return context.reports._bell

    bell = asyncio.run(listen())
    context.reports._bell = bell
    context.progress(5)
    assert context.reports.take() == [Report("", 5)]
