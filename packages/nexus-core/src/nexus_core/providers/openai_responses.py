"""OpenAI's Responses API, stateless: nothing is stored there, we send everything.

Reasoning comes back encrypted and is replayed as it came. Messages and calls are
replayed without their ids, which would bind them to items that OpenAI no longer has.
Usage: input includes what the cache gave and took, output includes reasoning.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

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
from .history import image_url, json_text, own, paired, results_of, split_system
from .openai_chat import BEARER, openai_client
from .reading import read_json, tool_call

JSON = Any

LEAST_OUTPUT = 16
"""The API refuses a smaller `max_output_tokens`."""
_INCOMPLETE: dict[str, StopReason] = {"max_output_tokens": "length", "content_filter": "refusal"}


class OpenAIResponsesProvider(Adapter):
    """Wire `openai-responses`."""

    @asynccontextmanager
    async def _open(self, request: ModelRequest, where: Where) -> AsyncIterator[AsyncIterator[bytes]]:
        client = await clients.shared(
            self, ("responses", self.name, self._key, self.base_url, self._guard), self._build
        )
        sent = body(request, self.name, self.spec.sends_cache_key)
        async with sdk.posted(client, "/responses", sent, request.timeout, **BEARER) as pieces:
            yield pieces

    def _build(self) -> Any:
        return openai_client(self.spec, self._key, self.base_url, self._guard)

    def _parser(self, request: ModelRequest, where: Where) -> Parser:
        return ResponsesParser(where)


def body(request: ModelRequest, provider: str, sends_cache_key: bool) -> dict[str, JSON]:
    """The request's body."""
    system, messages = split_system(request.system, paired(request.messages))
    reasons = models.openai_reasons(request.model)
    out: dict[str, JSON] = {
        "model": request.model,
        "input": [item for message in messages for item in _items(message, provider)],
        "max_output_tokens": max(request.max_tokens, LEAST_OUTPUT),
        "stream": True,
        "store": False,
    }
    if system:
        out["instructions"] = system
    if request.tools:
        out["tools"] = [
            {
                "type": "function",
                "name": t.name,
                "description": t.description,
                "parameters": dict(t.input_schema),
                "strict": False,
            }
            for t in request.tools
        ]
        if request.tool_choice == "none":
            out["tool_choice"] = "none"
    if reasons:
        out["include"] = ["reasoning.encrypted_content"]
        if request.reasoning != "off":
            out["reasoning"] = {"effort": request.reasoning, "summary": "auto"}
    elif request.temperature is not None:
        out["temperature"] = request.temperature
    if request.response_schema is not None:
        schema = schemas.closed(request.response_schema)
        out["text"] = {
            "format": {
                "type": "json_schema",
                "name": "answer",
                "schema": schema,
                "strict": schemas.fit_for_strict(schema),
            }
        }
    if request.user:
        out["safety_identifier"] = request.user
    if request.cache_key and sends_cache_key:
        out["prompt_cache_key"] = request.cache_key
    return out


def _items(message: Message, provider: str) -> list[dict[str, JSON]]:
    match message.role:
        case "tool":
            return [
                {"type": "function_call_output", "call_id": r.call_id, "output": r.content}
                for r in results_of(message)
            ]
        case "assistant":
            return _assistant(message.parts, provider)
    content: list[dict[str, JSON]] = []
    for part in message.parts:
        match part:
            case TextPart() if part.text:
                content.append({"type": "input_text", "text": part.text})
            case ImagePart():
                content.append({"type": "input_image", "image_url": image_url(part), "detail": "auto"})
            case _:
                pass
    return [{"type": "message", "role": "user", "content": content}] if content else []


def _assistant(parts: Sequence[Part], provider: str) -> list[dict[str, JSON]]:
    items: list[dict[str, JSON]] = []
    for part in parts:
        data = own(part, provider) or {}
        match part:
            case ReasoningPart() if "item" in data:
                items.append(dict(data["item"]))
            case TextPart() if part.text:
                item: dict[str, JSON] = {"type": "message", "role": "assistant", "content": part.text}
                if data.get("phase"):
                    item["phase"] = data["phase"]
                items.append(item)
            case ToolCallPart():
                items.append(
                    {
                        "type": "function_call",
                        "call_id": part.call_id,
                        "name": part.name,
                        "arguments": json_text(part.input),
                    }
                )
            case _:  # thinking of another provider, or without its encrypted form
                pass
    return items


