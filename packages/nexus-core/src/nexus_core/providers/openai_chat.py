"""OpenAI's Chat Completions, as OpenAI, Azure and the many compatible servers speak it.

Compatible servers add fields of their own to the stream: thinking comes as
`reasoning_content`, `reasoning` or (Mistral) as typed pieces of `content`, usage
in several places. What they take differs too: see dialects.py.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from ..addresses import AddressGuard
from ..errors import SERVER_MESSAGE, ProviderUnavailable
from ..messages import ImagePart, Message, Part, ReasoningPart, TextPart, ToolCallPart
from ..usage import Usage
from . import clients, faults, models, schemas, sdk, tokens
from .adapter import Adapter, Parser
from .base import (
    ModelEvent,
    ModelRequest,
    ProviderSpec,
    ReasoningDelta,
    Stop,
    StopReason,
    TextDelta,
    ToolInputDelta,
    UsageUpdate,
)
from .dialects import Dialect, dialect_of
from .faults import ProviderFault, Where
from .history import image_url, json_text, own, paired, results_of, split_system
from .reading import read_json, tool_call

JSON = Any

_STOP: dict[str, StopReason] = {
    "stop": "end",
    "eos": "end",
    "COMPLETE": "end",
    "length": "length",
    "model_length": "length",
    "max_tokens": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "refusal",
    "sensitive": "refusal",
    "stop_sequence": "stop_sequence",
}
_FAILED = frozenset({"error", "insufficient_system_resource", "network_error", "abort"})
_NO_KEY = "none"
"""The SDK wants a key; a server on the own machine does not look at it."""
BEARER: dict[str, JSON] = {"security": {"bearer_auth": True}}
"""What the SDK's own `create` says: the key goes as a bearer, and no admin key with it."""


class OpenAIChatProvider(Adapter):
    """Wires `openai-chat` and `azure-chat`."""

    def __init__(
        self, spec: ProviderSpec, *, key: str | None, base_url: str, guard: AddressGuard | None = None
    ) -> None:
        if spec.wire == "azure-chat" and base_url:
            base_url = azure_v1(base_url)
        super().__init__(spec, key=key, base_url=base_url, guard=guard)

    @asynccontextmanager
    async def _open(self, request: ModelRequest, where: Where) -> AsyncIterator[AsyncIterator[bytes]]:
        client = await clients.shared(
            self, ("openai", self.name, self._key, self.base_url, self._guard), self._build
        )
        sent = body(request, self.spec)
        async with sdk.posted(client, "/chat/completions", sent, request.timeout, **BEARER) as pieces:
            yield pieces

    def _build(self) -> Any:
        return openai_client(self.spec, self._key, self.base_url, self._guard)

    def _parser(self, request: ModelRequest, where: Where) -> Parser:
        return ChatParser(where)

    def unreachable_message(self) -> str:
        if self.spec.free:
            hint = f" or set {self.spec.base_url_var}" if self.spec.base_url_var else ""
            return f"{self.spec.label} does not answer at {self.base_url}. Start it{hint}."
        return ""


def openai_client(spec: ProviderSpec, key: str, base_url: str, guard: AddressGuard | None = None) -> Any:
    """An `AsyncOpenAI` that takes nothing from the environment: what stands there is for OpenAI alone."""
    import openai

    headers = {"Accept-Encoding": "identity", **spec.headers}
    if spec.wire == "azure-chat":
        headers["api-key"] = key
    client = openai.AsyncOpenAI(
        api_key=key or _NO_KEY,
        base_url=base_url,
        max_retries=0,
        http_client=sdk.http_client(openai, guard),
        default_headers=headers,
    )
    if spec.name != "openai":
        client.organization = client.project = None
    return client


def azure_v1(endpoint: str) -> str:
    """Azure's version-less address under a resource's endpoint; an address that has a path stays."""
    address = endpoint.rstrip("/")
    return address if "/openai" in address else f"{address}/openai/v1"


