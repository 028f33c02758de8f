"""Answers as the providers stream them, and what they mean.

The shapes are those of the providers' own documentation and SDK types: several
blocks, thinking with signatures, usage with caches, pings and comments between. Each
tells, in our words, what every adapter must make of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from nexus_core.messages import Part, ReasoningPart, TextPart, ToolCallPart
from nexus_core.providers.base import StopReason
from nexus_core.usage import Usage

JSON = Any


@dataclass(frozen=True, slots=True)
class Transcript:
    """One answer of one wire."""

    provider: str
    name: str
    body: bytes
    text: str
    reasoning: str
    reason: StopReason
    usage: Usage
    parts: tuple[Part, ...]
    model: str

    @property
    def id(self) -> str:
        return f"{self.provider}-{self.name}"


def named(*events: JSON) -> bytes:
    """Server-sent events named by their type, as Anthropic and OpenAI's Responses send them."""
    return b"".join(b"event: %s\ndata: %s\n\n" % (e["type"].encode(), orjson.dumps(e)) for e in events)


def unnamed(*events: JSON, end: bytes = b"data: [DONE]\n\n") -> bytes:
    return b"".join(b"data: %s\n\n" % orjson.dumps(e) for e in events) + end


def crlf(*events: JSON) -> bytes:
    return b"".join(b"data: %s\r\n\r\n" % orjson.dumps(e) for e in events)


def lines(*objects: JSON) -> bytes:
    return b"".join(orjson.dumps(o) + b"\n" for o in objects)


# --- Anthropic ------------------------------------------------------------------------------------

_A_START = {
    "type": "message_start",
    "message": {
        "id": "msg_01",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-5-5",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {
            "input_tokens": 21,
            "cache_creation_input_tokens": 300,
            "cache_read_input_tokens": 1000,
            "cache_creation": {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 200},
            "output_tokens": 1,
            "service_tier": "standard",
        },
    },
}


def _a_block(index: int, block: JSON, *deltas: JSON) -> list[JSON]:
    return [
        {"type": "content_block_start", "index": index, "content_block": block},
        *({"type": "content_block_delta", "index": index, "delta": d} for d in deltas),
        {"type": "content_block_stop", "index": index},
    ]


def _a_end(reason: str, output: int, thinking: int = 0) -> list[JSON]:
    usage: JSON = {"output_tokens": output}
    if thinking:
        usage["output_tokens_details"] = {"thinking_tokens": thinking}
    return [
        {"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": None}, "usage": usage},
        {"type": "message_stop"},
    ]


_SIGNATURE = "EqQBCgIYAhIkZm9yZ2Vk+/="
_A_THINKING = {"type": "thinking", "thinking": "Let me look. Zürich…", "signature": _SIGNATURE}

