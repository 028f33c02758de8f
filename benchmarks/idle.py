"""Many open tabs and nobody doing anything: memory of a socket, what they cost, and that presence is silent.

Every socket keeps itself alive as a browser does: a ping every 20 s, its presence every 30 s. Then one person
changes what they do, and everybody must hear of it: a count of no frames says nothing if none could be seen.
"""

from __future__ import annotations

import asyncio
import resource
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import orjson

from .fanout import AT_ONCE
from .nexus_peer import NexusLine, NexusPeer
from .results import Results
from .scenarios import settled

PING_SECONDS, PRESENCE_SECONDS = 20, 30
TICKS_PER_SECOND = 4
QUIET_SECONDS, PATIENCE_SECONDS = 3.0, 120.0
SPARE = 500
"""Handles for everything that is no socket: files, the database, libraries."""
IS_HERE = {"type": "presence.update", "activity": "viewing"}
MOVES = {"type": "presence.update", "activity": "running-command"}
CHANGED = b'"type":"presence.changed"'


@dataclass(frozen=True, slots=True)
class Idle:
    """How much of it. `seconds` is longer than two beats of presence; the people have several tabs each."""

    sockets: int = 5_000
    people: int = 100
    seconds: int = 70


def held(wanted: int) -> int:
    """How many of them this machine lets one process have; call it before the server starts, which inherits that."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return wanted if hard == resource.RLIM_INFINITY else min(wanted, hard - SPARE)


async def idle(peer: NexusPeer, results: Results, plan: Idle) -> str:
    """Opens them, waits, and gives the text; adds the figures. Raises `TimeoutError` where presence never rests."""
    first = await _open(peer, 0, plan)
    before = await settled(peer)
    lines = [first]
    for start in range(1, plan.sockets, AT_ONCE):
        numbers = range(start, min(start + AT_ONCE, plan.sockets))
        lines += await asyncio.gather(*(_open(peer, n, plan) for n in numbers))
        for line in lines[-len(numbers) :]:
            line.clear()
    await _rested(lines)
    kib = (await settled(peer) - before) / max(1, plan.sockets - 1) / 1024
    cpu, since = peer.process.cpu(), time.monotonic()
    heard = await _waited(lines, plan.seconds)
    seconds = time.monotonic() - since
    cpu = (peer.process.cpu() - cpu) / seconds * 60 / plan.sockets * 1000
    told_ms, told = await _one_moves(lines)
    lost = sum(line.socket.closed.done() for line in lines)
    for start in range(0, len(lines), AT_ONCE):
        await asyncio.gather(*(line.socket.close() for line in lines[start : start + AT_ONCE]))
    presence = sum(count for kind, count in heard.items() if kind.startswith("presence"))
    results.once(
        peer.name,
        {
            "many_idle": float(plan.sockets),
            "many_idle_kib": kib,
            "many_idle_cpu_ms": cpu,
            "presence_idle_frames": float(presence),
            "presence_all_ms": told_ms,
        },
    )
    frames = ", ".join(f"{count:,} {kind}" for kind, count in sorted(heard.items())) or "none"
    return "\n".join(
        (
            "",
            f"Idle: {plan.sockets:,} sockets of {plan.people} people in one workspace, one process, {seconds:.0f} s",
            f"  presence frames while idle: {presence}; all frames: {frames}; sockets closed by the server: {lost}",
            f"  memory per socket {kib:.1f} KiB; CPU per socket and minute {cpu:.2f} ms",
            f"  then one person did something else: {told:,} presence frames, the last after {told_ms:,.0f} ms",
        )
    )


async def _open(peer: NexusPeer, number: int, plan: Idle) -> NexusLine:
    line = await peer.line(number % plan.people)
    line.socket.send(IS_HERE)
    return line


async def _rested(lines: Sequence[NexusLine]) -> None:
    """Until nobody heard of anybody for a while. Leaves no frames behind."""
    until = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until:
        for line in lines:
            line.clear()
        await asyncio.sleep(QUIET_SECONDS)
        if not any(CHANGED in frame.payload for line in lines for frame in line.socket.frames):
            for line in lines:
                line.clear()
            return
    raise TimeoutError(f"presence did not rest within {PATIENCE_SECONDS:.0f} s, with nobody doing anything")


async def _waited(lines: Sequence[NexusLine], seconds: int) -> Counter[str]:
    """What came while every socket only kept itself alive: frames by type."""
    began = time.monotonic()
    for tick in range(seconds * TICKS_PER_SECOND):
        for line in _due(lines, tick, PING_SECONDS):
            line.socket.send({"type": "ping"})
        for line in _due(lines, tick, PRESENCE_SECONDS):
            line.socket.send(IS_HERE)
        await asyncio.sleep(max(0.0, began + (tick + 1) / TICKS_PER_SECOND - time.monotonic()))
    return Counter(orjson.loads(frame.payload)["type"] for line in lines for frame in line.socket.frames)


def _due(lines: Sequence[NexusLine], tick: int, every: int) -> Iterator[NexusLine]:
    """Whose turn it is: each once in `every` seconds, spread over them as people's tabs are."""
    ticks = every * TICKS_PER_SECOND
    return iter(lines[tick % ticks :: ticks])


async def _one_moves(lines: Sequence[NexusLine]) -> tuple[float, int]:
    """One person does something else: ms until the last one heard of it, and how many frames that took."""
    for line in lines:
        line.clear()
    began = time.monotonic()
    lines[0].socket.send(MOVES)
    await asyncio.gather(*(line.socket.wait_for(CHANGED, seconds=PATIENCE_SECONDS) for line in lines))
    told_ms = (time.monotonic() - began) * 1000
    return told_ms, sum(CHANGED in frame.payload for line in lines for frame in line.socket.frames)
