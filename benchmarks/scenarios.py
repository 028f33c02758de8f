"""What is measured: each scenario lets streams pass through a peer and gives numbers.

Every scenario checks every text it received; `faults` of a result is part of the
figure, and a figure with faults is none.
"""

from __future__ import annotations

import asyncio
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass, field

import orjson

from .marks import WIDTH, Faults, now_us, read
from .peers import Line, Peer
from .provider import Order
from .stats import percentile

PACE_US = 20_000
"""50 pieces a second, a quick model."""
FIRST_US = 30_000
"""How long the provider thinks before its first piece in the scenarios that are paced."""
STEADY_SHARE = 0.8
"""Part of the streams' time, from their beginning, in which nothing starts or ends."""
WATCHED_CHUNKS = 60
WATCHED_SECONDS = 0.9
"""Shorter than the 1.2 s that so many pieces take, so that no end falls into it."""


@dataclass(slots=True)
class Figures:
    """One round of one peer: values by name, and what was wrong with the texts."""

    values: dict[str, float] = field(default_factory=dict)
    faults: Faults = field(default_factory=Faults)


class Streams:
    """Stream numbers, so that no two streams of a benchmark can be taken for each other."""

    def __init__(self) -> None:
        self._next = 0

    def order(self, chunks: int, delay_us: int = 0, first_us: int = 0, together: int = 1) -> Order:
        self._next = self._next % 999 + 1
        return Order(self._next, chunks, delay_us, first_us, together)


async def provider_log(provider_url: str, stream: int) -> dict[str, int]:
    def get() -> dict[str, int]:
        with urllib.request.urlopen(f"{provider_url}/marks/{stream}", timeout=60) as answer:
            return dict(orjson.loads(answer.read()))

    return await asyncio.to_thread(get)


class Busy:
    """How much of its core the load itself (this process and the provider) takes, 0-1.

    A server cannot be shown to be slow by a client that is.
    """

    def __init__(self, provider_url: str) -> None:
        self._url = provider_url
        self._from = (0.0, 0.0)

    async def _cpu(self) -> float:
        return time.process_time() + (await provider_cpu(self._url))

    async def begin(self) -> None:
        self._from = (time.monotonic(), await self._cpu())

    async def end(self) -> float:
        at, cpu = self._from
        return (await self._cpu() - cpu) / (time.monotonic() - at)


async def provider_cpu(provider_url: str) -> float:
    def get() -> float:
        with urllib.request.urlopen(f"{provider_url}/cpu", timeout=60) as answer:
            return float(orjson.loads(answer.read())["cpu_s"])

    return await asyncio.to_thread(get)


