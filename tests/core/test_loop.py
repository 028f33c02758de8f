"""The loop, from the outside: an agent's stream with a scripted provider."""

from __future__ import annotations

import asyncio
import json

import pytest

from nexus_core import ExecutionContext, ToolError, Usage, tool
from nexus_core.chunks import MetadataChunk, ToolCallChunk
from nexus_core.messages import ReasoningPart, TextPart, ToolCallPart, ToolResultPart, user
from nexus_core.providers.base import ReasoningDelta, Stop, TextDelta
from nexus_core.providers.scripted import call, say

from .helpers import bench, reasoning_of, statuses, terminal_of, text_of


@tool(idempotent=True)
async def double(n: int) -> dict[str, int]:
    """Doubles a number."""
    return {"doubled": 2 * n}


async def test_it_streams_an_answer_and_one_terminal_chunk():
    b = bench([say("Hello there, thus [1].", usage=Usage(input=11, output=4))])
    response = await b.run()
    assert response.text == "Hello there, thus [1]."
    done = terminal_of(response.chunks)
    assert done.status == "complete"
    assert done.fields["tokenUsage"] == {
        "input": 11, "output": 4, "cacheRead": 0, "cacheWrite": 0, "reasoning": 0, "total": 15,
    }  # fmt: skip
    assert done.fields["cost"] == {"input": None, "output": None, "total": None, "currency": "USD"}
    assert done.fields["stopReason"] == "end"
    assert done.fields["confidence"] == 0.9
    assert (done.fields["provider"], done.fields["model"]) == ("p0", "model-p0")
    assert isinstance(done.fields["durationMs"], int)
    assert "estimated" not in done.fields


async def test_it_joins_pieces_that_arrived_together_and_passes_single_ones_on():
    together = [TextDelta("a"), TextDelta("b"), ReasoningDelta("c"), ReasoningDelta("d"), TextDelta("e")]
    next_ = {"e": asyncio.Event(), "f": asyncio.Event()}
    b = bench(
        [[*together, next_["e"], TextDelta("f"), next_["f"], TextDelta("g"), Stop("end", (), Usage(1))]]
    )
    shown = []
    async for chunk in b.agent.stream(b.request()):
        shown.append((chunk.type, chunk.data))
        if chunk.type == "content" and chunk.data in next_:
            next_[chunk.data].set()  # only what was shown lets it go on
    assert shown[:-1] == [
        ("content", "ab"), ("reasoning", "cd"), ("content", "e"), ("content", "f"), ("content", "g"),
    ]  # fmt: skip


async def test_it_sends_system_history_and_limits():
    b = bench([say("ok")], system_prompt="Be brief.", temperature=0.2, max_tokens=77, reasoning="low")
    await b.run("Hi")
    sent = b.provider.requests[0]
    assert (sent.system, sent.temperature, sent.max_tokens, sent.reasoning) == ("Be brief.", 0.2, 77, "low")
    assert sent.messages == (user("Hi"),)
    assert sent.model == "model-p0"


async def test_it_runs_a_tool_and_gives_its_result_back():
    b = bench([call(("double", {"n": 21}), text="Let me see. "), say("It is 42.")], tools=[double])
    chunks = (await b.run()).chunks
    assert statuses(chunks) == [
        "content", "progress", "double:RUNNING", "double:COMPLETED", "content", "complete",
    ]  # fmt: skip
    shown = [c for c in chunks if isinstance(c, ToolCallChunk)]
    assert shown[0].tool_id == shown[1].tool_id
    assert shown[1].result == {"doubled": 42}
    turn, results = b.provider.requests[1].messages[1:]
    assert [type(p) for p in turn.parts] == [TextPart, ToolCallPart]
    (result,) = results.parts
    assert isinstance(result, ToolResultPart)
    assert json.loads(result.content) == shown[1].result
    assert not result.is_error


async def test_it_adds_up_usage_over_steps():
    b = bench(
        [
            call(("double", {"n": 1}), usage=Usage(input=100, output=10, cache_read=5)),
            say("Done.", usage=Usage(input=120, output=20, reasoning=7)),
        ],
        tools=[double],
    )
    chunks = (await b.run()).chunks
    assert terminal_of(chunks).fields["tokenUsage"] == {
        "input": 220, "output": 30, "cacheRead": 5, "cacheWrite": 0, "reasoning": 7, "total": 262,
    }  # fmt: skip
    (progress,) = [c for c in chunks if isinstance(c, MetadataChunk) and c.status == "progress"]
    assert progress.fields == {
        "percentage": None,
        "currentStep": 1,
        "totalSteps": None,
        "estimatedTimeRemaining": None,
        "tokensUsed": 115,
        "cost": None,
    }


