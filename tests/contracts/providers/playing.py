"""What the contract tests share: a provider towards a loopback server, and reading its stream."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from nexus_core.messages import user
from nexus_core.providers.base import (
    ModelEvent,
    ModelRequest,
    Provider,
    ReasoningDelta,
    Stop,
    TextDelta,
    ToolSchema,
    UsageUpdate,
)
from nexus_core.providers.table import BY_NAME, create_provider

KEY = "sk-test-5d1f0c"
NATIVE = ["anthropic", "openai", "deepseek", "google", "ollama"]
every_wire = pytest.mark.parametrize("name", NATIVE)
MODELS = {
    "anthropic": "claude-sonnet-5-5",
    "openai": "gpt-6.1-sol",
    "google": "gemini-3.8-flash",
    "ollama": "qwen3",
    "deepseek": "deepseek-v4",
}
WEATHER = ToolSchema(
    "weather", "The weather of a city.", {"type": "object", "properties": {"city": {"type": "string"}}}
)


def provider_at(name: str, address: str, *, key: str | None = KEY) -> Provider:
    return create_provider(BY_NAME[name], key=key, base_url=based(name, address))


def based(name: str, address: str) -> str:
    """The address as this provider's base URLs are written: OpenAI's clients want the version in it."""
    return f"{address}/v1" if BY_NAME[name].wire in ("openai-chat", "openai-responses") else address


def request_for(name: str, text: str = "How is the weather?", **more: Any) -> ModelRequest:
    return replace(ModelRequest(MODELS.get(name, "some-model"), [user(text)]), **more)


@dataclass(slots=True)
class Heard:
    """A stream that was read to its end."""

    events: list[ModelEvent] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(e.text for e in self.events if isinstance(e, TextDelta))

    @property
    def reasoning(self) -> str:
        return "".join(e.text for e in self.events if isinstance(e, ReasoningDelta))

    @property
    def stop(self) -> Stop:
        assert isinstance(self.events[-1], Stop)
        return self.events[-1]

    @property
    def usages(self) -> list[Any]:
        return [e.usage for e in self.events if isinstance(e, UsageUpdate)]


async def hear(provider: Provider, request: ModelRequest, heard: Heard | None = None) -> Heard:
    """All events; with `heard` given they stay there when the stream raises."""
    heard = heard or Heard()
    async for event in provider.stream(request):
        heard.events.append(event)
    return heard
