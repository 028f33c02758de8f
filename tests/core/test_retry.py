"""Retry and fallback: what is asked again, when, and what is told and booked for it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nexus_core import Usage, tool
from nexus_core.chunks import ErrorChunk, MetadataChunk
from nexus_core.defaults import MemoryMeter
from nexus_core.errors import (
    AuthenticationFailed,
    BadProviderRequest,
    BudgetExceeded,
    ContextTooLong,
    KeyMissing,
    LLMError,
    ProviderUnavailable,
    RateLimited,
    Refused,
    StreamBroken,
)
from nexus_core.fallback import Route, UnavailableProvider
from nexus_core.providers.base import ReasoningDelta, Stop, TextDelta, ToolInputDelta, UsageUpdate
from nexus_core.providers.scripted import call, say
from nexus_core.retry import RetryPolicy

from .helpers import bench, statuses, terminal_of


def busy(status: int = 529, retry_after: float | None = None) -> ProviderUnavailable:
    return ProviderUnavailable("p0 API is experiencing issues.", status=status, retry_after=retry_after)


@pytest.mark.parametrize(
    "fault", [RateLimited(status=429), busy(500), busy(503), busy(529), ProviderUnavailable("no connection")]
)
async def test_it_asks_three_times_in_all(fault):
    b = bench([fault, fault, say("At last.")])
    response = await b.run()
    assert response.text == "At last."
    told = [c.fields for c in response.chunks if isinstance(c, MetadataChunk) and c.status == "retrying"]
    assert told == [
        {"attempt": 2, "delayMs": 2000, "code": fault.code},
        {"attempt": 3, "delayMs": 4000, "code": fault.code},
    ]
    assert b.clock.slept == [2.0, 4.0]
    assert b.provider.closed == 3


async def test_it_fails_after_three_requests():
    b = bench([busy(), busy(), busy(), say("too late")])
    chunks = (await b.run()).chunks
    assert statuses(chunks) == ["retrying", "retrying", "error:api_error", "failed"]
    assert len(b.provider.requests) == 3
    (error,) = [c for c in chunks if isinstance(c, ErrorChunk)]
    assert error.retryable
    done = terminal_of(chunks)
    assert done.fields["stopReason"] == "error"
    assert done.fields["tokenUsage"]["total"] == 0


@pytest.mark.parametrize(
    "fault",
    [
        AuthenticationFailed("no", status=401),
        BadProviderRequest("no", status=400),
        ContextTooLong("no", status=400),
    ],
)
async def test_it_asks_once_where_asking_again_is_no_use(fault):
    b = bench([fault, say("never")])
    chunks = (await b.run()).chunks
    assert len(b.provider.requests) == 1
    assert statuses(chunks) == [f"error:{fault.code}", "failed"]


@pytest.mark.parametrize(
    ("asked", "waited"), [(7.0, 7.0), (0.0, 0.0), (86400.0, 60.0), (-5.0, 0.0), (float("nan"), 60.0)]
)
async def test_it_honours_retry_after_within_reason(asked, waited):
    b = bench([RateLimited(status=429, retry_after=asked), say("ok")])
    await b.run()
    assert b.clock.slept == [waited]


def test_it_waits_between_half_and_the_whole_of_two_to_the_n():
    low, high = RetryPolicy(jitter=lambda: 0.0), RetryPolicy(jitter=lambda: 1.0)
    fault = busy()
    assert [(low.delay(fault, n), high.delay(fault, n)) for n in (1, 2)] == [(1.0, 2.0), (2.0, 4.0)]
    assert {round(RetryPolicy().delay(fault, 1), 6) for _ in range(20)} != {2.0}


async def test_it_keeps_the_partial_and_stitches_nothing_after_a_visible_piece():
    b = bench([[TextDelta("Half an "), busy()], say("another answer")], fallbacks=[[say("a third")]])
    response = await b.run()
    assert response.text == "Half an "
    assert statuses(response.chunks) == ["content", "error:api_error", "failed"]
    assert len(b.provider.requests) == 1
    assert b.providers[1].requests == []
    assert terminal_of(response.chunks).fields["estimated"] is True


async def test_it_takes_shown_reasoning_for_visible():
    b = bench([[ReasoningDelta("Hm"), busy()], say("no")])
    assert statuses((await b.run()).chunks) == ["reasoning", "error:api_error", "failed"]


async def test_it_retries_while_only_invisible_things_were_streamed():
    b = bench([[ToolInputDelta(0, "x", '{"a"'), TextDelta("<thin"), busy()], say("ok")])
    response = await b.run()
    assert response.text == "ok"
    assert statuses(response.chunks) == ["retrying", "content", "complete"]


async def test_it_shows_text_that_was_held_back_when_the_stream_breaks():
    b = bench([[TextDelta("a <"), busy()]])
    assert (await b.run()).text == "a <"


async def test_it_takes_a_stream_without_a_stop_reason_for_broken():
    b = bench([[], [TextDelta("cut")]])
    response = await b.run()
    assert statuses(response.chunks) == ["retrying", "content", "error:stream_broken", "failed"]


async def test_it_fails_plainly_when_an_adapter_raises_something_else(caplog):
    b = bench([ValueError("sk-secret")])
    chunks = (await b.run()).chunks
    assert statuses(chunks) == ["error:unexpected_error", "failed"]
    assert "sk-secret" not in str([c.data for c in chunks])


async def test_it_falls_back_after_the_retries_and_stays_there():
    @tool
    async def noop() -> str:
        """Does nothing."""
        return "ok"

    b = bench([busy()] * 3, fallbacks=[[call(("noop", {})), say("From the second.")]], tools=[noop])
    response = await b.run()
    assert statuses(response.chunks) == [
        "retrying", "retrying", "fallback", "progress", "noop:RUNNING", "noop:COMPLETED", "content", "complete",
    ]  # fmt: skip
    (told,) = [c for c in response.chunks if isinstance(c, MetadataChunk) and c.status == "fallback"]
    assert told.fields == {"provider": "p1", "model": "model-p1"}
    assert [len(p.requests) for p in b.providers] == [3, 2]
    assert b.providers[1].requests[0].model == "model-p1"
    assert terminal_of(response.chunks).fields["provider"] == "p1"


@pytest.mark.parametrize("fault", [AuthenticationFailed("no", status=401), KeyMissing("Set P0_API_KEY.")])
async def test_it_falls_back_at_once_without_a_usable_key(fault):
    b = bench([fault], fallbacks=[[say("ok")]])
    response = await b.run()
    assert statuses(response.chunks) == ["fallback", "content", "complete"]


async def test_it_does_not_ask_another_model_when_one_declined():
    b = bench([Refused("The model declined.")], fallbacks=[[say("never")]])
    chunks = (await b.run()).chunks
    assert statuses(chunks) == ["error:refusal", "failed"]
    assert terminal_of(chunks).fields["stopReason"] == "refusal"


async def test_it_tells_the_first_failure_that_is_not_a_missing_key():
    b = bench([KeyMissing("Set A.")], fallbacks=[[busy()] * 3, [KeyMissing("Set C.")]])
    chunks = (await b.run()).chunks
    assert [c.message for c in chunks if isinstance(c, ErrorChunk)] == ["p0 API is experiencing issues."]
    none = bench([KeyMissing("Set A.")], fallbacks=[[KeyMissing("Set B.")]])
    chunks = (await none.run()).chunks
    assert [c.message for c in chunks if isinstance(c, ErrorChunk)] == ["Set A."]


async def test_it_lets_a_provider_that_could_not_be_set_up_stand_in_the_chain():
    b = bench([say("ok")])
    gone = UnavailableProvider("openai", KeyMissing("Set OPENAI_API_KEY.", provider="openai"))
    b.agent.routes = (Route(gone, "gpt"), *b.agent.routes)
    assert statuses((await b.run()).chunks) == ["fallback", "content", "complete"]


# What is booked


async def test_it_reserves_before_each_request_and_settles_each_once():
    b = bench([busy(), RateLimited(status=429), say("ok", usage=Usage(input=3, output=2))])
    await b.run()
    assert len(b.meter.reserved) == 3
    assert [o.status for _, o, _ in b.meter.settled] == ["failed", "failed"]
    assert [s.usage.total for _, _, s in b.meter.settled] == [0, 0]
    ((attempt, outcome, settled),) = b.journal.booked
    assert (outcome.status, outcome.stop_reason, settled.usage) == (
        "complete",
        "end",
        Usage(input=3, output=2),
    )
    booked = [a.id for a, _, _ in b.meter.settled] + [attempt.id]
    assert booked == [a.id for a in b.meter.reserved]


async def test_it_sends_no_more_tokens_than_the_meter_grants():
    class Stingy(MemoryMeter):
        async def reserve(self, request, **kw):
            return replace(await MemoryMeter.reserve(self, request, **kw), max_tokens=123)

    b = bench([say("ok")], max_tokens=5000)
    b.ports = replace(b.ports, meter=Stingy())
    await b.run()
    assert b.provider.requests[0].max_tokens == 123


async def test_it_ends_cleanly_when_a_budget_refuses():
    b = bench([say("never")], fallbacks=[[say("nor this")]])

    class Empty(MemoryMeter):
        async def reserve(self, request, **kw):
            raise BudgetExceeded("The budget “team” is used up.", budget="team")

    b.ports = replace(b.ports, meter=Empty())
    chunks = (await b.run()).chunks
    assert statuses(chunks) == ["error:budget_exceeded", "failed"]
    assert b.provider.requests == b.providers[1].requests == []


async def test_it_books_a_request_that_was_never_sent_as_such():
    b = bench([KeyMissing("Set it.")])
    await b.run()
    ((_, outcome, settled),) = b.meter.settled
    assert outcome.sent is False
    assert settled.usage == Usage()


async def test_it_counts_what_left_the_provider_when_a_stream_is_cut():
    b = bench([[UsageUpdate(Usage(input=50, output=1)), TextDelta("one two three four five six"), busy()]])
    chunks = (await b.run()).chunks
    ((_, outcome, settled),) = b.meter.settled
    assert outcome.status == "cut"
    assert outcome.streamed_text == "one two three four five six"
    assert settled.usage.input == 50
    assert settled.usage.output >= 6
    assert settled.usage.estimated
    assert terminal_of(chunks).fields["tokenUsage"]["input"] == 50


async def test_it_estimates_where_a_provider_gives_no_usage():
    b = bench([[TextDelta("Hello you"), Stop("end", (), None)]])
    done = terminal_of((await b.run("A question of some words")).chunks)
    assert done.fields["estimated"] is True
    assert done.fields["tokenUsage"]["input"] > 3
    assert done.fields["tokenUsage"]["output"] >= 2


def test_its_errors_say_whether_they_may_be_retried():
    assert not LLMError("x").retryable
    assert StreamBroken("x").retryable
    assert not AuthenticationFailed("x").retryable