async def test_it_runs_parallel_calls_together_and_returns_results_in_the_models_order():
    arrived = asyncio.Event()
    order: list[str] = []

    @tool
    async def slow() -> str:
        """Waits for the other one."""
        await arrived.wait()
        order.append("slow")
        return "slow result"

    @tool
    async def quick() -> str:
        """Lets the other one go."""
        order.append("quick")
        arrived.set()
        return "quick result"

    b = bench([call(("slow", {}), ("quick", {})), say("ok")], tools=[slow, quick])
    chunks = (await b.run()).chunks
    assert order == ["quick", "slow"]
    assert terminal_of(chunks).status == "complete"
    results = b.provider.requests[1].messages[-1].parts
    assert [p.content for p in results] == ['"slow result"', '"quick result"']


async def test_it_runs_a_hundred_parallel_calls_a_few_at_a_time():
    running = most = 0

    @tool
    async def busy(n: int) -> int:
        """Is busy."""
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.001)
        running -= 1
        return n

    b = bench([call(*(("busy", {"n": n}) for n in range(100))), say("ok")], tools=[busy])
    await b.run()
    assert 1 < most <= 16
    assert [p.content for p in b.provider.requests[1].messages[-1].parts] == [str(n) for n in range(100)]


async def test_it_asks_for_an_answer_without_tools_at_the_ceiling():
    script = [call(("double", {"n": n})) for n in range(3)] + [say("That is all I have.")]
    b = bench(script, tools=[double], max_consecutive_tool_calls=3)
    response = await b.run()
    assert response.text == "That is all I have."
    assert terminal_of(response.chunks).fields["stopReason"] == "tool_limit"
    assert terminal_of(response.chunks).status == "complete"
    assert [r.tool_choice for r in b.provider.requests] == ["auto", "auto", "auto", "none"]
    assert "3 tool turns" in b.provider.requests[-1].system


async def test_it_stops_at_the_ceiling_even_if_the_model_calls_again():
    ran = 0

    @tool
    async def count() -> int:
        """Counts."""
        nonlocal ran
        ran += 1
        return ran

    b = bench([call(("count", {})) for _ in range(10)], tools=[count])
    chunks = (await b.run()).chunks
    assert ran == 5
    assert len(b.provider.requests) == 6
    assert terminal_of(chunks).fields["stopReason"] == "tool_limit"


@pytest.mark.parametrize(
    ("call_", "told"),
    [
        (("doubel", {"n": 1}), "Unknown tool: doubel. Did you mean double? Available: double."),
        (("double", {}), "missing n"),
        (("double", {"n": "x"}), "n: 'x' is not of type integer"),
        (("double", {"n": 1, "m": 2}), "unknown m (known: n)"),
    ],
)
async def test_it_tells_the_model_what_is_wrong_with_a_call(call_, told):
    b = bench([call(call_), say("Sorry.")], tools=[double])
    chunks = (await b.run()).chunks
    (ended,) = [c for c in chunks if isinstance(c, ToolCallChunk) and c.status == "FAILED"]
    assert told in (ended.error or "")
    (result,) = b.provider.requests[1].messages[-1].parts
    assert result.is_error
    assert told in json.loads(result.content)["error"]
    assert terminal_of(chunks).status == "complete"


async def test_it_tells_the_model_of_arguments_that_are_no_json():
    broken = ToolCallPart("c1", "double", {}, provider_data={"invalid_json": '{"n": 2'})
    b = bench([[Stop("tool_calls", (broken,), Usage(1))], say("Sorry.")], tools=[double])
    chunks = (await b.run()).chunks
    assert "double:RUNNING" not in statuses(chunks)
    (result,) = b.provider.requests[1].messages[-1].parts
    assert result.is_error
    assert "not a JSON object" in result.content


async def test_it_tells_a_tool_error_and_hides_other_exceptions(caplog):
    @tool
    async def fails(how: str) -> None:
        """Fails."""
        raise ToolError("The file is empty.") if how == "told" else RuntimeError("password=hunter2")

    b = bench([call(("fails", {"how": "told"}), ("fails", {"how": "hidden"})), say("ok")], tools=[fails])
    chunks = (await b.run()).chunks
    errors = [c.error for c in chunks if isinstance(c, ToolCallChunk) and c.status == "FAILED"]
    assert "The file is empty." in errors
    assert "The tool fails failed with an internal error (RuntimeError)." in errors
    assert "hunter2" not in str([c.data for c in chunks])


async def test_it_ends_a_tool_that_takes_too_long():
    stopped = asyncio.Event()

    @tool
    async def endless() -> None:
        """Never ends."""
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    b = bench([call(("endless", {})), say("ok")], tools=[endless], tool_call_timeout=20)
    chunks = (await b.run()).chunks
    assert stopped.is_set()
    (ended,) = [c for c in chunks if isinstance(c, ToolCallChunk) and c.status == "FAILED"]
    assert "did not answer within 0.02 seconds" in (ended.error or "")


