"""What is sent: histories, thinking replayed as each provider demands, tools, images, limits, caching."""

from __future__ import annotations

import base64
from itertools import permutations
from typing import Any

import pytest

from nexus_core.messages import (
    ImagePart,
    Message,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    assistant,
    user,
)
from nexus_core.providers.base import ModelRequest
from nexus_core.providers.local import fit
from nexus_core.providers.local_server import WINDOW

from .playing import NATIVE, WEATHER, every_wire, hear, provider_at, request_for
from .transcripts import TRANSCRIPTS, Transcript
from .wire_server import Answer, Seen, serving

# The SDK warns of models that will retire; here they stand for what their like accept.
pytestmark = pytest.mark.filterwarnings("ignore:The model .* is deprecated:DeprecationWarning")
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)
IMAGE = Message("user", (TextPart("What is this?"), ImagePart(PNG, "image/png")))
RESULT = '{"temperature": 21.5, "city": "Zürich"}'
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


def transcript_of(name: str) -> Transcript:
    return next(t for t in TRANSCRIPTS if t.provider == name)


async def sent(name: str, model: str | None = None, **request: Any) -> Any:
    """The body of the one request that a provider sends."""
    return (await seen(name, model, **request)).body


async def seen(name: str, model: str | None = None, **request: Any) -> Seen:
    body = transcript_of(name).body if name in NATIVE else transcript_of("deepseek").body
    if model:
        request["model"] = model
    async with serving(Answer([body])) as server:
        await hear(provider_at(name, server.address), request_for(name, **request))
        (only,) = server.seen
        return only


def tool_loop(name: str) -> list[Message]:
    """A step that called tools, as this provider made it, and their results."""
    parts = transcript_of(name).parts
    calls = [p for p in parts if isinstance(p, ToolCallPart)]
    results = tuple(ToolResultPart(c.call_id, c.name, RESULT, is_error=i == 1) for i, c in enumerate(calls))
    return [user("How is the weather?"), Message("assistant", parts), Message("tool", results)]


async def test_it_replays_anthropics_thinking_unmodified_and_in_its_place() -> None:
    body = await sent("anthropic", messages=[*tool_loop("anthropic"), user("And now?")])
    _, said, results = body["messages"]
    assert [b["type"] for b in said["content"]] == [
        "thinking",
        "redacted_thinking",
        "text",
        "tool_use",
        "tool_use",
    ]
    assert said["content"][0] == {
        "type": "thinking",
        "thinking": "Let me look. Zürich…",
        "signature": "EqQBCgIYAhIkZm9yZ2Vk+/=",
    }
    assert said["content"][1] == {"type": "redacted_thinking", "data": "b64=="}
    assert said["content"][3] == {
        "type": "tool_use",
        "id": "toolu_1",
        "name": "weather",
        "input": {"city": "Zürich", "days": 2},
    }
    assert results == {
        "role": "user",
        "content": [
            {"type": "tool_result", "tool_use_id": "toolu_1", "content": RESULT},
            {"type": "tool_result", "tool_use_id": "toolu_2", "content": RESULT, "is_error": True},
            {"type": "text", "text": "And now?"},
        ],
    }


async def test_it_replays_openais_encrypted_reasoning() -> None:
    body = await sent("openai", messages=tool_loop("openai"))
    question, reasoning, said, call, result = body["input"]
    assert question["content"] == [{"type": "input_text", "text": "How is the weather?"}]
    assert reasoning == {
        "type": "reasoning",
        "id": "rs_1",
        "encrypted_content": "gAAAA==",
        "summary": [{"type": "summary_text", "text": "Looking"}, {"type": "summary_text", "text": "Found"}],
    }
    assert said == {
        "type": "message",
        "role": "assistant",
        "content": "Ich schaue nach 🌦",
        "phase": "commentary",
    }
    assert call == {
        "type": "function_call",
        "call_id": "call_1",
        "name": "weather",
        "arguments": '{"city":"Zürich"}',
    }
    assert result == {"type": "function_call_output", "call_id": "call_1", "output": RESULT}
    assert body["store"] is False
    assert body["include"] == ["reasoning.encrypted_content"]


async def test_it_replays_thinking_within_a_tool_loop_where_chat_servers_take_it() -> None:
    loop = tool_loop("deepseek")
    body = await sent("deepseek", messages=loop)
    _, said, first, second = body["messages"]
    assert said["reasoning_content"] == "Let me look"
    assert said["content"] == "Ich schaue nach 🌦"
    assert said["tool_calls"][0] == {
        "id": "call_1",
        "type": "function",
        "function": {"name": "weather", "arguments": '{"city":"Zürich"}'},
    }
    assert first == {"role": "tool", "tool_call_id": "call_1", "content": RESULT}
    assert second["tool_call_id"] == "call_2"
    later = await sent("deepseek", messages=[*loop, assistant("Sunny."), user("Thanks")])
    assert "reasoning_content" not in later["messages"][1], "an earlier turn's thinking is not taken back"