def body(request: ModelRequest, spec: ProviderSpec) -> dict[str, JSON]:
    """The request's body."""
    dialect = dialect_of(spec.name)
    system, messages = split_system(request.system, paired(request.messages))
    out: dict[str, JSON] = {"model": request.model, "stream": True, dialect.max_tokens: request.max_tokens}
    if dialect.usage_option:
        out["stream_options"] = {"include_usage": True}
    if request.tools:
        out["tools"] = [
            {
                "type": "function",
                "function": {
                    "name": t.name,
                    "description": t.description,
                    "parameters": dict(t.input_schema),
                },
            }
            for t in request.tools
        ]
        if request.tool_choice == "none":
            out["tool_choice"] = "none"
    if request.response_schema is not None:
        out["response_format"], system = _response_format(request.response_schema, system, dialect)
    only_own = dialect.max_tokens == "max_completion_tokens"
    if request.temperature is not None and not (only_own and models.openai_reasons(request.model)):
        out["temperature"] = request.temperature
    if request.reasoning != "off":
        out.update(_reasoning(request.reasoning, dialect))
    if request.user and dialect.user_field:
        out[dialect.user_field] = request.user
    if request.cache_key and spec.sends_cache_key:
        out["prompt_cache_key"] = request.cache_key
    out["messages"] = _messages(system, messages, spec.name, dialect)
    return out


def _response_format(
    schema: Mapping[str, JSON], system: str, dialect: Dialect
) -> tuple[dict[str, JSON], str]:
    schema = schemas.closed(schema)
    if not dialect.schemas:
        told = f"Answer with one JSON object that follows this JSON Schema: {json_text(schema)}"
        return {"type": "json_object"}, f"{system}\n\n{told}" if system else told
    strict = schemas.fit_for_strict(schema)
    return {
        "type": "json_schema",
        "json_schema": {"name": "answer", "schema": schema, "strict": strict},
    }, system


def _reasoning(effort: str, dialect: Dialect) -> dict[str, JSON]:
    match dialect.reasoning:
        case "effort":
            return {"reasoning_effort": effort}
        case "openrouter":
            return {"reasoning": {"effort": effort}}
        case "thinking":
            return {"thinking": {"type": "enabled"}}
        case "enable_thinking":
            return {"enable_thinking": True}
    return {}


def _messages(
    system: str, messages: Sequence[Message], provider: str, dialect: Dialect
) -> list[dict[str, JSON]]:
    last_user = max((i for i, m in enumerate(messages) if m.role == "user"), default=-1)
    out: list[dict[str, JSON]] = [{"role": "system", "content": system}] if system else []
    for index, message in enumerate(messages):
        match message.role:
            case "tool":
                for result in results_of(message):
                    out.append(
                        {
                            "role": "tool",
                            "tool_call_id": _call_id(result.call_id, dialect),
                            "content": result.content,
                        }
                    )
            case "assistant":
                thinking = dialect.replays_reasoning and index > last_user
                turn = _assistant(message.parts, provider, dialect, thinking)
                if turn is not None:
                    out.append(turn)
            case _:
                content = _user_content(message.parts)
                if content:
                    out.append({"role": "user", "content": content})
    return out


def _user_content(parts: Sequence[Part]) -> str | list[dict[str, JSON]]:
    if not any(isinstance(p, ImagePart) for p in parts):
        return "".join(p.text for p in parts if isinstance(p, TextPart))
    content: list[dict[str, JSON]] = []
    for part in parts:
        match part:
            case TextPart() if part.text:
                content.append({"type": "text", "text": part.text})
            case ImagePart():
                content.append({"type": "image_url", "image_url": {"url": image_url(part)}})
            case _:
                pass
    return content


