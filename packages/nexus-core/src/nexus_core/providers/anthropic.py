"""Anthropic's Messages API.

Thinking blocks are replayed with their signatures, unmodified and in their place,
which the API demands of the turn before tool results. Usage is disjoint already,
except that output includes thinking; streamed usage is cumulative.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

from ..messages import ImagePart, Message, Part, ReasoningPart, TextPart, ToolCallPart
from ..usage import Usage
from . import clients, faults, models, schemas, sdk, tokens
from .adapter import Adapter, Parser
from .base import (
    ModelEvent,
    ModelRequest,
    ReasoningDelta,
    Stop,
    StopReason,
    TextDelta,
    ToolInputDelta,
    UsageUpdate,
)
from .faults import Where
from .history import image_base64, own, paired, results_of, split_system
from .reading import read_json, tool_call

JSON = Any

_STOP: dict[str, StopReason] = {
    "end_turn": "end",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "stop_sequence": "stop_sequence",
    "tool_use": "tool_calls",
    "pause_turn": "pause",
    "refusal": "refusal",
}
_HOST = "api.anthropic.com"
_BUDGET = {"low": 2048, "medium": 8192, "high": 24576}
_LEAST_BUDGET = 1024
_NOT_IN_IDS = re.compile(r"[^a-zA-Z0-9_-]")


class AnthropicProvider(Adapter):
    """Wire `anthropic`."""

    @asynccontextmanager
    async def _open(self, request: ModelRequest, where: Where) -> AsyncIterator[AsyncIterator[bytes]]:
        client = await clients.shared(self, ("anthropic", self._key, self.base_url, self._guard), self._build)
        sent = body(request, self.name)
        async with sdk.posted(client, "/v1/messages", sent, request.timeout) as pieces:
            yield pieces

    def _build(self) -> Any:
        import anthropic

        headers = {"Accept-Encoding": "identity", **self.spec.headers}
        if urlsplit(self.base_url).hostname != _HOST:
            headers["x-api-key"] = (
                self._key
            )  # the SDK sends it as a bearer; compatible servers may know only this
        return anthropic.AsyncAnthropic(
            api_key=self._key,
            base_url=self.base_url,
            max_retries=0,
            http_client=sdk.http_client(anthropic, self._guard),
            default_headers=headers,
        )

    def _parser(self, request: ModelRequest, where: Where) -> Parser:
        return AnthropicParser(where)


def body(request: ModelRequest, provider: str) -> dict[str, JSON]:
    """The request's body."""
    system, messages = split_system(request.system, paired(request.messages))
    out: dict[str, JSON] = {
        "model": request.model,
        "max_tokens": request.max_tokens,
        "messages": _turns(messages, provider),
        "stream": True,
        "cache_control": {"type": "ephemeral"},
    }
    if system:
        out["system"] = [{"type": "text", "text": system}]
    if request.tools:
        out["tools"] = [
            {"name": t.name, "description": t.description, "input_schema": dict(t.input_schema)}
            for t in request.tools
        ]
        if request.tool_choice == "none":
            out["tool_choice"] = {"type": "none"}
    if request.user:
        out["metadata"] = {"user_id": request.user}
    thinking, output = _thinking(request)
    if request.response_schema is not None:
        output["format"] = {"type": "json_schema", "schema": schemas.closed(request.response_schema)}
    if thinking:
        out["thinking"] = thinking
    if output:
        out["output_config"] = output
    if request.temperature is not None and not thinking and models.claude_takes_temperature(request.model):
        out["temperature"] = min(max(request.temperature, 0.0), 1.0)
    return out


def _thinking(request: ModelRequest) -> tuple[dict[str, JSON], dict[str, JSON]]:
    """`thinking` and `output_config` for the request's reasoning; empty where the model cannot think."""
    if request.reasoning == "off" or not models.claude_thinks(request.model):
        return {}, {}
    if not models.claude_thinks_by_budget(request.model):
        return {"type": "adaptive", "display": "summarized"}, {"effort": request.reasoning}
    budget = min(
        _BUDGET[request.reasoning], request.max_tokens // 2
    )  # it counts as output: leave room to answer
    if budget < _LEAST_BUDGET:
        return {}, {}
    return {"type": "enabled", "budget_tokens": budget}, {}


def _turns(messages: Sequence[Message], provider: str) -> list[dict[str, JSON]]:
    """Alternating turns: the results of one step stand in one user turn, before any text of the person."""
    turns: list[dict[str, JSON]] = []
    for message in messages:
        role = "assistant" if message.role == "assistant" else "user"
        content = _results(message) if message.role == "tool" else _blocks(message.parts, provider)
        if not content:
            continue
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"].extend(content)
        else:
            turns.append({"role": role, "content": content})
    return turns


def _results(message: Message) -> list[dict[str, JSON]]:
    blocks: list[dict[str, JSON]] = []
    for result in results_of(message):
        block: dict[str, JSON] = {
            "type": "tool_result",
            "tool_use_id": _fit_id(result.call_id),
            "content": result.content,
        }
        if result.is_error:
            block["is_error"] = True
        blocks.append(block)
    return blocks


def _blocks(parts: Sequence[Part], provider: str) -> list[dict[str, JSON]]:
    blocks: list[dict[str, JSON]] = []
    for part in parts:
        data = own(part, provider)
        match part:
            case TextPart() | ReasoningPart() if data and "block" in data:
                blocks.append(dict(data["block"]))
            case TextPart() if part.text.strip():  # the API refuses blank text
                blocks.append({"type": "text", "text": part.text})
            case ImagePart():
                source = {"type": "base64", "media_type": part.media_type, "data": image_base64(part)}
                blocks.append({"type": "image", "source": source})
            case ToolCallPart():
                blocks.append(
                    {
                        "type": "tool_use",
                        "id": _fit_id(part.call_id),
                        "name": part.name,
                        "input": dict(part.input),
                    }
                )
            case _:  # thinking of another provider
                pass
    return blocks


