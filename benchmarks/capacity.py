"""How many streams at a model's pace one core carries: within 1.1 times the ideal time, nothing lost."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from .fanout import AT_ONCE, closed
from .marks import Faults
from .peers import Line, Peer
from .results import Results
from .scenarios import Round, Streams

WITHIN = 1.1
CHUNKS = 100
FULL = 0.95
"""Share of the client's core above which a step says nothing about the server any more."""


@dataclass(frozen=True, slots=True)
class Ladder:
    """The numbers of streams that are tried, upwards, until one is too many."""

    steps: tuple[int, ...] = (50, 100, 150, 200, 250, 300, 350, 400, 450, 500)


SLOW = Ladder((2, 5, 10, 15, 20, 25, 30, 40, 50, 60, 80, 100, 150, 200, 250, 300))


async def capacity(peer: Peer, provider_url: str, ladder: Ladder, people: int, results: Results) -> None:
    """The last step that was carried; steps above it are not counted as faults."""
    streams = Streams()
    lines: list[Line] = []
    carried = 0
    for step in ladder.steps:
        while len(lines) < step:
            lines += await _more(peer, len(lines), min(AT_ONCE, step - len(lines)), people)
        one = Round(peer, lines, provider_url, streams)
        try:
            await one.paced(step, CHUNKS)
        except (TimeoutError, ConnectionError, RuntimeError, ValueError) as fault:
            print(f"  {peer.name}: {step} streams: {str(fault)[:100]}", flush=True)
            break
        wall, busy = one.figures.values[f"wall_{step}"], one.figures.values[f"generator_{step}"]
        good = wall <= WITHIN and one.figures.faults == Faults()
        note = (
            "" if good else f", {one.figures.faults.total} faults" if one.figures.faults.total else ", late"
        )
        print(f"  {peer.name}: {step} streams: {wall:.2f} x ideal{note}; client {busy:.0%}", flush=True)
        if busy > FULL:
            results.unmeasured[f"more than {carried} streams on {peer.name}"] = (
                "the client's core is full, so this is a lower limit"
            )
            break
        if not good:
            break
        carried = step
    results.once(peer.name, {"capacity": float(carried)})
    await asyncio.wait_for(closed(lines), 30)


async def _more(peer: Peer, first: int, count: int, people: int) -> Sequence[Line]:
    return await asyncio.gather(*(peer.line(n % people) for n in range(first, first + count)))