def _assistant(
    parts: Sequence[Part], provider: str, dialect: Dialect, thinking: bool
) -> dict[str, JSON] | None:
    text = "".join(p.text for p in parts if isinstance(p, TextPart))
    calls: list[dict[str, JSON]] = []
    turn: dict[str, JSON] = {"role": "assistant", "content": text or None}
    for part in parts:
        data = own(part, provider) or {}
        match part:
            case ToolCallPart():
                call: dict[str, JSON] = {
                    "id": _call_id(part.call_id, dialect),
                    "type": "function",
                    "function": {"name": part.name, "arguments": json_text(part.input)},
                }
                if "extra_content" in data:
                    call["extra_content"] = data["extra_content"]
                calls.append(call)
            case ReasoningPart() if thinking and part.provider == provider:
                if data.get("details"):
                    turn["reasoning_details"] = data["details"]
                elif data.get("field"):
                    turn[data["field"]] = turn.get(data["field"], "") + part.text
            case _:
                pass
    if calls:
        turn["tool_calls"] = calls
    return turn if text or calls else None


def _call_id(call_id: str, dialect: Dialect) -> str:
    if dialect.short_ids and not (len(call_id) == 9 and call_id.isalnum()):
        return hashlib.sha256(call_id.encode()).hexdigest()[:9]
    return call_id


class _Call:
    """A tool call while its pieces come in."""

    __slots__ = ("arguments", "extra", "id", "name")

    def __init__(self) -> None:
        self.id = ""
        self.name = ""
        self.arguments: list[str] = []
        self.extra: JSON = None


