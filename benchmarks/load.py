"""The load of a busy house: two web processes, a worker, PostgreSQL and Redis on this machine.

500 idle logged-in sockets, 50 runs at 50 pieces a second, 4 watchers each beside the one
who asked, spread over both web processes. Nothing may be lost; how late pieces come and
what each process takes is printed.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import uvloop

from .fanout import AT_ONCE, closed
from .marks import Faults, now_us, read
from .nexus_peer import NexusLine, Scaled, scaled
from .results import Results
from .scenarios import FIRST_US, PACE_US, Streams
from .stats import percentile
from .targets import SCALED
from .watch import Sample, sample, services

MIB = 2**20


@dataclass(frozen=True, slots=True)
class Load:
    """How much of it. `seconds` is how long each run streams."""

    idle: int = 500
    runs: int = 50
    watchers: int = 4
    seconds: int = 20
    people: int = 100
    server: str = "uvicorn"
    web: int = 2
    workers: int = 1

    @property
    def chunks(self) -> int:
        return self.seconds * 1_000_000 // PACE_US


@dataclass(frozen=True, slots=True)
class Loaded:
    """What came of it. Latencies in ms, from the provider's byte to the client's frame."""

    p50: float
    p95: float
    p99: float
    faults: Faults
    deliveries: int
    seconds: float
    lost_sockets: int
    asked_ms: float


def load(folder: Path, core: set[int], provider_url: str, plan: Load, results: Results) -> str:
    """Runs it; gives the text and adds the figures and the faults. Raises `ServiceMissing`."""
    print(
        f"load: {plan.idle} idle sockets, {plan.runs} runs x {plan.watchers} watchers, {plan.seconds} s …",
        flush=True,
    )
    with scaled(
        plan.server,
        folder,
        core,
        provider_url,
        people=plan.people,
        web=plan.web,
        workers=plan.workers,
    ) as servers:
        return uvloop.run(_load(servers, plan, results))


async def _load(servers: Scaled, plan: Load, results: Results) -> str:
    streams = Streams()
    groups = _groups(servers)
    start = {name: sample(pids()) for name, pids in groups.items()}
    idle: list[NexusLine] = []
    for first in range(0, plan.idle, AT_ONCE):
        numbers = range(first, min(first + AT_ONCE, plan.idle))
        idle += await asyncio.gather(*(_line(servers, n, plan) for n in numbers))
    with_idle = {name: sample(pids()) for name, pids in groups.items()}
    askers = [await _line(servers, n, plan) for n in range(plan.runs)]
    for first in range(0, plan.runs, 5):
        await asyncio.gather(
            *(line.open_conversation(streams.order(3)) for line in askers[first : first + 5])
        )
    watchers: list[list[NexusLine]] = []
    for n, asker in enumerate(askers):
        mine = [await _line(servers, n + k, plan) for k in range(1, plan.watchers + 1)]
        await asyncio.gather(*(line.watch(asker) for line in mine))
        watchers.append(mine)
    for line in [*idle, *askers, *[line for mine in watchers for line in mine]]:
        line.clear()
    done, used = await _stream(askers, watchers, streams, plan, groups, idle)
    await closed([*idle, *askers, *[line for mine in watchers for line in mine]])
    results.once(
        SCALED, {"load_p50_ms": done.p50, "load_p95_ms": done.p95, "load_p99_ms": done.p99}, done.faults
    )
    return _told(plan, done, start, with_idle, used)


async def _line(servers: Scaled, number: int, plan: Load) -> NexusLine:
    """Alternating over the web processes."""
    return await servers.web[number % len(servers.web)].line(number % plan.people)


async def _stream(
    askers: Sequence[NexusLine],
    watchers: Sequence[Sequence[NexusLine]],
    streams: Streams,
    plan: Load,
    groups: dict[str, Pids],
    idle: Sequence[NexusLine],
) -> tuple[Loaded, dict[str, Sample]]:
    orders = [streams.order(plan.chunks, PACE_US, FIRST_US, plan.runs) for _ in askers]
    before = {name: sample(pids()) for name, pids in groups.items()}
    asked_us = now_us()
    await asyncio.gather(*(line.ask(order) for line, order in zip(askers, orders, strict=True)))
    await asyncio.gather(*(line.begun(90) for line in askers))
    asked_ms = (now_us() - asked_us) / 1000
    every = [*askers, *[line for mine in watchers for line in mine]]
    await asyncio.gather(*(line.ended(plan.seconds * 3 + 60) for line in every))
    seconds = (now_us() - asked_us) / 1e6
    after = {name: sample(pids()) for name, pids in groups.items()}
    faults, delays, deliveries = Faults(), [], 0
    for asker, mine, order in zip(askers, watchers, orders, strict=True):
        for line in (asker, *mine):
            pieces = line.pieces()
            deliveries += len(pieces)
            reading = read(order.stream, order.chunks, pieces)
            faults += reading.faults
            delays += reading.delays_us
    used = {name: replace(now, cpu_s=now.cpu_s - before[name].cpu_s) for name, now in after.items()}
    p50, p95, p99 = (percentile(delays, share) / 1000 for share in (0.5, 0.95, 0.99))
    lost = sum(line.socket.closed.done() for line in (*idle, *every))
    return Loaded(p50, p95, p99, faults, deliveries, seconds, lost, asked_ms), used


class Pids:
    """The process ids of a row; PostgreSQL's change, so they are looked up each time."""

    def __init__(self, *fixed: int, service: str = "") -> None:
        self._fixed, self._service = fixed, service

    def __call__(self) -> Sequence[int]:
        return services().get(self._service, []) if self._service else self._fixed


def _groups(servers: Scaled) -> dict[str, Pids]:
    groups = {f"web {n + 1}": Pids(peer.process.pid) for n, peer in enumerate(servers.web)}
    groups |= {f"worker {n + 1}": Pids(process.pid) for n, process in enumerate(servers.workers)}
    groups |= {name: Pids(service=name) for name in ("PostgreSQL", "Redis")}
    return groups | {"this client": Pids(os.getpid())}


def _told(
    plan: Load,
    done: Loaded,
    start: dict[str, Sample],
    with_idle: dict[str, Sample],
    used: dict[str, Sample],
) -> str:
    faults = done.faults
    lines = [
        "",
        f"Load: {plan.web} web processes ({plan.server}), {plan.workers} worker, PostgreSQL, Redis; "
        f"{plan.idle} idle sockets, {plan.runs} runs at {1_000_000 // PACE_US} pieces/s for {plan.seconds} s, "
        f"{plan.watchers} watchers each beside the asker",
        f"  nothing lost: {'yes' if not faults.total else f'NO: {faults}'}; sockets closed by the server: {done.lost_sockets}",
        f"  provider's byte → client's frame: p50 {done.p50:.1f} ms, p95 {done.p95:.1f} ms, p99 {done.p99:.1f} ms "
        f"({done.deliveries:,} frames to {plan.runs * (plan.watchers + 1)} sockets)",
        f"  {plan.runs} questions at once: first text of all after {done.asked_ms:,.0f} ms",
        f"  {'':<14}{'MiB at start':>14}{'with idle':>14}{'under load':>14}{'CPU s':>10}{'of a core':>12}{'connections':>14}",
    ]
    for name, sample_ in used.items():
        lines.append(
            f"  {name:<14}{start[name].memory / MIB:>14.0f}{with_idle[name].memory / MIB:>14.0f}"
            f"{sample_.memory / MIB:>14.0f}{sample_.cpu_s:>10.1f}{sample_.cpu_s / done.seconds:>11.0%}{sample_.connections:>14}"
        )
    return "\n".join(lines)