class Round:
    """One peer in one round, with its lines kept open over the scenarios.

    Args:
        lines: one socket each, in a conversation of its own.
    """

    def __init__(self, peer: Peer, lines: Sequence[Line], provider_url: str, streams: Streams) -> None:
        self.peer, self.lines = peer, lines
        self._provider_url, self._streams = provider_url, streams
        self.figures = Figures()

    def _check(self, line: Line, order: Order) -> list[int]:
        """Notes what is wrong with the stream that `line` received; the delays of its pieces, µs."""
        reading = read(order.stream, order.chunks, line.pieces())
        self.figures.faults += reading.faults
        return reading.delays_us

    async def first_token(self, times: int) -> None:
        """Added time to first token: way to the provider and way back, without the provider's own time."""
        added: list[float] = []
        there: list[float] = []
        cpu = self.peer.process.cpu()
        for n in range(times):
            line = self.lines[n % len(self.lines)]
            order = self._streams.order(3, delay_us=5_000, first_us=FIRST_US)
            line.clear()
            sent_us = now_us()
            await line.ask(order)
            await line.ended(30)
            self._check(line, order)
            log = await provider_log(self._provider_url, order.stream)
            way_back = line.pieces()[0].at_us - log["first_us"]
            there.append((log["arrived_us"] - sent_us) / 1000)
            added.append((log["arrived_us"] - sent_us + way_back) / 1000)
        self.figures.values["cpu_run_ms"] = (self.peer.process.cpu() - cpu) / times * 1000
        self.figures.values["ttft_p50_ms"] = percentile(added, 0.5)
        self.figures.values["ttft_p95_ms"] = percentile(added, 0.95)
        self.figures.values["ttft_there_ms"] = percentile(there, 0.5)

    async def full_speed(self, streams: int, chunks: int, times: int = 1) -> None:
        """Streams without delay: pieces per second from the provider's first byte to the last text.

        Several begin together, once all of them were asked for: what their starts cost is not in it.
        """
        rates: list[float] = []
        for _ in range(times):
            lines = self.lines[:streams]
            orders = [self._streams.order(chunks, together=streams) for _ in lines]
            received = content = 0
            first_us, last_us = None, 0
            for line in lines:
                line.clear()
            await asyncio.gather(*(line.ask(order) for line, order in zip(lines, orders, strict=True)))
            await asyncio.gather(*(line.ended(60) for line in lines))
            for line, order in zip(lines, orders, strict=True):
                self._check(line, order)
                log = await provider_log(self._provider_url, order.stream)
                first_us = min(first_us or log["first_us"], log["first_us"])
                last_us = max(last_us, line.pieces()[-1].at_us)
                received += line.socket.wire_bytes
                content += order.chunks * WIDTH
            rates.append(chunks * streams / ((last_us - (first_us or 0)) / 1e6))
            if streams == 1:
                self.figures.values["wire_ratio"] = (received - await self._constant()) / content
        self.figures.values[f"full_{streams}_per_s"] = percentile(rates, 0.5)

    async def _constant(self) -> int:
        """Bytes on the wire of a message that is hardly more than its frames."""
        line, order = self.lines[0], self._streams.order(1)
        line.clear()
        await line.ask(order)
        await line.ended(60)
        self._check(line, order)
        return line.socket.wire_bytes

    async def paced(self, streams: int, chunks: int) -> None:
        """Many streams at a model's pace.

        All are asked for at once and begin together, spread over one step of the pace: what many
        starts at one moment cost is a figure of its own, not part of how late pieces come. CPU
        per 1,000 pieces is of the whole messages, and without their starts and ends.
        """
        lines = self.lines[:streams]
        orders = [self._streams.order(chunks, PACE_US, FIRST_US, streams) for _ in lines]
        for line in lines:
            line.clear()
        process, values = self.peer.process, self.figures.values
        asked_us, cpu = now_us(), process.cpu()
        busy = Busy(self._provider_url)
        await asyncio.gather(*(line.ask(order) for line, order in zip(lines, orders, strict=True)))
        await asyncio.gather(*(line.begun(60) for line in lines))
        steady, since = process.cpu(), time.monotonic()
        await busy.begin()
        await asyncio.sleep((chunks * PACE_US / 1e6) * STEADY_SHARE)
        steady, seconds = process.cpu() - steady, time.monotonic() - since
        values[f"generator_{streams}"] = await busy.end()
        await asyncio.gather(*(line.ended(120) for line in lines))
        cpu = process.cpu() - cpu
        delays: list[int] = []
        logs = []
        last_us = 0
        for line, order in zip(lines, orders, strict=True):
            pieces = line.pieces()
            delays += self._check(line, order)
            last_us = max(last_us, pieces[-1].at_us if pieces else 0)
            logs.append(await provider_log(self._provider_url, order.stream))
        ideal_us = chunks * PACE_US
        values[f"cpu_{streams}_s"] = cpu / (streams * chunks / 1000)
        values[f"cpu_steady_{streams}_s"] = steady / (streams * seconds * 1e6 / PACE_US / 1000)
        values[f"late_{streams}_p50_ms"] = percentile(delays, 0.5) / 1000
        values[f"late_{streams}_p99_ms"] = percentile(delays, 0.99) / 1000
        values[f"wall_{streams}"] = (last_us - min(log["first_us"] for log in logs)) / ideal_us
        values[f"start_{streams}_ms"] = (max(log["arrived_us"] for log in logs) - asked_us) / 1000

    async def watched(self, groups: Sequence[Sequence[Line]]) -> None:
        """Paced streams, one per group, all of a group watching; the first of each asks.

        CPU per frame that an asker received, while nothing starts or ends; and how late pieces
        come to those who asked.
        """
        streams, viewers = len(groups), len(groups[0])
        askers = [group[0] for group in groups]
        orders = [self._streams.order(WATCHED_CHUNKS, PACE_US, FIRST_US, streams) for _ in groups]
        for group in groups:
            for line in group:
                line.clear()
        await asyncio.gather(*(line.ask(order) for line, order in zip(askers, orders, strict=True)))
        await asyncio.gather(*(line.begun(30) for line in askers))
        cpu, frames = self.peer.process.cpu(), sum(len(line.socket.frames) for line in askers)
        await asyncio.sleep(WATCHED_SECONDS)
        cpu, frames = (
            self.peer.process.cpu() - cpu,
            sum(len(line.socket.frames) for line in askers) - frames,
        )
        await asyncio.gather(*(line.ended(60) for group in groups for line in group))
        delays: list[int] = []
        for group, order in zip(groups, orders, strict=True):
            delays += self._check(group[0], order)
            for line in group[1:]:
                self._check(line, order)
        name = f"{streams}x{viewers}"
        self.figures.values[f"cpu_watched_{name}_us"] = cpu / max(frames, 1) * 1e6
        self.figures.values[f"late_watched_{name}_p99_ms"] = percentile(delays, 0.99) / 1000


async def idle_memory(peer: Peer, sockets: int, people: int) -> float:
    """Bytes that one more open, logged-in, silent socket costs the server."""
    before = await settled(peer)
    lines = [await peer.line(n % people) for n in range(sockets)]
    after = await settled(peer)
    await asyncio.gather(*(line.socket.close() for line in lines))
    return (after - before) / sockets


async def settled(peer: Peer) -> int:
    """The server's memory once it stopped growing (at most 3 s)."""
    last = peer.process.memory()
    for _ in range(6):
        await asyncio.sleep(0.5)
        now = peer.process.memory()
        if abs(now - last) < 64 * 1024:
            return now
        last = now
    return last