async def test_it_replays_googles_signatures_on_their_parts() -> None:
    body = await sent("google", messages=tool_loop("google"))
    _, said, results = body["contents"]
    assert said["role"] == "model"
    assert said["parts"] == [
        {"text": "Ich schaue nach 🌦"},
        {
            "functionCall": {"name": "weather", "args": {"city": "Zürich"}, "id": "fc1"},
            "thoughtSignature": "c2ln",
        },
        {"functionCall": {"name": "now", "args": {}, "id": "fc2"}},
        {"text": "", "thoughtSignature": "ZW5k"},
    ]
    assert results["parts"][0] == {
        "functionResponse": {
            "name": "weather",
            "id": "fc1",
            "response": {"temperature": 21.5, "city": "Zürich"},
        }
    }


async def test_it_signs_foreign_calls_for_gemini_as_google_documents() -> None:
    history = tool_loop("anthropic")
    body = await sent("google", messages=history)
    calls = [p for p in body["contents"][1]["parts"] if "functionCall" in p]
    assert calls[0]["thoughtSignature"] == "skip_thought_signature_validator"
    assert "thoughtSignature" not in calls[1]
    old = await sent("google", "gemini-2.5-flash", messages=history)
    assert not any("thoughtSignature" in p for p in old["contents"][1]["parts"])


async def test_it_replays_thinking_to_ollama() -> None:
    body = await sent("ollama", messages=tool_loop("ollama"))
    _, said, result = body["messages"]
    assert said == {
        "role": "assistant",
        "content": "Ich schaue nach 🌦",
        "thinking": "Let me look",
        "tool_calls": [{"function": {"name": "weather", "arguments": {"city": "Zürich"}}}],
    }
    assert result == {"role": "tool", "content": RESULT, "tool_name": "weather"}


@pytest.mark.parametrize(("name", "other"), list(permutations(NATIVE, 2)))
async def test_it_never_shows_one_providers_bytes_to_another(name: str, other: str) -> None:
    text = repr(await sent(name, messages=tool_loop(other)))
    for theirs in ("EqQBCgIYAhIkZm9yZ2Vk", "b64==", "gAAAA==", "c2ln", "commentary"):
        assert theirs not in text
    assert "21.5" in text
    assert "Ich schaue nach" in text


@every_wire
async def test_it_answers_calls_that_were_interrupted_and_drops_results_without_a_call(name: str) -> None:
    call = ToolCallPart("c1", "weather", {"city": "Bern"}, "x")
    history = [
        Message("tool", (ToolResultPart("gone", "weather", '"orphan"'),)),
        user("a"),
        Message("assistant", (call,)),
        user("b"),
    ]
    text = repr(await sent(name, messages=history))
    assert "orphan" not in text
    assert "interrupted" in text


@every_wire
async def test_it_sends_images(name: str) -> None:
    body = await sent(name, messages=[IMAGE])
    data = base64.b64encode(PNG).decode()
    found = {
        "anthropic": lambda: (
            body["messages"][0]["content"][1]["source"]
            == {"type": "base64", "media_type": "image/png", "data": data}
        ),
        "openai": lambda: body["input"][0]["content"][1]["image_url"] == f"data:image/png;base64,{data}",
        "deepseek": lambda: (
            body["messages"][0]["content"][1]["image_url"]["url"] == f"data:image/png;base64,{data}"
        ),
        "google": lambda: (
            body["contents"][0]["parts"][1]["inlineData"] == {"mimeType": "image/png", "data": data}
        ),
        "ollama": lambda: body["messages"][0]["images"] == [data],
    }
    assert found[name]()


@every_wire
async def test_it_tells_of_tools_and_forbids_calls(name: str) -> None:
    body = await sent(name, tools=[WEATHER])
    schema = WEATHER.input_schema
    told = {
        "anthropic": lambda: (
            body["tools"] == [{"name": "weather", "description": WEATHER.description, "input_schema": schema}]
        ),
        "openai": lambda: (
            body["tools"]
            == [
                {
                    "type": "function",
                    "name": "weather",
                    "description": WEATHER.description,
                    "parameters": schema,
                    "strict": False,
                }
            ]
        ),
        "deepseek": lambda: body["tools"][0]["function"]["parameters"] == schema,
        "google": lambda: body["tools"][0]["functionDeclarations"][0]["parametersJsonSchema"] == schema,
        "ollama": lambda: body["tools"][0]["function"]["parameters"] == schema,
    }
    assert told[name]()
    none = await sent(name, tools=[WEATHER], tool_choice="none")
    forbidden = {
        "anthropic": lambda: none["tool_choice"] == {"type": "none"} and none["tools"],
        "openai": lambda: none["tool_choice"] == "none" and none["tools"],
        "deepseek": lambda: none["tool_choice"] == "none" and none["tools"],
        "google": lambda: none["toolConfig"] == {"functionCallingConfig": {"mode": "NONE"}} and none["tools"],
        "ollama": lambda: "tools" not in none,
    }
    assert forbidden[name]()


