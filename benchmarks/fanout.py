"""Fan-out: one stream, a hundred and a thousand viewers."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson

from .marks import Faults, Piece, read
from .nexus_peer import NexusLine
from .peers import Line, Peer
from .processes import Process, python, running
from .provider import Order
from .results import Results
from .scenarios import FIRST_US, Streams
from .stats import percentile
from .wsclient import Socket

REFERENCE = "raw broadcast"
SLOW_PACE_US = 100_000
AT_ONCE = 25
"""Sockets that open at the same time."""


class BroadcastLine:
    def __init__(self, socket: Socket) -> None:
        self.socket = socket

    async def ask(self, order: Order) -> None:
        self.socket.send({"order": order.text()})

    async def watch(self, other: Line) -> None:
        """Everyone sees everything."""

    async def leave(self) -> None:
        raise NotImplementedError("a raw broadcast has no rooms")

    async def begun(self, seconds: float) -> None:
        await self.socket.wait_for(b'"data":"', seconds=seconds)

    async def ended(self, seconds: float) -> None:
        await self.socket.wait_for(b'"type":"end"', seconds=seconds)

    def pieces(self) -> list[Piece]:
        frames = [(orjson.loads(frame.payload), frame.at_us) for frame in self.socket.frames]
        return [Piece(wire["chunk"]["data"], at_us) for wire, at_us in frames if wire["type"] == "chunk"]

    def clear(self) -> None:
        self.socket.forget()


class BroadcastPeer:
    name = REFERENCE
    shares = True

    def __init__(self, process: Process, port: int) -> None:
        self.process, self._port = process, port

    async def line(self, person: int) -> BroadcastLine:
        return BroadcastLine(await Socket.open(self._port, "/"))


@contextlib.contextmanager
def broadcast(folder: Path, core: set[int]) -> Iterator[BroadcastPeer]:
    with running("broadcast", python("-m", "benchmarks.broadcast"), folder=folder, core=core) as process:
        yield BroadcastPeer(process, int(process.stdout.readline()))


@dataclass(frozen=True, slots=True)
class FanOut:
    """How much: `(viewers, pieces at full speed)`, and pieces at ten a second for the largest audience."""

    rounds: int = 5
    audiences: tuple[tuple[int, int], ...] = ((100, 600), (1000, 150))
    slow_chunks: int = 30


async def fan_out(peers: Sequence[Peer], plan: FanOut, people: int, results: Results) -> None:
    """Opens the audiences, measures `plan.rounds` rounds alternating the peers, closes."""
    streams = Streams()
    for viewers, chunks in plan.audiences:
        audiences = {peer.name: await opened(peer, viewers, people, streams) for peer in peers}
        for n in range(plan.rounds):
            for peer in peers if n % 2 == 0 else reversed(peers):
                print(f"fan-out {viewers}, round {n + 1}/{plan.rounds}: {peer.name}", flush=True)
                audience = audiences[peer.name]
                pieces, faults = await passed(audience, streams.order(chunks))
                span = max(p[-1].at_us for p in pieces) - min(p[0].at_us for p in pieces)
                values = {f"fan_{viewers}_per_s": sum(map(len, pieces)) / (span / 1e6)}
                if (viewers, chunks) == plan.audiences[-1]:
                    order = streams.order(plan.slow_chunks, SLOW_PACE_US, FIRST_US)
                    pieces, more = await passed(audience, order)
                    delays = [d for own in pieces for d in read(order.stream, order.chunks, own).delays_us]
                    values[f"fan_{viewers}_p99_ms"] = percentile(delays, 0.99) / 1000
                    faults += more
                results.add(peer.name, values, faults)
        for audience in audiences.values():
            await closed(audience)


async def opened(peer: Peer, viewers: int, people: int, streams: Streams) -> list[Line]:
    """The asker and everyone who watches it."""
    lines = [await peer.line(0)]
    if isinstance(lines[0], NexusLine):
        await lines[0].open_conversation(streams.order(3))

    async def one(person: int) -> Line:
        line = await peer.line(person % people)
        await line.watch(lines[0])
        return line

    for start in range(1, viewers, AT_ONCE):
        lines += await asyncio.gather(*(one(n) for n in range(start, min(start + AT_ONCE, viewers))))
    return lines


async def closed(lines: Sequence[Line]) -> None:
    await asyncio.gather(*(line.socket.close() for line in lines))


async def passed(lines: Sequence[Line], order: Order) -> tuple[list[list[Piece]], Faults]:
    """Lets a stream pass to all; what each received, and what was wrong with it."""
    for line in lines:
        line.clear()
    await lines[0].ask(order)
    await asyncio.gather(*(line.ended(90) for line in lines))
    pieces = [line.pieces() for line in lines]
    faults = Faults()
    for own in pieces:
        faults += read(order.stream, order.chunks, own).faults
    return pieces, faults