ANTHROPIC_TOOLS = Transcript(
    "anthropic",
    "thinking-tools",
    named(
        _A_START,
        *_a_block(
            0,
            {"type": "thinking", "thinking": "", "signature": ""},
            {"type": "thinking_delta", "thinking": "Let me look. "},
            {"type": "thinking_delta", "thinking": "Zürich…"},
            {"type": "signature_delta", "signature": _SIGNATURE},
        ),
        {"type": "ping"},
        *_a_block(1, {"type": "redacted_thinking", "data": "b64=="}),
        *_a_block(
            2,
            {"type": "text", "text": ""},
            {"type": "text_delta", "text": "Ich schaue "},
            {"type": "text_delta", "text": "nach 🌦"},
        ),
        *_a_block(
            3,
            {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {}},
            {"type": "input_json_delta", "partial_json": ""},
            {"type": "input_json_delta", "partial_json": '{"city": "Zü'},
            {"type": "input_json_delta", "partial_json": 'rich", "days": 2}'},
        ),
        *_a_block(4, {"type": "tool_use", "id": "toolu_2", "name": "now", "input": {}}),
        *_a_end("tool_use", 90, 40),
    ),
    "Ich schaue nach 🌦",
    "Let me look. Zürich…",
    "tool_calls",
    Usage(input=21, output=50, cache_read=1000, cache_write_5m=100, cache_write_1h=200, reasoning=40),
    (
        ReasoningPart("Let me look. Zürich…", "anthropic", {"block": _A_THINKING}),
        ReasoningPart("", "anthropic", {"block": {"type": "redacted_thinking", "data": "b64=="}}),
        TextPart("Ich schaue nach 🌦"),
        ToolCallPart("toolu_1", "weather", {"city": "Zürich", "days": 2}, "anthropic"),
        ToolCallPart("toolu_2", "now", {}, "anthropic"),
    ),
    "claude-sonnet-5-5",
)
ANTHROPIC_TEXT = Transcript(
    "anthropic",
    "text",
    named(
        _A_START,
        *_a_block(0, {"type": "text", "text": ""}, {"type": "text_delta", "text": "Grüezi"}),
        *_a_end("max_tokens", 4),
    ),
    "Grüezi",
    "",
    "length",
    Usage(input=21, output=4, cache_read=1000, cache_write_5m=100, cache_write_1h=200),
    (TextPart("Grüezi"),),
    "claude-sonnet-5-5",
)

# --- OpenAI Responses ------------------------------------------------------------------------------

_R_REASONING = {
    "type": "reasoning",
    "id": "rs_1",
    "summary": [{"type": "summary_text", "text": "Looking"}, {"type": "summary_text", "text": "Found"}],
    "encrypted_content": "gAAAA==",
}
_R_MESSAGE = {
    "type": "message",
    "id": "msg_1",
    "role": "assistant",
    "status": "completed",
    "phase": "commentary",
    "content": [{"type": "output_text", "text": "Ich schaue nach 🌦", "annotations": [], "logprobs": []}],
}
_R_CALL = {
    "type": "function_call",
    "id": "fc_1",
    "call_id": "call_1",
    "name": "weather",
    "arguments": '{"city":"Zürich"}',
    "status": "completed",
}


def _response(status: str, output: list[JSON], **more: JSON) -> JSON:
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1790000000,
        "status": status,
        "model": "gpt-6.1-sol",
        "output": output,
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        **more,
    }


def _numbered(*events: JSON) -> list[JSON]:
    return [{**e, "sequence_number": n} for n, e in enumerate(events)]


_R_USAGE = {
    "input_tokens": 1321,
    "input_tokens_details": {
        "cached_tokens": 1000,
        "cache_write_tokens": 300,
        "cache_write_tokens_details": {"ttl_30m_tokens": 100, "ttl_12h_tokens": 200},
    },
    "output_tokens": 90,
    "output_tokens_details": {"reasoning_tokens": 40},
    "total_tokens": 1411,
}
_PART = {"item_id": "msg_1", "output_index": 1, "content_index": 0}

