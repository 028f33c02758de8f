"""A provider without a model: "demo, rules, no AI".

In the product it shows the way of a run without a key: rules over the person's last
words pick real tools, and the answer is written from their real results. In tests it
plays a script, and keeps every request it was sent in `requests`.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from ..messages import Part, ReasoningPart, TextPart, ToolCallPart, ToolResultPart
from ..usage import Usage
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
from .scripted_rules import Answer, answer_for

JSON = Any

Action = (
    ModelEvent
    | BaseException
    | float
    | asyncio.Event
    | Callable[[ModelRequest], ModelEvent | BaseException | None]
)
"""What happens next in a scripted answer: an event, a fault to raise, seconds to wait, what to wait for, or a function
that says."""
Turn = str | BaseException | Sequence[Action] | Callable[[ModelRequest], "Turn"]
"""The answer to one request: a text, a fault, the actions one by one, or a function of the request that gives one."""

PIECES = re.compile(r"\s*\S+|\s+$")


class ScriptedProvider:
    """Plays `script`, one turn per request; without a script it answers by rules.

    Args:
        script: the turns, in order. A request beyond the last one raises `AssertionError`.
        delay: seconds between two streamed pieces of a text.

    Attributes:
        requests: every request received, in order.
        closed: how many of their streams have ended or been closed.
    """

    def __init__(
        self,
        script: Iterable[Turn] | None = None,
        *,
        delay: float = 0.0,
        name: str = "scripted",
    ) -> None:
        self.name = name
        self.delay = delay
        self.requests: list[ModelRequest] = []
        self.closed = 0
        self._script: Iterator[Turn] | None = None if script is None else iter(script)

    async def stream(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        self.requests.append(request)
        try:
            for action in self._actions(request):
                event = action(request) if callable(action) else action
                if isinstance(event, BaseException):
                    raise event
                if isinstance(event, float | int):
                    await asyncio.sleep(event)
                elif isinstance(event, asyncio.Event):
                    await event.wait()
                elif event is not None:
                    yield event
        finally:
            self.closed += 1

    async def close(self) -> None:
        return None

    def _actions(self, request: ModelRequest) -> Iterable[Action]:
        if self._script is None:
            return self._by_rules(answer_for(request), request)
        turn: Turn | None = next(self._script, None)
        if turn is None:
            raise AssertionError(f"request {len(self.requests)} is beyond the script of {self.name!r}")
        while callable(turn):
            turn = turn(request)
        if isinstance(turn, str):
            return say(turn)
        return [turn] if isinstance(turn, BaseException) else turn

    def _by_rules(self, answer: Answer, request: ModelRequest) -> Iterable[Action]:
        """The answer in word-sized pieces; usage counts those pieces, and never more than `max_tokens` of them."""
        given = count_prompt(request)
        yield UsageUpdate(Usage(input=given))
        left = request.max_tokens
        thought = text = ""
        spent = {"reasoning": 0, "output": 0}
        for kind, whole in (("reasoning", answer.reasoning), ("output", answer.text)):
            for piece in pieces(whole):
                if left == 0:
                    break
                left -= 1
                spent[kind] += 1
                if kind == "reasoning":
                    thought += piece
                    yield ReasoningDelta(piece)
                else:
                    text += piece
                    yield TextDelta(piece)
                if self.delay:
                    yield self.delay
        parts: list[Part] = []
        if thought:
            parts.append(ReasoningPart(thought, self.name))
        if text:
            parts.append(TextPart(text))
        calls = [
            ToolCallPart(f"call_{len(self.requests)}_{n}", name, arguments, self.name)
            for n, (name, arguments) in enumerate(answer.calls)
        ]
        cut = left == 0 and (text != answer.text or bool(calls))
        usage = Usage(input=given, output=spent["output"] + len(calls), reasoning=spent["reasoning"])
        reason: StopReason = "length" if cut else "tool_calls" if calls else "end"
        yield UsageUpdate(usage)
        yield Stop(
            reason, (*parts, *(() if cut else calls)), usage, request.model, f"scripted-{len(self.requests)}"
        )


def pieces(text: str) -> list[str]:
    """The text in word-sized pieces that join to it again."""
    return PIECES.findall(text)


def count_prompt(request: ModelRequest) -> int:
    """Words of the request, which is what this provider calls its tokens."""
    count = len(pieces(request.system))
    for message in request.messages:
        for part in message.parts:
            if isinstance(part, TextPart | ReasoningPart):
                count += len(pieces(part.text))
            elif isinstance(part, ToolResultPart):
                count += len(pieces(part.content))
    return count


# Shorthands for scripts in tests


def say(
    text: str, *, reason: StopReason = "end", usage: Usage | None = None, reasoning: str = ""
) -> list[Action]:
    """A whole text answer, in pieces."""
    parts: list[Part] = [ReasoningPart(reasoning)] if reasoning else []
    parts += [TextPart(text)] if text else []
    counted = Usage(input=10, output=len(pieces(text)), reasoning=len(pieces(reasoning)))
    return [
        *(ReasoningDelta(piece) for piece in pieces(reasoning)),
        *(TextDelta(piece) for piece in pieces(text)),
        Stop(reason, tuple(parts), usage or counted),
    ]


def call(
    *calls: tuple[str, Mapping[str, JSON]],
    text: str = "",
    reason: StopReason = "tool_calls",
    usage: Usage | None = None,
) -> list[Action]:
    """A turn that calls tools, `("name", {arguments})` each, after some text."""
    parts: list[Part] = [TextPart(text)] if text else []
    parts += [ToolCallPart(f"call-{n}-{name}", name, arguments) for n, (name, arguments) in enumerate(calls)]
    return [
        *(TextDelta(piece) for piece in pieces(text)),
        *(ToolInputDelta(n, name, str(dict(arguments))) for n, (name, arguments) in enumerate(calls)),
        Stop(reason, tuple(parts), usage or Usage(input=10, output=len(pieces(text)) + len(calls))),
    ]
