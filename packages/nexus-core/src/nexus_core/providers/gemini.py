"""Google's Gemini API: `models.streamGenerateContent` over server-sent events.

Thought signatures are replayed on the very parts they came with: Gemini 3 refuses
a call without its own. Calls of other models in the history get the value that
Google documents for that. Usage: the prompt includes what the cache gave, the answer
excludes thoughts. The wire is spoken without the SDK, see raw.py.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

from ..messages import ImagePart, Message, Part, ReasoningPart, TextPart, ToolCallPart, ToolResultPart
from ..usage import Usage
from . import clients, faults, models, tokens
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
from .history import image_base64, json_text, own, paired, results_of, split_system
from .raw import RawClient
from .reading import new_call_id, read_json

JSON = Any

_STOP: dict[str, StopReason] = {
    "STOP": "end",
    "MAX_TOKENS": "length",
    "SAFETY": "refusal",
    "RECITATION": "refusal",
    "LANGUAGE": "refusal",
    "BLOCKLIST": "refusal",
    "PROHIBITED_CONTENT": "refusal",
    "SPII": "refusal",
    "IMAGE_SAFETY": "refusal",
}
_BROKEN = frozenset(
    {"MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "MISSING_THOUGHT_SIGNATURE", "MALFORMED_RESPONSE"}
)
"""Finish reasons of an answer that cannot be used: the model's call could not be read."""
_BUDGET = {"low": 1024, "medium": 8192, "high": 24576}
_NO_SIGNATURE = "skip_thought_signature_validator"


class GeminiProvider(Adapter):
    """Wire `gemini`."""

    @asynccontextmanager
    async def _open(self, request: ModelRequest, where: Where) -> AsyncIterator[AsyncIterator[bytes]]:
        client: RawClient = await clients.shared(
            self, ("gemini", self._key, self.base_url, self._guard), lambda: RawClient(self._guard)
        )
        url = f"{_versioned(self.base_url)}/{_path(request.model)}:streamGenerateContent?alt=sse"
        headers = {"x-goog-api-key": self._key, **self.spec.headers}
        async with client.post(url, body(request, self.name), headers, request.timeout, where) as pieces:
            yield pieces

    def _parser(self, request: ModelRequest, where: Where) -> Parser:
        return GeminiParser(where)


def _versioned(base_url: str) -> str:
    address = base_url.rstrip("/")
    return address if address.rsplit("/", 1)[-1] in ("v1", "v1beta", "v1alpha") else f"{address}/v1beta"


def _path(model: str) -> str:
    named = model if "/" in model else f"models/{model}"
    return quote(named, safe="/")


def body(request: ModelRequest, provider: str) -> dict[str, JSON]:
    """The JSON of the request."""
    system, messages = split_system(request.system, paired(request.messages))
    version = models.gemini_version(request.model)
    settings: dict[str, JSON] = {"maxOutputTokens": request.max_tokens}
    if request.temperature is not None:
        settings["temperature"] = request.temperature
    thinking = _thinking(request, version)
    if thinking:
        settings["thinkingConfig"] = thinking
    if request.response_schema is not None:
        settings["responseMimeType"] = "application/json"
        settings["responseJsonSchema"] = dict(request.response_schema)
    out: dict[str, JSON] = {"contents": _contents(messages, provider, version), "generationConfig": settings}
    if system:
        out["systemInstruction"] = {"parts": [{"text": system}]}
    if request.tools:
        out["tools"] = [
            {
                "functionDeclarations": [
                    {
                        "name": t.name,
                        "description": t.description,
                        "parametersJsonSchema": dict(t.input_schema),
                    }
                    for t in request.tools
                ]
            }
        ]
        if request.tool_choice == "none":
            out["toolConfig"] = {"functionCallingConfig": {"mode": "NONE"}}
    return out