RESPONSES_TOOLS = Transcript(
    "openai",
    "thinking-tools",
    named(
        *_numbered(
            {"type": "response.created", "response": _response("in_progress", [])},
            {"type": "response.in_progress", "response": _response("in_progress", [])},
            {
                "type": "response.output_item.added",
                "output_index": 0,
                "item": {"type": "reasoning", "id": "rs_1", "summary": []},
            },
            {
                "type": "response.reasoning_summary_part.added",
                "item_id": "rs_1",
                "output_index": 0,
                "summary_index": 0,
                "part": {"type": "summary_text", "text": ""},
            },
            {
                "type": "response.reasoning_summary_text.delta",
                "item_id": "rs_1",
                "output_index": 0,
                "summary_index": 0,
                "delta": "Looking",
            },
            {
                "type": "response.reasoning_summary_part.added",
                "item_id": "rs_1",
                "output_index": 0,
                "summary_index": 1,
                "part": {"type": "summary_text", "text": ""},
            },
            {
                "type": "response.reasoning_summary_text.delta",
                "item_id": "rs_1",
                "output_index": 0,
                "summary_index": 1,
                "delta": "Found",
            },
            {"type": "response.output_item.done", "output_index": 0, "item": _R_REASONING},
            {
                "type": "response.output_item.added",
                "output_index": 1,
                "item": {**_R_MESSAGE, "status": "in_progress", "content": []},
            },
            {
                "type": "response.content_part.added",
                **_PART,
                "part": {"type": "output_text", "text": "", "annotations": []},
            },
            {"type": "response.output_text.delta", **_PART, "delta": "Ich schaue ", "logprobs": []},
            {"type": "response.output_text.delta", **_PART, "delta": "nach 🌦", "logprobs": []},
            {"type": "response.output_text.done", **_PART, "text": "Ich schaue nach 🌦", "logprobs": []},
            {"type": "response.output_item.done", "output_index": 1, "item": _R_MESSAGE},
            {
                "type": "response.output_item.added",
                "output_index": 2,
                "item": {**_R_CALL, "arguments": "", "status": "in_progress"},
            },
            {
                "type": "response.function_call_arguments.delta",
                "item_id": "fc_1",
                "output_index": 2,
                "delta": '{"city":"Zü',
            },
            {
                "type": "response.function_call_arguments.delta",
                "item_id": "fc_1",
                "output_index": 2,
                "delta": 'rich"}',
            },
            {
                "type": "response.function_call_arguments.done",
                "item_id": "fc_1",
                "name": "weather",
                "output_index": 2,
                "arguments": '{"city":"Zürich"}',
            },
            {"type": "response.output_item.done", "output_index": 2, "item": _R_CALL},
            {
                "type": "response.completed",
                "response": _response("completed", [_R_REASONING, _R_MESSAGE, _R_CALL], usage=_R_USAGE),
            },
        )
    ),
    "Ich schaue nach 🌦",
    "Looking\n\nFound",
    "tool_calls",
    Usage(input=21, output=50, cache_read=1000, cache_write_5m=100, cache_write_1h=200, reasoning=40),
    (
        ReasoningPart(
            "Looking\n\nFound",
            "openai",
            {
                "item": {
                    "id": "rs_1",
                    "type": "reasoning",
                    "encrypted_content": "gAAAA==",
                    "summary": _R_REASONING["summary"],
                }
            },
        ),
        TextPart("Ich schaue nach 🌦", {"phase": "commentary"}, "openai"),
        ToolCallPart("call_1", "weather", {"city": "Zürich"}, "openai"),
    ),
    "gpt-6.1-sol",
)
_R_SHORT = {
    **_R_MESSAGE,
    "phase": None,
    "content": [{"type": "output_text", "text": "Grüezi", "annotations": []}],
}
RESPONSES_TEXT = Transcript(
    "openai",
    "text",
    named(
        *_numbered(
            {"type": "response.created", "response": _response("in_progress", [])},
            {"type": "response.output_text.delta", **_PART, "output_index": 0, "delta": "Grüezi"},
            {"type": "response.output_item.done", "output_index": 0, "item": _R_SHORT},
            {
                "type": "response.incomplete",
                "response": _response(
                    "incomplete",
                    [_R_SHORT],
                    usage={
                        "input_tokens": 9,
                        "output_tokens": 4,
                        "total_tokens": 13,
                        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
                        "output_tokens_details": {"reasoning_tokens": 0},
                    },
                    incomplete_details={"reason": "max_output_tokens"},
                ),
            },
        )
    ),
    "Grüezi",
    "",
    "length",
    Usage(input=9, output=4),
    (TextPart("Grüezi", None, "openai"),),
    "gpt-6.1-sol",
)

# --- OpenAI chat ------------------------------------------------------------------------------------


def chat_chunk(delta: JSON, finish: str | None = None, **more: JSON) -> JSON:
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1790000000,
        "model": "deepseek-v4",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}],
        **more,
    }


