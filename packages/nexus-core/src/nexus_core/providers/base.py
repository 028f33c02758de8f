"""The seam between the loop and a provider: one request in, typed events out.

An adapter translates `ModelRequest` to its wire, sends exactly one HTTP request
per `stream()` call (SDK retries are off; the loop owns retries), and yields
events in the order in which the provider's bytes arrive. Faults are raised as
`nexus_core.errors.LLMError` subclasses. Closing the generator (`aclose()`, also by
cancelling the task) closes the connection to the provider.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from ..messages import Message, Part
from ..usage import Usage

JSON = Any
StopReason = Literal["end", "tool_calls", "length", "refusal", "pause", "stop_sequence"]
Reasoning = Literal["off", "low", "medium", "high"]


@dataclass(frozen=True, slots=True)
class ToolSchema:
    """What a model is told of a tool: `input_schema` is a JSON Schema of type object."""

    name: str
    description: str
    input_schema: Mapping[str, JSON]


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """One provider request. `max_tokens` is always sent; `temperature` None means the provider's default."""

    model: str
    messages: Sequence[Message]
    system: str = ""
    tools: Sequence[ToolSchema] = ()
    tool_choice: Literal["auto", "none"] = "auto"
    """"none": the tools are still told (earlier turns call them, and Anthropic wants them
    defined), but the model must answer without calling any."""
    max_tokens: int = 4096
    temperature: float | None = None
    reasoning: Reasoning = "off"
    response_schema: Mapping[str, JSON] | None = None
    """JSON Schema the answer must follow (structured output)."""
    user: str = ""
    """An opaque end-user id for the provider's abuse detection; never a name."""
    cache_key: str = ""
    """Groups requests that share a prefix (the conversation id), where the provider takes it."""
    timeout: float = 600.0
    """Seconds between two bytes after which the stream is given up."""


@dataclass(frozen=True, slots=True)
class TextDelta:
    text: str


@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    text: str


@dataclass(frozen=True, slots=True)
class ToolInputDelta:
    """A piece of a tool call's arguments while they stream; for liveness only."""

    index: int
    name: str
    partial_json: str


@dataclass(frozen=True, slots=True)
class UsageUpdate:
    """Usage known so far in this request (cumulative: the last one wins)."""

    usage: Usage


@dataclass(frozen=True, slots=True)
class Stop:
    """The last event of every whole stream.

    `parts` is the assistant turn as it must be replayed to this provider: text,
    reasoning with its signatures, tool calls in the order the model made them.
    A tool call whose arguments were not valid JSON has `input` `{}` and
    `provider_data["invalid_json"]` with the text.
    """

    reason: StopReason
    parts: tuple[Part, ...]
    usage: Usage | None
    """Final usage; `None` when the provider sent none (the meter then estimates)."""
    model: str = ""
    """The model that answered, as the provider names it."""
    request_id: str = ""
    detail: str = ""
    """The provider's own word for the reason."""


ModelEvent = TextDelta | ReasoningDelta | ToolInputDelta | UsageUpdate | Stop


class Provider(Protocol):
    """One configured provider: an adapter with its key and address."""

    name: str

    def stream(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        """One request; yields events and ends with `Stop`, or raises `LLMError`."""
        ...

    async def close(self) -> None:
        """Closes pooled connections."""
        ...


Wire = Literal[
    "anthropic", "openai-responses", "openai-chat", "azure-chat", "gemini", "ollama", "local", "scripted"
]


@dataclass(frozen=True, slots=True)
class ProviderSpec:
    """One row of the provider table.

    `key_vars`: environment variables that may hold the key, first found wins; empty:
    no key needed. `base_url_var`: variable that overrides `base_url`.
    """

    name: str
    label: str
    wire: Wire
    base_url: str = ""
    key_vars: tuple[str, ...] = ()
    base_url_var: str = ""
    price_id: str = ""
    """The provider's id in genai-prices; empty: same as `name`."""
    free: bool = False
    """Runs on own hardware: priced 0."""
    sends_cache_key: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)
    note: str = ""
    """Shown beside the name, e.g. "demo, rules, no AI"."""
