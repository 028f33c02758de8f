"""Ollama's own chat: `/api/chat`, one JSON object a line. Spoken without its SDK, see raw.py."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from ..addresses import AddressGuard
from ..errors import BadProviderRequest
from ..messages import ImagePart, Message, ReasoningPart, TextPart, ToolCallPart
from ..usage import Usage
from . import clients, faults, tokens
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
from .faults import Where
from .history import image_base64, json_text, paired, results_of, split_system
from .raw import RawClient
from .reading import new_call_id, read_json
from .sse import LineSplitter

JSON = Any

_PORT = 11434
_STOP: dict[str, StopReason] = {"stop": "end", "length": "length"}


class OllamaProvider(Adapter):
    """Wire `ollama`. A key is sent where there is one (Ollama behind a proxy, ollama.com)."""

    splitter = LineSplitter

    def __init__(
        self, spec: ProviderSpec, *, key: str | None, base_url: str, guard: AddressGuard | None = None
    ) -> None:
        super().__init__(spec, key=key, base_url=host_address(base_url), guard=guard)

    @asynccontextmanager
    async def _open(self, request: ModelRequest, where: Where) -> AsyncIterator[AsyncIterator[bytes]]:
        client: RawClient = await clients.shared(
            self, ("ollama", self._key, self.base_url, self._guard), lambda: RawClient(self._guard)
        )
        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        url = f"{self.base_url}/api/chat"
        try:
            async with client.post(
                url, body(request), {**headers, **self.spec.headers}, request.timeout, where
            ) as pieces:
                yield pieces
        except BadProviderRequest as fault:
            if fault.status == 404:
                fault.message = (
                    f'Ollama does not have the model "{request.model}". '
                    f"Fetch it with `ollama pull {request.model}`."
                )
                fault.args = (fault.message,)
            raise

    def _parser(self, request: ModelRequest, where: Where) -> Parser:
        return OllamaParser(where)

    def unreachable_message(self) -> str:
        return f"Ollama does not answer at {self.base_url}. Start it with `ollama serve` or set OLLAMA_HOST."


def host_address(host: str) -> str:
    """A URL from what people write into OLLAMA_HOST: `:11500`, `gpu-box`, `0.0.0.0`, a whole URL.

    That variable also tells the server where to listen: everywhere (0.0.0.0) is
    reached by loopback.
    """
    scheme, _, rest = host.strip().rpartition("://")
    netloc, slash, path = rest.partition("/")
    name, colon, port = netloc.rpartition(":")
    if not colon or not port.isdigit():
        name, port = netloc, ""
    if not port:
        port = {"http": "80", "https": "443"}.get(scheme, str(_PORT))
    if name in ("", "0.0.0.0", "[::]"):  # noqa: S104  never listened on here
        name = "127.0.0.1"
    return f"{scheme or 'http'}://{name}:{port}{slash}{path}".rstrip("/")


def body(request: ModelRequest) -> dict[str, JSON]:
    """The JSON of the request. Without a choice of tools on this wire, "none" sends no tools."""
    system, messages = split_system(request.system, paired(request.messages))
    options: dict[str, JSON] = {"num_predict": request.max_tokens}
    if request.temperature is not None:
        options["temperature"] = request.temperature
    out: dict[str, JSON] = {
        "model": request.model,
        "messages": _messages(system, messages),
        "stream": True,
        "think": _think(request),
        "options": options,
    }
    if request.tools and request.tool_choice != "none":
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
    if request.response_schema is not None:
        out["format"] = dict(request.response_schema)
    return out


def _think(request: ModelRequest) -> bool | str:
    if request.reasoning == "off":
        return False
    return request.reasoning if "gpt-oss" in request.model else True  # the others know only on and off


def _messages(system: str, messages: Sequence[Message]) -> list[dict[str, JSON]]:
    out: list[dict[str, JSON]] = [{"role": "system", "content": system}] if system else []
    last_user = max((i for i, m in enumerate(messages) if m.role == "user"), default=-1)
    for index, message in enumerate(messages):
        if message.role == "tool":
            out.extend(
                {"role": "tool", "content": r.content, "tool_name": r.name} for r in results_of(message)
            )
            continue
        turn: dict[str, JSON] = {"role": message.role, "content": message.text}
        thinking = "".join(p.text for p in message.parts if isinstance(p, ReasoningPart))
        if thinking and index > last_user:  # of the running tool loop
            turn["thinking"] = thinking
        images = [image_base64(p) for p in message.parts if isinstance(p, ImagePart)]
        if images:
            turn["images"] = images
        calls = [
            {"function": {"name": p.name, "arguments": dict(p.input)}}
            for p in message.parts
            if isinstance(p, ToolCallPart)
        ]
        if calls:
            turn["tool_calls"] = calls
        if turn["content"] or images or calls:
            out.append(turn)
    return out


class OllamaParser(Parser):
    """Lines of one answer; the last one has `done` and the counts."""

    def __init__(self, where: Where) -> None:
        self._where = where
        self._text: list[str] = []
        self._thinking: list[str] = []
        self._calls: list[ToolCallPart] = []
        self._usage: Usage | None = None
        self._model = ""
        self._reason = ""

    def feed(self, name: bytes, data: bytes, out: list[ModelEvent]) -> bool:
        line = read_json(data)
        if line.get("error"):
            raise faults.said_in_stream(self._where, line["error"])
        self._model = line.get("model") or self._model
        message = line.get("message")
        if message:
            # The second name is that of servers which stand in for Ollama.
            if thinking := message.get("thinking") or message.get("reasoning_content"):
                self._thinking.append(thinking)
                out.append(ReasoningDelta(thinking))
            if text := message.get("content"):
                self._text.append(text)
                out.append(TextDelta(text))
            for call in message.get("tool_calls") or ():
                self._call(call, out)
        if not line.get("done"):
            return False
        self._reason = line.get("done_reason") or "stop"
        self._usage = tokens.usage(
            input=tokens.count(line.get("prompt_eval_count")), output=tokens.count(line.get("eval_count"))
        )
        if self._usage is not None:
            out.append(UsageUpdate(self._usage))
        return True

    def stop(self) -> Stop | None:
        if not self._reason:
            return None
        reason = _STOP.get(self._reason, "end")
        if reason == "end" and self._calls:
            reason = "tool_calls"
        parts = (
            *((ReasoningPart("".join(self._thinking), self._where.provider),) if self._thinking else ()),
            *((TextPart("".join(self._text)),) if self._text else ()),
            *self._calls,
        )
        return Stop(reason, parts, self._usage, self._model, "", self._reason)

    def _call(self, call: Mapping[str, JSON], out: list[ModelEvent]) -> None:
        function = call["function"]
        arguments = function.get("arguments") or {}
        provider_data = None
        if not isinstance(arguments, dict):
            provider_data = {"invalid_json": str(arguments)}
            arguments = {}
        self._calls.append(
            ToolCallPart(
                call.get("id") or new_call_id(),
                function["name"],
                arguments,
                self._where.provider,
                provider_data,
            )
        )
        out.append(ToolInputDelta(len(self._calls) - 1, function["name"], json_text(arguments)))