def chat_usage(**usage: JSON) -> JSON:
    return {**chat_chunk({}), "choices": [], "usage": usage}


_CHAT_EVENTS = (
    chat_chunk({"role": "assistant", "content": None, "reasoning_content": "Let me "}),
    chat_chunk({"content": None, "reasoning_content": "look"}),
    chat_chunk({"content": "Ich schaue ", "reasoning_content": None}),
    chat_chunk({"content": "nach 🌦"}),
    chat_chunk(
        {
            "tool_calls": [
                {
                    "index": 0,
                    "id": "call_1",
                    "type": "function",
                    "function": {"name": "weather", "arguments": ""},
                }
            ]
        }
    ),
    chat_chunk({"tool_calls": [{"index": 0, "function": {"arguments": '{"city": "Zü'}}]}),
    chat_chunk(
        {
            "tool_calls": [
                {
                    "index": 1,
                    "id": "call_2",
                    "type": "function",
                    "function": {"name": "now", "arguments": "{}"},
                }
            ]
        }
    ),
    chat_chunk({"tool_calls": [{"index": 0, "function": {"arguments": 'rich"}'}}]}),
    chat_chunk({}, "tool_calls"),
    chat_usage(
        prompt_tokens=1321,
        completion_tokens=90,
        total_tokens=1411,
        prompt_tokens_details={"cached_tokens": 1000, "cache_write_tokens": 300},
        completion_tokens_details={"reasoning_tokens": 40},
    ),
)


def chat_tools(provider: str) -> Transcript:
    """The answer of any provider that speaks OpenAI's chat."""
    return Transcript(
        provider,
        "thinking-tools",
        b": OPENROUTER PROCESSING\n\n" + unnamed(*_CHAT_EVENTS),
        "Ich schaue nach 🌦",
        "Let me look",
        "tool_calls",
        Usage(input=21, output=50, cache_read=1000, cache_write_5m=300, reasoning=40),
        (
            ReasoningPart("Let me look", provider, {"field": "reasoning_content"}),
            TextPart("Ich schaue nach 🌦"),
            ToolCallPart("call_1", "weather", {"city": "Zürich"}, provider),
            ToolCallPart("call_2", "now", {}, provider),
        ),
        "deepseek-v4",
    )