class ChatParser(Parser):
    """Chunks of one completion; only the first choice is read (we ask for one)."""

    def __init__(self, where: Where) -> None:
        self._where = where
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._reasoning_field = ""
        self._reasoning_details: list[JSON] = []
        self._calls: list[_Call] = []
        self._by_index: dict[int, _Call] = {}
        self._usage: Usage | None = None
        self._model = ""
        self._id = ""
        self._reason = ""
        self._refused = False

    def feed(self, name: bytes, data: bytes, out: list[ModelEvent]) -> bool:
        if data == b"[DONE]":
            return True
        chunk = read_json(data)
        if chunk.get("error"):
            raise faults.said_in_stream(self._where, chunk["error"])
        if name == b"error":
            raise faults.said_in_stream(self._where, chunk)
        if not self._id:
            self._id = chunk.get("id") or ""
        self._model = chunk.get("model") or self._model
        choices = chunk.get("choices")
        if choices:
            self._choice(choices[0], out)
        raw = chunk.get("usage") or (chunk.get("x_groq") or {}).get("usage")
        if not raw and choices:
            raw = choices[0].get("usage")  # Moonshot
        if raw:
            self._take_usage(raw, out)
        return False

    def stop(self) -> Stop | None:
        if not self._reason:
            return None
        if self._reason in _FAILED:
            raise ProviderUnavailable(
                SERVER_MESSAGE.format(provider=self._where.label),
                provider=self._where.provider,
                model=self._where.model,
                cause=ProviderFault(f"finish_reason {self._reason}"),
            )
        reason = _STOP.get(self._reason, "end")
        if reason == "end" and self._calls:
            reason = "tool_calls"
        if self._refused and reason == "end":
            reason = "refusal"
        return Stop(reason, self._parts(), self._usage, self._model, self._id, self._reason)

    def _choice(self, choice: Mapping[str, JSON], out: list[ModelEvent]) -> None:
        delta = choice.get("delta")
        if delta:
            content = delta.get("content")
            if content:
                self._content(content, out)
            for field in ("reasoning_content", "reasoning"):
                text = delta.get(field)
                if text and isinstance(text, str):
                    self._reasoning_field = self._reasoning_field or field
                    self._think(text, out)
                    break
            if details := delta.get("reasoning_details"):
                self._reasoning_details.extend(details)
            for piece in delta.get("tool_calls") or ():
                self._tool_piece(piece, out)
            if refusal := delta.get("refusal"):
                self._refused = True
                self._say(refusal, out)
        self._reason = choice.get("finish_reason") or self._reason

    def _content(self, content: JSON, out: list[ModelEvent]) -> None:
        if isinstance(content, str):
            self._say(content, out)
            return
        for piece in content:  # Mistral's reasoning models type the pieces
            if piece.get("type") == "text":
                self._say(piece["text"], out)
            elif piece.get("type") == "thinking":
                for thought in piece.get("thinking") or ():
                    self._think(thought.get("text") or "", out)

    def _say(self, text: str, out: list[ModelEvent]) -> None:
        if text:
            self._text.append(text)
            out.append(TextDelta(text))

    def _think(self, text: str, out: list[ModelEvent]) -> None:
        if text:
            self._reasoning.append(text)
            out.append(ReasoningDelta(text))

    def _tool_piece(self, piece: Mapping[str, JSON], out: list[ModelEvent]) -> None:
        function = piece.get("function") or {}
        call = self._call_for(piece, function)
        call.id = call.id or piece.get("id") or ""
        call.name = call.name or function.get("name") or ""
        call.extra = piece.get("extra_content") or call.extra
        arguments = function.get("arguments") or ""
        if not isinstance(arguments, str):  # some servers send the object itself
            arguments = json_text(arguments)
        call.arguments.append(arguments)
        out.append(ToolInputDelta(self._calls.index(call), call.name, arguments))

    def _call_for(self, piece: Mapping[str, JSON], function: Mapping[str, JSON]) -> _Call:
        """The call this piece goes to: by index; a piece with a name and a new id begins another."""
        index = piece.get("index")
        if index is None:
            index = len(self._calls) if piece.get("id") or not self._calls else len(self._calls) - 1
        call = self._by_index.get(index)
        begins = function.get("name") and piece.get("id")
        if call is None or (begins and call.id and call.id != piece["id"]):
            call = self._by_index[index] = _Call()
            self._calls.append(call)
        return call

    def _parts(self) -> tuple[Part, ...]:
        provider = self._where.provider
        parts: list[Part] = []
        if self._reasoning or self._reasoning_details:
            data: dict[str, JSON] = {}
            if self._reasoning_details:
                data["details"] = self._reasoning_details
            elif self._reasoning_field:
                data["field"] = self._reasoning_field
            parts.append(ReasoningPart("".join(self._reasoning), provider, data or None))
        if self._text:
            parts.append(TextPart("".join(self._text)))
        for call in self._calls:
            extra = {"extra_content": call.extra} if call.extra else None
            parts.append(tool_call(call.id, call.name, "".join(call.arguments), provider, extra))
        return tuple(parts)

    def _take_usage(self, raw: Mapping[str, JSON], out: list[ModelEvent]) -> None:
        usage = chat_usage(raw)
        if usage is not None and usage != self._usage:
            self._usage = usage
            out.append(UsageUpdate(usage))


def chat_usage(raw: Mapping[str, JSON]) -> Usage | None:
    """Buckets of a `usage` object. The prompt includes what the cache gave and took; the
    completion includes reasoning, except where the total says otherwise (xAI)."""
    prompt, completion = tokens.count(raw.get("prompt_tokens")), tokens.count(raw.get("completion_tokens"))
    inside = raw.get("prompt_tokens_details") or {}
    read = tokens.count(
        inside.get("cached_tokens") or raw.get("prompt_cache_hit_tokens") or raw.get("cached_tokens")
    )
    write = tokens.count(inside.get("cache_write_tokens"))
    thought = tokens.count(
        (raw.get("completion_tokens_details") or {}).get("reasoning_tokens") or raw.get("reasoning_tokens")
    )
    read = min(read, prompt)
    write = min(write, prompt - read)
    apart = thought > completion or tokens.count(raw.get("total_tokens")) == prompt + completion + thought
    return tokens.usage(
        input=prompt - read - write,
        output=completion if apart else completion - thought,
        cache_read=read,
        cache_write_5m=write,
        reasoning=thought,
        searches=tokens.count(raw.get("num_search_queries")),  # Perplexity
    )