@pytest.mark.parametrize(
    ("name", "where"),
    [
        ("anthropic", ("max_tokens",)),
        ("openai", ("max_output_tokens",)),
        ("deepseek", ("max_tokens",)),
        ("google", ("generationConfig", "maxOutputTokens")),
        ("ollama", ("options", "num_predict")),
        ("azure", ("max_completion_tokens",)),
        ("mistral", ("max_tokens",)),
    ],
)
async def test_it_always_sends_the_limit_on_the_answer(name: str, where: tuple[str, ...]) -> None:
    found = await sent(name, max_tokens=777)
    for key in where:
        found = found[key]
    assert found == 777


@pytest.mark.parametrize(
    ("name", "model", "taken"),
    [
        ("anthropic", "claude-haiku-4-5", True),
        ("anthropic", "claude-sonnet-4-5-20250929", True),
        ("anthropic", "claude-opus-4-6", True),
        ("anthropic", "claude-opus-4-7", False),
        ("anthropic", "claude-sonnet-5-5", False),
        ("openai", "gpt-4.1-mini", True),
        ("openai", "gpt-6.1-sol", False),
        ("openai", "o3", False),
        ("azure", "gpt-5.4-mini", False),
        ("groq", "openai/gpt-oss-120b", True),
        ("deepseek", "deepseek-v4", True),
        ("google", "gemini-3.8-flash", True),
        ("ollama", "qwen3", True),
    ],
)
async def test_it_sends_a_temperature_only_where_it_is_taken(name: str, model: str, taken: bool) -> None:
    body = await sent(name, model, temperature=0.3)
    found = {"google": lambda: body["generationConfig"], "ollama": lambda: body["options"]}.get(
        name, lambda: body
    )()
    assert found.get("temperature") == (0.3 if taken else None)


@pytest.mark.parametrize(
    ("name", "model", "expected"),
    [
        ("anthropic", "claude-sonnet-5-5", {"thinking": {"type": "adaptive", "display": "summarized"}}),
        ("anthropic", "claude-haiku-4-5", {"thinking": {"type": "enabled", "budget_tokens": 8192}}),
        ("anthropic", "claude-3-5-haiku-latest", {"thinking": None}),
        ("openai", "gpt-6.1-sol", {"reasoning": {"effort": "medium", "summary": "auto"}}),
        ("openai", "gpt-4.1", {"reasoning": None, "include": None}),
        ("groq", "openai/gpt-oss-20b", {"reasoning_effort": "medium"}),
        ("openrouter", "x", {"reasoning": {"effort": "medium"}}),
        ("deepseek", "deepseek-v4", {"thinking": {"type": "enabled"}}),
        ("qwen", "qwen3", {"enable_thinking": True}),
        ("mistral", "magistral", {"reasoning_effort": None, "thinking": None}),
        ("ollama", "qwen3", {"think": True}),
        ("ollama", "gpt-oss:20b", {"think": "medium"}),
    ],
)
async def test_it_asks_for_thinking_in_each_ones_words(
    name: str, model: str, expected: dict[str, Any]
) -> None:
    body = await sent(name, model, reasoning="medium", max_tokens=32000, temperature=0.3)
    assert {key: body.get(key) for key in expected} == expected
    off = await sent(name, model, max_tokens=32000)
    assert all(not off.get(key) for key in expected if key != "include")
    if expected.get("thinking") and name == "anthropic":
        assert "temperature" not in body


@pytest.mark.parametrize(
    ("model", "reasoning", "expected"),
    [
        ("gemini-3.8-flash", "low", {"includeThoughts": True, "thinkingLevel": "low"}),
        ("gemini-2.5-pro", "high", {"includeThoughts": True, "thinkingBudget": 16000}),
        ("gemini-2.5-flash", "off", {"thinkingBudget": 0}),
        ("gemini-3.8-flash", "off", None),
        ("gemini-2.0-flash", "high", None),
    ],
)
async def test_it_asks_gemini_for_thinking_by_its_version(
    model: str, reasoning: Any, expected: object
) -> None:
    body = await sent("google", model, reasoning=reasoning, max_tokens=32000)
    assert body["generationConfig"].get("thinkingConfig") == expected


