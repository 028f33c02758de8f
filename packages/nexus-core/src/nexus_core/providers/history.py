"""What every adapter does to a history before it puts it on its wire."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson

from ..messages import ImagePart, Message, Part, ReasoningPart, TextPart, ToolCallPart, ToolResultPart

NO_RESULT = '{"error":"This call was interrupted; there is no result."}'


def split_system(system: str, messages: Sequence[Message]) -> tuple[str, list[Message]]:
    """The system prompt with the system messages of the history joined on, and the other messages."""
    texts = [system, *(m.text for m in messages if m.role == "system")]
    return "\n\n".join(t for t in texts if t), [m for m in messages if m.role != "system"]


def paired(messages: Sequence[Message]) -> list[Message]:
    """The history with exactly one result after each tool call, as every provider demands.

    A run that was stopped leaves calls without a result: they get an error as
    theirs. A history that was cut to fit leaves results without their call: they go.
    """
    out: list[Message] = []
    index = 0
    while index < len(messages):
        message = messages[index]
        index += 1
        if message.role == "tool":
            continue  # results are taken up with their calls, below
        out.append(message)
        calls = [p for p in message.parts if isinstance(p, ToolCallPart)]
        if not calls:
            continue
        results: dict[str, ToolResultPart] = {}
        while index < len(messages) and messages[index].role == "tool":
            results.update((p.call_id, p) for p in messages[index].parts if isinstance(p, ToolResultPart))
            index += 1
        out.append(
            Message(
                "tool",
                tuple(
                    results.get(c.call_id) or ToolResultPart(c.call_id, c.name, NO_RESULT, True)
                    for c in calls
                ),
            )
        )
    return out


def own(part: Part, provider: str) -> Mapping[str, Any] | None:
    """The provider data of a part if this provider made it, else None."""
    if isinstance(part, TextPart | ReasoningPart | ToolCallPart) and part.provider == provider:
        return part.provider_data
    return None


def results_of(message: Message) -> Iterator[ToolResultPart]:
    return (p for p in message.parts if isinstance(p, ToolResultPart))


def image_base64(image: ImagePart) -> str:
    return base64.b64encode(image.data).decode("ascii")


def image_url(image: ImagePart) -> str:
    return f"data:{image.media_type};base64,{image_base64(image)}"


def json_text(value: Mapping[str, Any]) -> str:
    return orjson.dumps(value).decode()
