"""The native wires and the compatible chat against aimock: a server that we did not write."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nexus_core.errors import RateLimited, StreamBroken
from nexus_core.messages import ImagePart, Message, TextPart, ToolCallPart, ToolResultPart, user
from nexus_core.providers.base import TextDelta, ToolInputDelta
from nexus_core.usage import Usage

from .mock_servers import MockServer, aimock
from .playing import WEATHER, Heard, every_wire, hear, provider_at, request_for
from .test_requests import PNG

SIGNED = "c2lnbmVkIGJ5IHRoZSBtb2NrIHByb3ZpZGVy"
TEXT = "Hello Zürich 🌦, nice to meet you today."
RESULT = json.dumps({"city": "Zürich", "temperature": 21.5}, ensure_ascii=False)
COUNTS = {
    "prompt_tokens": 11, "completion_tokens": 7, "input_tokens": 11, "output_tokens": 7,
    "promptTokenCount": 11, "candidatesTokenCount": 7,
}  # fmt: skip
FIXTURES: list[dict[str, Any]] = [
    {"match": {"userMessage": "plain"}, "response": {"content": TEXT, "usage": COUNTS}},
    {
        "match": {"userMessage": "think"},
        "response": {"content": "Done.", "reasoning": "Let me see.", "reasoningSignature": SIGNED},
    },
    {
        "match": {"userMessage": "weather", "hasToolResult": False},
        "response": {
            "toolCalls": [{"name": "weather", "arguments": '{"city": "Zürich"}'}],
            "reasoning": "I need the tool.",
            "reasoningSignature": SIGNED,
        },
    },
    {
        "match": {"userMessage": "weather", "toolResultContains": "21.5"},
        "response": {"content": "It is 21.5 degrees."},
    },
    {
        "match": {"userMessage": "both", "hasToolResult": False},
        "response": {
            "toolCalls": [
                {"name": "weather", "arguments": '{"city": "Bern"}'},
                {"name": "weather", "arguments": '{"city": "Chur"}'},
            ]
        },
    },
    {
        "match": {"userMessage": "limit"},
        "response": {
            "error": {"message": "slow down", "type": "rate_limit_error"},
            "status": 429,
            "retryAfter": 7,
        },
    },
    {
        "match": {"userMessage": "truncate"},
        "response": {"content": "one two three four five six seven eight nine ten eleven twelve thirteen"},
        "chunkSize": 4,
        "latency": 5,
        "truncateAfterChunks": 9,
    },
    {
        "match": {"userMessage": "disconnect"},
        "response": {"content": "one two three four five six seven eight nine ten eleven twelve thirteen"},
        "chunkSize": 4,
        "latency": 25,
        "disconnectAfterMs": 250,
    },
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MockServer]:
    path: Path = tmp_path_factory.mktemp("aimock") / "fixtures.json"
    path.write_text(json.dumps({"fixtures": FIXTURES}))
    with aimock(path) as running:
        yield running


@pytest.fixture(autouse=True)
def empty_journal(server: MockServer) -> None:
    server.send("POST", "/__aimock/reset/journal")


def journal(server: MockServer) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = server.get("/__aimock/journal")
    return found


@every_wire
async def test_it_streams_text_with_the_same_usage(name: str, server: MockServer) -> None:
    heard = await hear(provider_at(name, server.address), request_for(name, "plain"))
    assert heard.text == TEXT
    assert sum(isinstance(e, TextDelta) for e in heard.events) > 1
    assert heard.stop.reason == "end"
    if name == "ollama":  # the mock counts nothing on this wire
        assert heard.stop.usage is None or heard.stop.usage.reasoning == 0
    else:
        assert heard.stop.usage == Usage(input=11, output=7)
    assert len(journal(server)) == 1


@every_wire
async def test_it_streams_reasoning(name: str, server: MockServer) -> None:
    request = request_for(name, "think", reasoning="high", max_tokens=4096)
    heard = await hear(provider_at(name, server.address), request)
    assert heard.reasoning == "Let me see."
    assert heard.text == "Done."


@every_wire
async def test_it_takes_the_real_result_back_to_the_model(name: str, server: MockServer) -> None:
    provider = provider_at(name, server.address)
    question = user("weather")
    asked = await hear(provider, request_for(name, messages=[question], tools=[WEATHER], reasoning="low"))
    assert asked.stop.reason == "tool_calls"
    assert any(isinstance(e, ToolInputDelta) and e.name == "weather" for e in asked.events)
    (call,) = [p for p in asked.stop.parts if isinstance(p, ToolCallPart)]
    assert (call.name, call.input) == ("weather", {"city": "Zürich"})
    history = [
        question,
        Message("assistant", asked.stop.parts),
        Message("tool", (ToolResultPart(call.call_id, "weather", RESULT),)),
    ]
    answered = await hear(provider, request_for(name, messages=history, tools=[WEATHER], reasoning="low"))
    assert answered.text == "It is 21.5 degrees."
    assert answered.stop.reason == "end"

    first, second = journal(server)
    told = second["body"]["messages"]  # in the mock's own form, the same for every wire
    (result,) = [m for m in told if m["role"] == "tool"]
    assert json.loads(result["content"]) == json.loads(RESULT)
    if name in ("anthropic", "openai", "deepseek", "ollama"):
        assert result["content"] == RESULT
    assert len(first["body"]["messages"]) < len(told)


@every_wire
async def test_it_reads_parallel_calls(name: str, server: MockServer) -> None:
    heard = await hear(provider_at(name, server.address), request_for(name, "both", tools=[WEATHER]))
    calls = [p for p in heard.stop.parts if isinstance(p, ToolCallPart)]
    assert [c.input for c in calls] == [{"city": "Bern"}, {"city": "Chur"}]
    assert len({c.call_id for c in calls}) == 2


@every_wire
async def test_it_sends_an_image(name: str, server: MockServer) -> None:
    message = Message("user", (TextPart("plain"), ImagePart(PNG, "image/png")))
    heard = await hear(provider_at(name, server.address), request_for(name, messages=[message]))
    assert heard.text == TEXT


@every_wire
async def test_it_maps_a_rate_limit_after_one_request(name: str, server: MockServer) -> None:
    with pytest.raises(RateLimited) as caught:
        await hear(provider_at(name, server.address), request_for(name, "limit"))
    assert caught.value.retry_after == 7
    assert len(journal(server)) == 1


@every_wire
@pytest.mark.parametrize("way", ["truncate", "disconnect"])
async def test_it_calls_a_cut_stream_broken_after_one_request(
    name: str, way: str, server: MockServer
) -> None:
    heard = Heard()
    with pytest.raises(StreamBroken):
        await hear(provider_at(name, server.address), request_for(name, way), heard)
    assert heard.text
    assert "one two three four five six seven eight nine ten eleven twelve thirteen".startswith(heard.text)
    assert len(journal(server)) == 1