async def test_it_switches_caching_on() -> None:
    assert (await sent("anthropic"))["cache_control"] == {"type": "ephemeral"}
    for name in ("openai", "moonshot"):
        assert (await sent(name, cache_key="conversation-1"))["prompt_cache_key"] == "conversation-1"
    assert "prompt_cache_key" not in await sent("groq", cache_key="conversation-1")


async def test_it_names_the_person_only_by_an_opaque_id() -> None:
    assert (await sent("anthropic", user="u1"))["metadata"] == {"user_id": "u1"}
    assert (await sent("openai", user="u1"))["safety_identifier"] == "u1"
    assert "u1" not in repr(await sent("groq", user="u1"))


@every_wire
async def test_it_asks_for_structured_output(name: str) -> None:
    body = await sent(name, response_schema=SCHEMA)
    closed = {**SCHEMA, "additionalProperties": False}
    asked = {
        "anthropic": lambda: body["output_config"]["format"] == {"type": "json_schema", "schema": closed},
        "openai": lambda: (
            body["text"]["format"]
            == {"type": "json_schema", "name": "answer", "schema": closed, "strict": True}
        ),
        "deepseek": lambda: (
            body["response_format"] == {"type": "json_object"} and '"city"' in body["messages"][0]["content"]
        ),
        "google": lambda: body["generationConfig"]["responseJsonSchema"] == SCHEMA,
        "ollama": lambda: body["format"] == SCHEMA,
    }
    assert asked[name]()
    groq = await sent("groq", response_schema=SCHEMA)
    assert groq["response_format"]["json_schema"] == {"name": "answer", "schema": closed, "strict": True}
    loose = {"type": "object", "properties": {"a": {"type": "string"}}}
    assert (await sent("groq", response_schema=loose))["response_format"]["json_schema"]["strict"] is False


@every_wire
async def test_it_sends_the_system_prompt_and_system_messages(name: str) -> None:
    messages = [user("hi"), Message("system", (TextPart("Second."),)), user("there")]
    body = await sent(name, system="First.", messages=messages)
    text = "First.\n\nSecond."
    found = {
        "anthropic": lambda: body["system"] == [{"type": "text", "text": text}],
        "openai": lambda: body["instructions"] == text,
        "deepseek": lambda: body["messages"][0] == {"role": "system", "content": text},
        "google": lambda: body["systemInstruction"] == {"parts": [{"text": text}]},
        "ollama": lambda: body["messages"][0] == {"role": "system", "content": text},
    }
    assert found[name]()


async def test_it_shortens_ids_for_mistral_and_cleans_them_for_anthropic() -> None:
    call = ToolCallPart("fc:1/é", "weather", {}, "google")
    history = [
        user("a"),
        Message("assistant", (call,)),
        Message("tool", (ToolResultPart("fc:1/é", "weather", "1"),)),
    ]
    mistral = (await sent("mistral", messages=history))["messages"]
    assert mistral[1]["tool_calls"][0]["id"] == mistral[2]["tool_call_id"]
    assert len(mistral[2]["tool_call_id"]) == 9
    assert "stream_options" not in await sent("mistral")
    claude = (await sent("anthropic", messages=history))["messages"]
    assert claude[1]["content"][0]["id"] == claude[2]["content"][0]["tool_use_id"] == "fc_1__"


async def test_it_takes_nothing_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What stands there belongs to other accounts, and must not travel to other servers."""
    for variable in (
        "ANTHROPIC_API_KEY",
        "ANTHROPIC_AUTH_TOKEN",
        "OPENAI_API_KEY",
        "OPENAI_ORG_ID",
        "OPENAI_PROJECT_ID",
        "GOOGLE_API_KEY",
        "OLLAMA_API_KEY",
    ):
        monkeypatch.setenv(variable, "from-the-environment")
    for name in ("anthropic", "groq", "google", "ollama"):
        assert "from-the-environment" not in repr((await seen(name)).headers)


def test_it_fits_a_request_to_the_small_model() -> None:
    long = [user("x" * 3000), assistant("y" * 3000)] * 10
    image = Message("user", (TextPart("Last."), ImagePart(PNG, "image/png")))
    results = Message("tool", (ToolResultPart("c", "weather", RESULT),))
    thinking = Message("assistant", (ReasoningPart("hm", "x"), ToolCallPart("c", "weather", {})))
    fitted = fit(
        ModelRequest(
            "m",
            [*long, user("How?"), thinking, results, image],
            system="s" * 100_000,
            tools=[WEATHER],
            max_tokens=4096,
        )
    )
    assert fitted.tools == ()
    assert fitted.messages[-1].parts == (TextPart("Last."),)
    assert fitted.messages[-2].text == f"weather: {RESULT}"
    assert fitted.messages[0].role == "user"
    size = len(fitted.system) + sum(len(m.text) for m in fitted.messages)
    assert size / 3 + fitted.max_tokens < WINDOW
    assert len(fitted.messages) > 2
