"""A play's step as the bytes of a provider: OpenAI's chat completions and Anthropic's messages."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .play import MARK, Call, PlayStep, thought, word

JSON = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes that leave together, and what they tell."""

    data: bytes
    text: str = ""
    thinking: str = ""
    usage: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request holds that matters here."""

    text: str
    step: int
    results: dict[str, str]


def usage_of(step: PlayStep, number: int) -> dict[str, int]:
    """Unique by its input, so that an attempt's row can be matched with its request."""
    return {
        "input": 1000 + number,
        "output": step.words + 3 * len(step.calls) + 1,
        "reasoning": step.thoughts,
        "cached": step.cached,
    }


def call_id(key: str, step: int, attempt: int, place: int) -> str:
    return f"call-{key}-{step}-{attempt}-{place}"


# --- reading requests ------------------------------------------------------------------------------------


def asked(wire: str, body: JSON) -> Asked:
    """The play's message (the last one that holds one) and how many answers came after it."""
    messages = body["messages"]
    start = max((i for i, message in enumerate(messages) if MARK in _text(message)), default=0)
    after = messages[start + 1 :]
    step = sum(message["role"] == "assistant" for message in after)
    results: dict[str, str] = {}
    for message in after:
        if message["role"] == "tool":
            results[message["tool_call_id"]] = _text(message)
        elif wire == "anthropic" and isinstance(message["content"], list):
            for part in message["content"]:
                if part.get("type") == "tool_result":
                    results[part["tool_use_id"]] = _text({"content": part.get("content", "")})
    return Asked(_text(messages[start]), step, results)


def _text(message: JSON) -> str:
    content = message.get("content") or ""
    if isinstance(content, str):
        return content
    return "".join(part.get("text", "") for part in content if isinstance(part, dict))


# --- OpenAI ----------------------------------------------------------------------------------------------


def openai_pieces(key: str, step: PlayStep, index: int, attempt: int, number: int) -> Iterator[Piece]:
    def data(delta: JSON, finish: str | None = None) -> bytes:
        return _openai({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})

    yield Piece(data({"role": "assistant", "content": ""}))
    for place in range(step.thoughts):
        said = thought(key, index, attempt, place)
        yield Piece(data({"reasoning_content": said}), thinking=said)
    for place in range(step.words):
        said = word(key, index, attempt, place)
        yield Piece(data({"content": said}), text=said)
    for place, call in enumerate(step.calls):
        arguments = _arguments(call)
        half = len(arguments) // 2
        head = {"index": place, "id": call_id(key, index, attempt, place), "type": "function"}
        yield Piece(
            data({"tool_calls": [{**head, "function": {"name": call.tool, "arguments": arguments[:half]}}]})
        )
        yield Piece(data({"tool_calls": [{"index": place, "function": {"arguments": arguments[half:]}}]}))
    yield Piece(data({}, "tool_calls" if step.calls else "stop"))
    usage = usage_of(step, number)
    told = {
        "prompt_tokens": usage["input"] + usage["cached"],
        "prompt_tokens_details": {"cached_tokens": usage["cached"]},
        "completion_tokens": usage["output"] + usage["reasoning"],
        "total_tokens": sum(usage.values()),
        "completion_tokens_details": {"reasoning_tokens": usage["reasoning"]},
    }
    yield Piece(_openai({"choices": [], "usage": told}), usage=True)
    yield Piece(b"data: [DONE]\n\n")


def _openai(more: JSON) -> bytes:
    head = {
        "id": "chatcmpl-chaos",
        "object": "chat.completion.chunk",
        "created": 1700000000,
        "model": "chaos",
    }
    return b"data: " + json.dumps({**head, **more}, separators=(",", ":")).encode() + b"\n\n"


# --- Anthropic -------------------------------------------------------------------------------------------


def anthropic_pieces(key: str, step: PlayStep, index: int, attempt: int, number: int) -> Iterator[Piece]:
    usage = usage_of(step, number)
    begun = {"input_tokens": usage["input"], "cache_read_input_tokens": usage["cached"], "output_tokens": 1}
    yield Piece(
        _event(
            "message_start",
            message={
                "id": f"msg_{number}",
                "type": "message",
                "role": "assistant",
                "model": "claude-chaos",
                "content": [],
                "stop_reason": None,
                "stop_sequence": None,
                "usage": begun,
            },
        )
    )
    block = 0
    if step.thoughts:
        yield Piece(_start(block, {"type": "thinking", "thinking": "", "signature": ""}))
        for place in range(step.thoughts):
            said = thought(key, index, attempt, place)
            yield Piece(_delta(block, {"type": "thinking_delta", "thinking": said}), thinking=said)
        yield Piece(_delta(block, {"type": "signature_delta", "signature": "c2ln"}))
        yield Piece(_event("content_block_stop", index=block))
        block += 1
    if step.words:
        yield Piece(_start(block, {"type": "text", "text": ""}))
        for place in range(step.words):
            said = word(key, index, attempt, place)
            yield Piece(_delta(block, {"type": "text_delta", "text": said}), text=said)
        yield Piece(_event("content_block_stop", index=block))
        block += 1
    for place, call in enumerate(step.calls):
        identifier = call_id(key, index, attempt, place)
        yield Piece(_start(block, {"type": "tool_use", "id": identifier, "name": call.tool, "input": {}}))
        arguments = _arguments(call)
        half = len(arguments) // 2
        for part in (arguments[:half], arguments[half:]):
            yield Piece(_delta(block, {"type": "input_json_delta", "partial_json": part}))
        yield Piece(_event("content_block_stop", index=block))
        block += 1
    reason = {"stop_reason": "tool_use" if step.calls else "end_turn", "stop_sequence": None}
    output = {"output_tokens": usage["output"] + usage["reasoning"]}
    yield Piece(_event("message_delta", delta=reason, usage=output), usage=True)
    yield Piece(_event("message_stop"))


def _event(kind: str, **fields: Any) -> bytes:
    data = json.dumps({"type": kind, **fields}, separators=(",", ":"))
    return f"event: {kind}\ndata: {data}\n\n".encode()


def _start(index: int, block: JSON) -> bytes:
    return _event("content_block_start", index=index, content_block=block)


def _delta(index: int, delta: JSON) -> bytes:
    return _event("content_block_delta", index=index, delta=delta)


def _arguments(call: Call) -> str:
    return json.dumps({"key": call.key, "beforeMs": call.before_ms, "afterMs": call.after_ms})


WIRES = {"openai": openai_pieces, "anthropic": anthropic_pieces}
