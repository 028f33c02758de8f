"""Provider-neutral history: what a model is told, whoever the model is.

Each provider adapter translates these to its own wire. Parts carry `provider_data`
where a provider demands its own bytes back (thinking signatures, encrypted
reasoning items, thought signatures): opaque JSON that is only given to the
provider that made it, which `provider` names (the loop fills it in where an adapter
leaves it empty).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

JSON = Any
Role = Literal["system", "user", "assistant", "tool"]


@dataclass(frozen=True, slots=True)
class TextPart:
    text: str
    provider_data: Mapping[str, JSON] | None = None
    provider: str = ""


@dataclass(frozen=True, slots=True)
class ImagePart:
    """An image as bytes; `media_type` one of image/png, image/jpeg, image/gif, image/webp."""

    data: bytes
    media_type: str


@dataclass(frozen=True, slots=True)
class ReasoningPart:
    """Thinking of an earlier step, replayed only to the provider named in `provider`."""

    text: str
    provider: str = ""
    provider_data: Mapping[str, JSON] | None = None


@dataclass(frozen=True, slots=True)
class ToolCallPart:
    """A call the model made. `call_id` is the provider's own id."""

    call_id: str
    name: str
    input: Mapping[str, JSON]
    provider: str = ""
    provider_data: Mapping[str, JSON] | None = None


@dataclass(frozen=True, slots=True)
class ToolResultPart:
    """What a tool answered: `content` is JSON text, exactly what the chunk shows."""

    call_id: str
    name: str
    content: str
    is_error: bool = False


Part = TextPart | ImagePart | ReasoningPart | ToolCallPart | ToolResultPart


@dataclass(frozen=True, slots=True)
class Message:
    """One turn. Roles: user (text, images), assistant (text, reasoning, tool calls), tool (results)."""

    role: Role
    parts: tuple[Part, ...] = field(default_factory=tuple)

    @property
    def text(self) -> str:
        return "".join(p.text for p in self.parts if isinstance(p, TextPart))


def user(text: str) -> Message:
    return Message("user", (TextPart(text),))


def assistant(text: str) -> Message:
    return Message("assistant", (TextPart(text),))


_PART_KINDS: dict[str, type[Any]] = {
    "text": TextPart,
    "reasoning": ReasoningPart,
    "tool_call": ToolCallPart,
    "tool_result": ToolResultPart,
}
_KIND_OF = {cls: kind for kind, cls in _PART_KINDS.items()}


def for_provider(messages: Sequence[Message], provider: str) -> list[Message]:
    """The history as `provider` may see it: without the thinking and the opaque bytes of others."""
    return [_message_for(message, provider) for message in messages]


def _message_for(message: Message, provider: str) -> Message:
    parts: list[Part] = []
    for part in message.parts:
        match part:
            case ReasoningPart() if part.provider not in ("", provider):
                continue
            case TextPart() | ToolCallPart() if part.provider not in ("", provider) and part.provider_data:
                parts.append(replace(part, provider_data=None))
            case _:
                parts.append(part)
    return message if tuple(parts) == message.parts else replace(message, parts=tuple(parts))


def part_to_json(part: Part) -> dict[str, JSON]:
    """A part as a JSON object, for checkpoints. Images are referenced by the host, not stored here."""
    if isinstance(part, ImagePart):
        raise ValueError("image parts are stored by the host as file references")
    kind = _KIND_OF[type(part)]
    return {"kind": kind, **{name: getattr(part, name) for name in part.__dataclass_fields__}}


def part_from_json(obj: Mapping[str, JSON]) -> Part:
    fields = dict(obj)
    kind = fields.pop("kind")
    return _PART_KINDS[kind](**fields)  # type: ignore[no-any-return]
