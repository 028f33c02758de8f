"""The play: what the model answers, and how the provider breaks while it does. It travels in the message.

So it passes through the product untouched, and whoever asks again after a crash (another worker,
another attempt) has it too. Pieces of text tell key, step, attempt and place, so that text of
two attempts can never pass for one.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

MARK = "chaos-play:"
_ORDER = re.compile(re.escape(MARK) + r"(\{.*\})")

FaultKind = Literal[
    "cut_fin",
    "cut_rst",
    "status",
    "silent",
    "drip",
    "refused",
    "malformed",
    "no_usage",
    "absurd_usage",
    "repeated_usage",
]


@dataclass(frozen=True, slots=True)
class ProviderFault:
    """How one request goes wrong.

    Attributes:
        at: byte of the body at which it is cut, falls silent or turns malformed; -1: its end.
        seconds: how long it is silent, or between two bytes of a drip.
        status, retry_after: of the answer, for kind `status`; `retry_after` as it is sent, or empty.
    """

    kind: FaultKind
    at: int = 0
    seconds: float = 0.0
    status: int = 500
    retry_after: str = ""


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call the model asks for. `key` is unique; times in ms around the tool's effect."""

    tool: Literal["chaos_append", "chaos_put"]
    key: str
    before_ms: int = 0
    after_ms: int = 0


@dataclass(frozen=True, slots=True)
class PlayStep:
    """One answer of the model. `faults[n]` is what befalls attempt n (0, 1, …); later ones go well."""

    words: int = 20
    thoughts: int = 0
    pace_ms: float = 10.0
    calls: tuple[Call, ...] = ()
    faults: tuple[ProviderFault | None, ...] = ()
    framing: Literal["chunked", "close"] = "chunked"
    cached: int = 0
    """Tokens of the prompt that the provider says it read from its cache, beside the others."""


@dataclass(frozen=True, slots=True)
class Play:
    """All steps of one run. `key` is unique among all runs of a campaign."""

    key: str
    steps: tuple[PlayStep, ...] = field(default_factory=tuple)

    def message(self) -> str:
        """The person's message that asks for it."""
        return MARK + json.dumps(asdict(self), separators=(",", ":"))

    @property
    def calls(self) -> list[Call]:
        return [call for step in self.steps for call in step.calls]


def play_of(text: str) -> Play | None:
    """The play in a message, if there is one."""
    found = _ORDER.search(text)
    if found is None:
        return None
    raw: dict[str, Any] = json.loads(found.group(1))
    return Play(raw["key"], tuple(_step(step) for step in raw["steps"]))


def _step(raw: dict[str, Any]) -> PlayStep:
    return PlayStep(
        **{
            **raw,
            "calls": tuple(Call(**call) for call in raw["calls"]),
            "faults": tuple(None if fault is None else ProviderFault(**fault) for fault in raw["faults"]),
        }
    )


def word(key: str, step: int, attempt: int, place: int) -> str:
    return f"{key}.{step}.{attempt}.{place} "


def thought(key: str, step: int, attempt: int, place: int) -> str:
    return f"({key}.{step}.{attempt}.{place}) "


def answer_text(key: str, step: int, attempt: int, words: int) -> str:
    """All visible text of one whole answer."""
    return "".join(word(key, step, attempt, place) for place in range(words))


def thinking_text(key: str, step: int, attempt: int, thoughts: int) -> str:
    return "".join(thought(key, step, attempt, place) for place in range(thoughts))