class ResponsesParser(Parser):
    """Events of one response; the finished items come with `output_item.done`."""

    def __init__(self, where: Where) -> None:
        self._where = where
        self._items: dict[int, dict[str, JSON]] = {}
        self._names: dict[int, str] = {}
        self._said: dict[int, int] = {}
        self._usage: Usage | None = None
        self._model = ""
        self._id = ""
        self._reason: StopReason | None = None
        self._detail = ""

    def feed(self, name: bytes, data: bytes, out: list[ModelEvent]) -> bool:
        if data == b"[DONE]":
            return True
        event = read_json(data)
        match event.get("type") or name.decode():
            case "response.output_text.delta" | "response.refusal.delta":
                index, text = event["output_index"], event["delta"]
                if text:
                    self._said[index] = self._said.get(index, 0) + len(text)
                    out.append(TextDelta(text))
            case "response.reasoning_summary_text.delta" | "response.reasoning_text.delta":
                if event["delta"]:
                    out.append(ReasoningDelta(event["delta"]))
            case "response.reasoning_summary_part.added" if event.get("summary_index"):
                out.append(ReasoningDelta("\n\n"))
            case "response.function_call_arguments.delta":
                index = event["output_index"]
                out.append(ToolInputDelta(index, self._names.get(index, ""), event["delta"]))
            case "response.output_item.added":
                item = event["item"]
                if item.get("type") == "function_call":
                    self._names[event["output_index"]] = item.get("name") or ""
                    out.append(ToolInputDelta(event["output_index"], item.get("name") or "", ""))
            case "response.output_item.done":
                self._item_done(event["output_index"], event["item"], out)
            case "response.created" | "response.in_progress":
                self._take(event["response"])
            case "response.completed" | "response.incomplete":
                self._finished(event["response"], out)
                return True
            case "response.failed":
                raise faults.said_in_stream(self._where, event["response"].get("error") or {})
            case "error":
                raise faults.said_in_stream(self._where, event.get("error") or _without_type(event))
        return False

    def stop(self) -> Stop | None:
        if self._reason is None:
            return None
        parts = tuple(part for index in sorted(self._items) for part in self._parts(self._items[index]))
        return Stop(self._reason, parts, self._usage, self._model, self._id, self._detail)

    def _item_done(self, index: int, item: dict[str, JSON], out: list[ModelEvent]) -> None:
        self._items[index] = item
        if item.get("type") == "message":
            text, said = _text_of(item), self._said.get(index, 0)
            if len(text) > said:  # a server that sends some of its text only with the whole item
                self._said[index] = len(text)
                out.append(TextDelta(text[said:]))

    def _finished(self, response: Mapping[str, JSON], out: list[ModelEvent]) -> None:
        self._take(response)
        for index, item in enumerate(response.get("output") or ()):
            if index not in self._items:
                self._item_done(index, item, out)
        raw = response.get("usage")
        self._usage = responses_usage(raw) if raw else None
        if self._usage is not None:
            out.append(UsageUpdate(self._usage))
        self._detail = response.get("status") or "completed"
        self._reason = "end"
        kinds = [item.get("type") for item in self._items.values()]
        if self._detail == "incomplete":
            why = (response.get("incomplete_details") or {}).get("reason") or ""
            self._reason, self._detail = _INCOMPLETE.get(why, "length"), f"incomplete: {why}"
        elif "function_call" in kinds:
            self._reason = "tool_calls"
        elif any(_refused(item) for item in self._items.values()):
            self._reason, self._detail = "refusal", "refusal"

    def _take(self, response: Mapping[str, JSON]) -> None:
        self._id = response.get("id") or self._id
        self._model = response.get("model") or self._model

    def _parts(self, item: Mapping[str, JSON]) -> list[Part]:
        provider = self._where.provider
        match item.get("type"):
            case "message":
                text, phase = _text_of(item), item.get("phase")
                return [TextPart(text, {"phase": phase} if phase else None, provider)] if text else []
            case "reasoning":
                text = "\n\n".join(piece.get("text") or "" for piece in item.get("summary") or ())
                if not text:
                    text = "".join(piece.get("text") or "" for piece in item.get("content") or ())
                if not item.get("encrypted_content"):  # nothing that OpenAI could read again
                    return [ReasoningPart(text, provider)] if text else []
                kept = {key: item[key] for key in ("id", "type", "encrypted_content") if key in item}
                kept["summary"] = item.get("summary") or []
                return [ReasoningPart(text, provider, {"item": kept})]
            case "function_call":
                return [
                    tool_call(
                        item.get("call_id") or item.get("id") or "",
                        item.get("name") or "",
                        item.get("arguments") or "",
                        provider,
                    )
                ]
        return []


def _text_of(item: Mapping[str, JSON]) -> str:
    return "".join(piece.get("text") or piece.get("refusal") or "" for piece in item.get("content") or ())


def _refused(item: Mapping[str, JSON]) -> bool:
    content = item.get("content") or ()
    return item.get("type") == "message" and any(piece.get("type") == "refusal" for piece in content)


def _without_type(event: Mapping[str, JSON]) -> dict[str, JSON]:
    return {key: value for key, value in event.items() if key != "type"}


def responses_usage(raw: Mapping[str, JSON]) -> Usage | None:
    """Buckets of a `usage` object."""
    total_in, total_out = tokens.count(raw.get("input_tokens")), tokens.count(raw.get("output_tokens"))
    inside = raw.get("input_tokens_details") or {}
    read = min(tokens.count(inside.get("cached_tokens")), total_in)
    write = min(tokens.count(inside.get("cache_write_tokens")), total_in - read)
    long = min(tokens.count((inside.get("cache_write_tokens_details") or {}).get("ttl_12h_tokens")), write)
    thought = min(tokens.count((raw.get("output_tokens_details") or {}).get("reasoning_tokens")), total_out)
    return tokens.usage(
        input=total_in - read - write,
        output=total_out - thought,
        cache_read=read,
        cache_write_5m=write - long,
        cache_write_1h=long,
        reasoning=thought,
    )