def _thinking(request: ModelRequest, version: float) -> dict[str, JSON]:
    """From version 3 by level, before by a budget of tokens; models before 2.5 do not think."""
    if version < 2.5:
        return {}
    if request.reasoning == "off":
        # Only the smaller models of 2.5 can be told not to think at all.
        return {"thinkingBudget": 0} if version < 3 and "flash" in request.model else {}
    if version >= 3:
        return {"includeThoughts": True, "thinkingLevel": request.reasoning}
    return {
        "includeThoughts": True,
        "thinkingBudget": min(_BUDGET[request.reasoning], request.max_tokens // 2),
    }


def _contents(messages: Sequence[Message], provider: str, version: float) -> list[dict[str, JSON]]:
    contents: list[dict[str, JSON]] = []
    ids = {
        p.call_id for m in messages for p in m.parts if isinstance(p, ToolCallPart) and _has_id(p, provider)
    }
    for message in messages:
        if message.role == "tool":
            parts = [_result(r, r.call_id in ids) for r in results_of(message)]
        else:
            parts = _parts(message.parts, provider, version)
        role = "model" if message.role == "assistant" else "user"
        if not parts:
            continue
        if contents and contents[-1]["role"] == role:
            contents[-1]["parts"].extend(parts)
        else:
            contents.append({"role": role, "parts": parts})
    return contents


def _has_id(call: ToolCallPart, provider: str) -> bool:
    return bool((own(call, provider) or {}).get("id"))


def _result(result: ToolResultPart, with_id: bool) -> dict[str, JSON]:
    """`response` must be an object: a result that is none is wrapped, otherwise it goes as it is."""
    try:
        value = read_json(result.content.encode("utf-8", "replace"))
    except ValueError:
        value = result.content
    if not isinstance(value, dict):
        value = {"error" if result.is_error else "result": value}
    response: dict[str, JSON] = {"name": result.name, "response": value}
    if with_id:
        response["id"] = result.call_id
    return {"functionResponse": response}


def _parts(parts: Sequence[Part], provider: str, version: float) -> list[dict[str, JSON]]:
    out: list[dict[str, JSON]] = []
    unsigned_calls = 0
    for part in parts:
        data = own(part, provider) or {}
        signature = data.get("thoughtSignature")
        match part:
            case TextPart() if part.text or signature:
                piece: dict[str, JSON] = {"text": part.text}
            case ReasoningPart() if signature:  # thoughts without one are not taken back
                piece = {"text": part.text, "thought": True}
            case ImagePart():
                piece = {"inlineData": {"mimeType": part.media_type, "data": image_base64(part)}}
            case ToolCallPart():
                call: dict[str, JSON] = {"name": part.name, "args": dict(part.input)}
                if data.get("id"):
                    call["id"] = data["id"]
                piece = {"functionCall": call}
                if not signature and version >= 3 and part.provider != provider and not unsigned_calls:
                    signature = _NO_SIGNATURE
                unsigned_calls += 1
            case _:
                continue
        if signature:
            piece["thoughtSignature"] = signature
        out.append(piece)
    return out


class GeminiParser(Parser):
    """Chunks of one answer; each holds whole parts, text among them in pieces."""

    def __init__(self, where: Where) -> None:
        self._where = where
        self._parts: list[Part] = []
        self._text: list[str] = []
        self._thought: list[str] = []
        self._raw_usage: JSON = None
        self._usage: Usage | None = None
        self._calls = 0
        self._model = ""
        self._id = ""
        self._reason = ""

    def feed(self, name: bytes, data: bytes, out: list[ModelEvent]) -> bool:
        chunk = read_json(data)
        if chunk.get("error"):
            raise faults.said_in_stream(self._where, chunk["error"])
        self._model = chunk.get("modelVersion") or self._model
        self._id = chunk.get("responseId") or self._id
        for candidate in (chunk.get("candidates") or ())[:1]:
            for part in (candidate.get("content") or {}).get("parts") or ():
                self._part(part, out)
            self._reason = candidate.get("finishReason") or self._reason
        blocked = (chunk.get("promptFeedback") or {}).get("blockReason")
        if blocked:
            self._reason = "PROHIBITED_CONTENT"
        raw = chunk.get("usageMetadata")
        if raw and raw != self._raw_usage:
            self._raw_usage = raw
            self._usage = gemini_usage(raw) or self._usage
            if self._usage is not None:
                out.append(UsageUpdate(self._usage))
        return False

    def stop(self) -> Stop | None:
        if not self._reason:
            return None
        if self._reason in _BROKEN:
            raise faults.broken(self._where, f"finishReason {self._reason}")
        self._flush()
        reason = _STOP.get(self._reason, "end")
        if reason == "end" and self._calls:
            reason = "tool_calls"
        return Stop(reason, tuple(self._parts), self._usage, self._model, self._id, self._reason)

    def _part(self, part: Mapping[str, JSON], out: list[ModelEvent]) -> None:
        signature = part.get("thoughtSignature")
        text = part.get("text")
        if "functionCall" in part:
            self._flush()
            self._call(part["functionCall"], signature, out)
        elif text is None:
            return  # a kind of part that we did not ask for
        elif part.get("thought"):
            self._flush(thought=False)
            self._thought.append(text)
            if text:
                out.append(ReasoningDelta(text))
            if signature:
                self._flush(signature=signature)
        else:
            if text:
                out.append(TextDelta(text))
            if signature:  # it belongs to this very part: what came before stays apart from it
                self._flush()
                self._text.append(text)
                self._flush(signature=signature)
            else:
                self._flush(text=False)
                self._text.append(text)

    def _call(self, call: Mapping[str, JSON], signature: JSON, out: list[ModelEvent]) -> None:
        given = call.get("id")
        data = {key: value for key, value in (("thoughtSignature", signature), ("id", given)) if value}
        arguments = call.get("args") or {}
        self._parts.append(
            ToolCallPart(given or new_call_id(), call["name"], arguments, self._where.provider, data or None)
        )
        out.append(ToolInputDelta(self._calls, call["name"], json_text(arguments)))
        self._calls += 1

    def _flush(self, *, text: bool = True, thought: bool = True, signature: str = "") -> None:
        """Ends the open run of text and the open run of thoughts, as parts."""
        data = {"thoughtSignature": signature} if signature else None
        provider = self._where.provider
        if thought and self._thought:
            joined = "".join(self._thought)
            self._thought.clear()
            if joined or data:
                self._parts.append(ReasoningPart(joined, provider, data))
        if text and self._text:
            joined = "".join(self._text)
            self._text.clear()
            if joined or data:
                self._parts.append(TextPart(joined, data, provider))


def gemini_usage(raw: Mapping[str, JSON]) -> Usage | None:
    """Buckets of a `usageMetadata`."""
    prompt = tokens.count(raw.get("promptTokenCount"))
    read = min(tokens.count(raw.get("cachedContentTokenCount")), prompt)
    return tokens.usage(
        input=prompt - read + tokens.count(raw.get("toolUsePromptTokenCount")),
        output=tokens.count(raw.get("candidatesTokenCount")),
        cache_read=read,
        reasoning=tokens.count(raw.get("thoughtsTokenCount")),
    )
