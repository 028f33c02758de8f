"""Marks: the pieces of text that the fake provider streams, and what was made of them.

A mark is 17 characters, `SSSNNNNNTTTTTTTT `: stream (000-999), number within the
stream (00000-99999), the moment it left in microseconds of the system's monotonic
clock modulo 100 s. Whatever cuts, joins, drops, doubles or swaps text on the way
shows in the text that arrives.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

WIDTH = 17
CLOCK_WRAP_US = 10**8


def now_us() -> int:
    """Microseconds of the monotonic clock that all processes of a machine share."""
    return time.monotonic_ns() // 1000


def mark(stream: int, number: int, at_us: int) -> str:
    return f"{stream:03d}{number:05d}{at_us % CLOCK_WRAP_US:08d} "


@dataclass(frozen=True, slots=True)
class Faults:
    """What is wrong with the text of one or several streams; all zero when it is right."""

    lost: int = 0
    doubled: int = 0
    disordered: int = 0
    foreign: int = 0
    """Text that is no mark of that stream."""

    @property
    def total(self) -> int:
        return self.lost + self.doubled + self.disordered + self.foreign

    def __add__(self, other: Faults) -> Faults:
        return Faults(
            self.lost + other.lost,
            self.doubled + other.doubled,
            self.disordered + other.disordered,
            self.foreign + other.foreign,
        )


@dataclass(frozen=True, slots=True)
class Piece:
    """Text of one frame and the moment its bytes arrived, in µs of the shared clock."""

    text: str
    at_us: int


@dataclass(frozen=True, slots=True)
class Reading:
    """The marks of one stream: faults, and how long each was on its way (µs, in order of arrival)."""

    faults: Faults
    delays_us: list[int]


def read(stream: int, expected: int, pieces: Sequence[Piece]) -> Reading:
    """Reads what arrived of a stream that had `expected` marks. A mark may be cut between two pieces."""
    prefix = f"{stream:03d}"
    seen: set[int] = set()
    delays: list[int] = []
    doubled = disordered = foreign = 0
    last = -1
    for text, at_us in _whole_marks(pieces):
        if len(text) != WIDTH or not text.startswith(prefix) or not text[:-1].isdigit():
            foreign += 1
            continue
        number = int(text[3:8])
        if number >= expected:
            foreign += 1
        elif number in seen:
            doubled += 1
        else:
            disordered += number < last
            seen.add(number)
            last = number
            delays.append((at_us - int(text[8:16])) % CLOCK_WRAP_US)
    return Reading(Faults(expected - len(seen), doubled, disordered, foreign), delays)


def _whole_marks(pieces: Iterable[Piece]) -> Iterable[tuple[str, int]]:
    rest = ""
    at_us = 0
    for piece in pieces:
        text, at_us = rest + piece.text, piece.at_us
        whole = len(text) - len(text) % WIDTH
        for start in range(0, whole, WIDTH):
            yield text[start : start + WIDTH], at_us
        rest = text[whole:]
    if rest:
        yield rest, at_us