async def test_it_sends_a_paused_turn_again():
    b = bench([say("Half ", reason="pause"), say("done.")])
    response = await b.run()
    assert response.text == "Half done."
    assert terminal_of(response.chunks).fields["stopReason"] == "end"
    assert [m.role for m in b.provider.requests[1].messages] == ["user", "assistant"]


async def test_it_replays_no_empty_turn():
    b = bench([say("", reason="pause"), say("done.")])
    assert (await b.run()).text == "done."
    assert [m.role for m in b.provider.requests[1].messages] == ["user"]


async def test_it_gives_up_on_a_turn_that_pauses_for_ever():
    b = bench([say("x", reason="pause") for _ in range(50)])
    chunks = (await b.run()).chunks
    assert len(b.provider.requests) == 11
    assert terminal_of(chunks).fields["stopReason"] == "pause"


@pytest.mark.parametrize("reason", ["length", "refusal", "stop_sequence"])
async def test_it_reports_why_the_model_stopped(reason):
    b = bench([say("As far as it went", reason=reason)])
    chunks = (await b.run()).chunks
    assert terminal_of(chunks).status == "complete"
    assert terminal_of(chunks).fields["stopReason"] == reason


async def test_it_runs_no_call_of_a_turn_that_was_cut_by_length():
    b = bench([call(("double", {"n": 1}), text="So", reason="length")], tools=[double])
    chunks = (await b.run()).chunks
    assert statuses(chunks) == ["content", "complete"]
    assert not any(isinstance(p, ToolCallPart) for p in b.journal.steps[0].parts)


async def test_it_runs_calls_of_a_provider_that_says_end():
    b = bench([call(("double", {"n": 4}), reason="end"), say("8")], tools=[double])
    assert (await b.run()).text == "8"


async def test_it_splits_thinking_tags_from_text_and_takes_native_reasoning():
    parts = (TextPart("<thinking>deep</thinking>Clear."),)
    events = [ReasoningDelta("first, "), *map(TextDelta, ["<thin", "king>de", "ep</thi", "nking>", "Clear."])]
    b = bench([[*events, Stop("end", parts, Usage(1, 1))]])
    chunks = (await b.run()).chunks
    assert reasoning_of(chunks) == "first, deep"
    assert text_of(chunks) == "Clear."


async def test_it_journals_a_call_before_its_effect_and_its_result_after():
    b = bench([], tools=[])
    seen: list[list[tuple[str, str]]] = []

    @tool
    async def effect() -> str:
        """Looks at the journal."""
        seen.append(list(b.journal.told))
        return "done"

    b2 = bench([call(("effect", {})), say("ok")], tools=[effect])
    b.journal = b2.journal
    await b2.run()
    assert seen == [[("step", "tool_calls"), ("started", "effect")]]
    assert b2.journal.told == [
        ("step", "tool_calls"), ("started", "effect"), ("COMPLETED", "effect"), ("step", "end"),
    ]  # fmt: skip


async def test_it_shows_a_result_only_after_it_is_recorded():
    b = bench([call(("double", {"n": 1})), say("ok")], tools=[double])
    async for chunk in b.agent.stream(b.request()):
        if isinstance(chunk, ToolCallChunk):
            assert b.journal.calls[chunk.tool_id].status == chunk.status or chunk.status == "RUNNING"


async def test_it_offers_premium_tools_only_where_the_plan_has_them():
    @tool(requires_premium=True)
    async def gold() -> str:
        """Premium."""
        return "gold"

    free = bench([say("ok")], tools=[gold, double])
    await free.run()
    paid = bench([say("ok")], tools=[gold, double], context=ExecutionContext(plan="pro"))
    await paid.run()
    assert [t.name for t in free.provider.requests[0].tools] == ["double"]
    assert [t.name for t in paid.provider.requests[0].tools] == ["gold", "double"]


async def test_it_keeps_other_providers_thinking_to_themselves():
    def thinks(request):
        part = ReasoningPart("secret", provider_data={"signature": "abc"})
        calls = ToolCallPart("c", "double", {"n": 1}, provider_data={"thought": "x"})
        return [Stop("tool_calls", (part, TextPart("t", {"sig": 1}), calls), Usage(1))]

    from nexus_core.errors import AuthenticationFailed

    b = bench([thinks, AuthenticationFailed("no", status=401)], fallbacks=[[say("ok")]], tools=[double])
    await b.run()
    own = b.providers[0].requests[1].messages[1].parts
    other = b.providers[1].requests[0].messages[1].parts
    assert [type(p) for p in own] == [ReasoningPart, TextPart, ToolCallPart]
    assert own[0].provider == "p0"
    assert own[0].provider_data == {"signature": "abc"}
    assert [type(p) for p in other] == [TextPart, ToolCallPart]
    assert all(p.provider_data is None for p in other)