def _fit_id(call_id: str) -> str:
    """Ids of other providers may hold characters that Anthropic refuses."""
    return _NOT_IN_IDS.sub("_", call_id)


class AnthropicParser(Parser):
    """Events of one message, collected block by block."""

    def __init__(self, where: Where) -> None:
        self._where = where
        self._blocks: dict[int, dict[str, JSON]] = {}
        self._pieces: dict[int, list[str]] = {}
        self._raw_usage: dict[str, JSON] = {}
        self._model = ""
        self._id = ""
        self._reason = ""
        self._detail = ""

    def feed(self, name: bytes, data: bytes, out: list[ModelEvent]) -> bool:
        event = read_json(data)
        kind = event.get("type") or name.decode()
        if kind == "content_block_delta":
            self._delta(event["index"], event["delta"], out)
        elif kind == "content_block_start":
            self._start(event["index"], event["content_block"], out)
        elif kind == "message_start":
            message = event["message"]
            self._model, self._id = message.get("model") or "", message.get("id") or ""
            self._take_usage(message.get("usage"), out)
        elif kind == "message_delta":
            delta = event["delta"]
            self._reason = delta.get("stop_reason") or self._reason
            self._detail = (delta.get("stop_details") or {}).get("category") or self._detail
            self._take_usage(event.get("usage"), out)
        elif kind == "error":
            raise faults.said_in_stream(self._where, event.get("error") or event)
        return bool(kind == "message_stop")

    def stop(self) -> Stop | None:
        if not self._reason:
            return None
        parts = tuple(part for index in sorted(self._blocks) if (part := self._part(index)) is not None)
        detail = f"{self._reason}: {self._detail}" if self._detail else self._reason
        return Stop(_STOP.get(self._reason, "end"), parts, self._usage(), self._model, self._id, detail)

    def _start(self, index: int, block: dict[str, JSON], out: list[ModelEvent]) -> None:
        self._blocks[index] = block
        self._pieces[index] = pieces = []
        kind = block.get("type")
        if kind == "text" and block.get("text"):
            pieces.append(block["text"])
            out.append(TextDelta(block["text"]))
        elif kind == "thinking" and block.get("thinking"):
            pieces.append(block["thinking"])
            out.append(ReasoningDelta(block["thinking"]))
        elif kind == "tool_use":
            out.append(ToolInputDelta(index, block.get("name") or "", ""))

    def _delta(self, index: int, delta: Mapping[str, JSON], out: list[ModelEvent]) -> None:
        kind = delta["type"]
        if kind == "text_delta":
            text = delta["text"]
            self._pieces[index].append(text)
            if text:
                out.append(TextDelta(text))
        elif kind == "thinking_delta":
            text = delta["thinking"]
            self._pieces[index].append(text)
            if text:
                out.append(ReasoningDelta(text))
        elif kind == "input_json_delta":
            text = delta["partial_json"]
            self._pieces[index].append(text)
            if text and self._blocks[index].get("type") == "tool_use":
                out.append(ToolInputDelta(index, self._blocks[index].get("name") or "", text))
        elif kind == "signature_delta":
            block = self._blocks[index]
            block["signature"] = (block.get("signature") or "") + delta["signature"]
        elif kind == "citations_delta":
            block = self._blocks[index]
            block["citations"] = [*(block.get("citations") or ()), delta["citation"]]

    def _part(self, index: int) -> Part | None:
        block, text = self._blocks[index], "".join(self._pieces[index])
        provider = self._where.provider
        match block.get("type"):
            case "text":
                if block.get("citations"):
                    return TextPart(text, {"block": {**block, "text": text}}, provider)
                return TextPart(text) if text else None
            case "thinking":
                return ReasoningPart(text, provider, {"block": {**block, "thinking": text}})
            case "redacted_thinking":
                return ReasoningPart("", provider, {"block": block})
            case "tool_use":
                given = block.get("input")
                if not text and given:  # a server that sends the whole input at once
                    return ToolCallPart(block["id"], block["name"], given, provider)
                return tool_call(block.get("id") or "", block.get("name") or "", text, provider)
            case _:  # what Anthropic's own server tools leave behind: replayed as it came
                if text:
                    block = {**block, "input": read_json(text.encode())}
                return TextPart("", {"block": block}, provider)

    def _take_usage(self, raw: Mapping[str, JSON] | None, out: list[ModelEvent]) -> None:
        if raw:
            self._raw_usage.update((key, value) for key, value in raw.items() if value is not None)
            if (usage := self._usage()) is not None:
                out.append(UsageUpdate(usage))

    def _usage(self) -> Usage | None:
        raw = self._raw_usage
        written = tokens.count(raw.get("cache_creation_input_tokens"))
        long = min(tokens.count((raw.get("cache_creation") or {}).get("ephemeral_1h_input_tokens")), written)
        thought = tokens.count((raw.get("output_tokens_details") or {}).get("thinking_tokens"))
        return tokens.usage(
            input=tokens.count(raw.get("input_tokens")),
            output=tokens.count(raw.get("output_tokens")) - thought,
            cache_read=tokens.count(raw.get("cache_read_input_tokens")),
            cache_write_5m=written - long,
            cache_write_1h=long,
            reasoning=min(thought, tokens.count(raw.get("output_tokens"))),
            searches=tokens.count((raw.get("server_tool_use") or {}).get("web_search_requests")),
        )