CHAT_TEXT = Transcript(
    "deepseek",
    "text",
    unnamed(
        chat_chunk({"role": "assistant", "content": "Grüezi"}),
        chat_chunk({}, "length", usage={"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}),
    ),
    "Grüezi",
    "",
    "length",
    Usage(input=9, output=4),
    (TextPart("Grüezi"),),
    "deepseek-v4",
)

# --- Gemini -----------------------------------------------------------------------------------------


def gemini_chunk(*parts: JSON, finish: str | None = None, usage: JSON = None) -> JSON:
    candidate: JSON = {"content": {"parts": list(parts), "role": "model"}, "index": 0}
    if finish:
        candidate["finishReason"] = finish
    out: JSON = {"candidates": [candidate], "modelVersion": "gemini-3.8-flash", "responseId": "g1"}
    if usage:
        out["usageMetadata"] = usage
    return out


GEMINI_TOOLS = Transcript(
    "google",
    "thinking-tools",
    crlf(
        gemini_chunk(
            {"text": "Let me ", "thought": True}, usage={"promptTokenCount": 1021, "totalTokenCount": 1021}
        ),
        gemini_chunk({"text": "look", "thought": True}),
        gemini_chunk({"text": "Ich schaue "}),
        gemini_chunk({"text": "nach 🌦"}),
        gemini_chunk(
            {
                "functionCall": {"name": "weather", "args": {"city": "Zürich"}, "id": "fc1"},
                "thoughtSignature": "c2ln",
            },
            {"functionCall": {"name": "now", "args": {}, "id": "fc2"}},
        ),
        gemini_chunk(
            {"text": "", "thoughtSignature": "ZW5k"},
            finish="STOP",
            usage={
                "promptTokenCount": 1021,
                "cachedContentTokenCount": 1000,
                "candidatesTokenCount": 50,
                "thoughtsTokenCount": 40,
                "totalTokenCount": 1111,
            },
        ),
    ),
    "Ich schaue nach 🌦",
    "Let me look",
    "tool_calls",
    Usage(input=21, output=50, cache_read=1000, reasoning=40),
    (
        ReasoningPart("Let me look", "google"),
        TextPart("Ich schaue nach 🌦", None, "google"),
        ToolCallPart(
            "fc1", "weather", {"city": "Zürich"}, "google", {"thoughtSignature": "c2ln", "id": "fc1"}
        ),
        ToolCallPart("fc2", "now", {}, "google", {"id": "fc2"}),
        TextPart("", {"thoughtSignature": "ZW5k"}, "google"),
    ),
    "gemini-3.8-flash",
)
GEMINI_TEXT = Transcript(
    "google",
    "text",
    crlf(
        gemini_chunk(
            {"text": "Grüezi"},
            finish="MAX_TOKENS",
            usage={"promptTokenCount": 9, "candidatesTokenCount": 4, "totalTokenCount": 13},
        )
    ),
    "Grüezi",
    "",
    "length",
    Usage(input=9, output=4),
    (TextPart("Grüezi", None, "google"),),
    "gemini-3.8-flash",
)

# --- Ollama -----------------------------------------------------------------------------------------


def ollama_line(message: JSON, **more: JSON) -> JSON:
    return {
        "model": "qwen3",
        "created_at": "2026-11-21T00:00:00Z",
        "message": {"role": "assistant", "content": "", **message},
        "done": False,
        **more,
    }


_COUNTS = {"total_duration": 5, "load_duration": 1, "prompt_eval_count": 21, "eval_count": 90}

OLLAMA_TOOLS = Transcript(
    "ollama",
    "thinking-tools",
    lines(
        ollama_line({"thinking": "Let me "}),
        ollama_line({"thinking": "look"}),
        ollama_line({"content": "Ich schaue "}),
        ollama_line({"content": "nach 🌦"}),
        ollama_line(
            {
                "tool_calls": [
                    {"id": "call_1", "function": {"name": "weather", "arguments": {"city": "Zürich"}}}
                ]
            }
        ),
        ollama_line({}, done=True, done_reason="stop", **_COUNTS),
    ),
    "Ich schaue nach 🌦",
    "Let me look",
    "tool_calls",
    Usage(input=21, output=90),
    (
        ReasoningPart("Let me look", "ollama"),
        TextPart("Ich schaue nach 🌦"),
        ToolCallPart("call_1", "weather", {"city": "Zürich"}, "ollama"),
    ),
    "qwen3",
)
OLLAMA_TEXT = Transcript(
    "ollama",
    "text",
    lines(
        ollama_line({"content": "Grüezi"}),
        ollama_line({}, done=True, done_reason="length", prompt_eval_count=9, eval_count=4),
    ),
    "Grüezi",
    "",
    "length",
    Usage(input=9, output=4),
    (TextPart("Grüezi"),),
    "qwen3",
)

TRANSCRIPTS: tuple[Transcript, ...] = (
    ANTHROPIC_TOOLS,
    ANTHROPIC_TEXT,
    RESPONSES_TOOLS,
    RESPONSES_TEXT,
    chat_tools("deepseek"),
    CHAT_TEXT,
    GEMINI_TOOLS,
    GEMINI_TEXT,
    OLLAMA_TOOLS,
    OLLAMA_TEXT,
)
BY_WIRE: dict[str, Callable[[str], Transcript]] = {
    "anthropic": lambda _: ANTHROPIC_TOOLS,
    "openai-responses": lambda _: RESPONSES_TOOLS,
    "openai-chat": chat_tools,
    "azure-chat": chat_tools,
    "gemini": lambda _: GEMINI_TOOLS,
    "ollama": lambda _: OLLAMA_TOOLS,
}
