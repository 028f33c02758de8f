"""Every fault that llmock knows, on the wires that it speaks: mapped, told once, never retried here."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import pytest

from nexus_core.errors import (
    AuthenticationFailed,
    BadProviderRequest,
    LLMError,
    ProviderUnavailable,
    RateLimited,
    StreamBroken,
)
from nexus_core.messages import Message, ToolCallPart, ToolResultPart, user
from nexus_core.providers.base import Provider
from nexus_core.providers.table import BY_NAME, create_provider

from .mock_servers import MockServer, llmock
from .playing import KEY, WEATHER, Heard, hear, request_for

ADDRESSES = {
    "anthropic": "/anthropic",
    "openai": "/v1",
    "google": "/gemini",
    "mistral": "/mistral/v1",
    "groq": "/groq/openai/v1",
    "together": "/together/v1",
    "perplexity": "/perplexity/v1",
    "xai": "/xai/v1",
}
every_wire = pytest.mark.parametrize("name", ADDRESSES)


@pytest.fixture(scope="module")
def running() -> Iterator[MockServer]:
    with llmock() as server:
        yield server


@pytest.fixture
def server(running: MockServer) -> MockServer:
    running.send("POST", "/_llmock/reset")
    return running


def at(server: MockServer, name: str) -> Provider:
    return create_provider(BY_NAME[name], key=KEY, base_url=server.address + ADDRESSES[name])


def broken(server: MockServer, **behaviour: Any) -> None:
    server.send("POST", "/_llmock/scenario", {"behaviors": [behaviour]})


def requests(server: MockServer) -> int:
    found = server.get("/_llmock/requests")
    return len(found["requests"] if isinstance(found, dict) else found)


@every_wire
async def test_it_streams_text(name: str, server: MockServer) -> None:
    heard = await hear(at(server, name), request_for(name, "Hello there"))
    assert heard.text
    assert heard.stop.reason == "end"
    if name == "mistral":  # tells its usage unasked and refuses the option; the mock tells only when asked
        return
    assert heard.stop.usage is not None
    assert heard.stop.usage.input > 0
    assert heard.stop.usage.output > 0


@every_wire
async def test_it_goes_through_a_tool_loop(name: str, server: MockServer) -> None:
    question = user("What is the weather in Zürich?")
    asked = await hear(at(server, name), request_for(name, messages=[question], tools=[WEATHER]))
    (call,) = [p for p in asked.stop.parts if isinstance(p, ToolCallPart)]
    assert (asked.stop.reason, call.name) == ("tool_calls", "weather")
    result = ToolResultPart(call.call_id, call.name, '{"temperature": 21.5}')
    history = [question, Message("assistant", asked.stop.parts), Message("tool", (result,))]
    answered = await hear(at(server, name), request_for(name, messages=history, tools=[WEATHER]))
    assert answered.text
    assert answered.stop.reason == "end"


@every_wire
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, BadProviderRequest),
        (401, AuthenticationFailed),
        (403, AuthenticationFailed),
        (404, BadProviderRequest),
        (429, RateLimited),
        (500, ProviderUnavailable),
        (503, ProviderUnavailable),
        (529, ProviderUnavailable),
    ],
)
async def test_it_maps_a_status(name: str, status: int, kind: type[LLMError], server: MockServer) -> None:
    broken(server, type="fail", status=status, retry_after=3, times=1)
    with pytest.raises(LLMError) as caught:
        await hear(at(server, name), request_for(name, "Hello"))
    assert type(caught.value) is kind
    assert requests(server) == 1
    if isinstance(caught.value, RateLimited):
        assert caught.value.retry_after is not None
        assert 2 < caught.value.retry_after <= 3


@every_wire
@pytest.mark.parametrize("fault", ["disconnect", "truncate", "malformed"])
async def test_it_calls_a_damaged_stream_broken(name: str, fault: str, server: MockServer) -> None:
    broken(server, type="stream_fault", kind=fault, after_chunks=3, times=1)
    heard = Heard()
    with pytest.raises(StreamBroken):
        await hear(at(server, name), request_for(name, "Hello, tell me a long story please"), heard)
    assert requests(server) == 1


@every_wire
async def test_it_gives_up_a_stream_that_hangs(name: str, server: MockServer) -> None:
    broken(server, type="stream_fault", kind="stall", after_chunks=2, stall_seconds=6, times=1)
    with pytest.raises(StreamBroken):
        await hear(at(server, name), request_for(name, "Hello", timeout=2))
    deadline = time.monotonic() + 60
    while not requests(server):  # the mock books a request when it is done with it
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)
    assert requests(server) == 1


@every_wire
async def test_it_keeps_arguments_that_are_no_json(name: str, server: MockServer) -> None:
    broken(server, type="tool_fault", kind="malformed_arguments", times=1)
    heard = Heard()
    try:
        await hear(at(server, name), request_for(name, "What is the weather?", tools=[WEATHER]), heard)
    except StreamBroken:
        assert name == "google", "only there are arguments a part of the event's own JSON"
        return
    (call,) = [p for p in heard.stop.parts if isinstance(p, ToolCallPart)]
    if name == "google":  # a wire on which arguments are JSON cannot carry broken ones
        return
    assert call.input == {}
    assert call.provider_data is not None
    assert call.provider_data["invalid_json"]


@every_wire
async def test_it_hands_on_a_call_of_a_tool_that_was_never_offered(name: str, server: MockServer) -> None:
    broken(server, type="tool_fault", kind="unknown_tool", times=1)
    heard = await hear(at(server, name), request_for(name, "What is the weather?", tools=[WEATHER]))
    (call,) = [p for p in heard.stop.parts if isinstance(p, ToolCallPart)]
    assert call.name != "weather"
