"""The soak: people come, ask, watch and go for half an hour; nothing may grow.

`python -m benchmarks --soak MINUTES`. Two web processes, a worker, PostgreSQL and Redis
(with `--embedded` one process on SQLite). Every text is checked; memory, open files, threads,
tasks and connections of each process are sampled from outside.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import random
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import uvloop

from .flat import Course, chart, count_is_flat, memory_is_flat
from .load import Pids
from .marks import Faults, Piece, read
from .nexus_peer import NexusLine, NexusPeer, nexus, scaled
from .report import told
from .scenarios import PACE_US, Streams
from .sseclient import Answer
from .watch import Sample, sample

if TYPE_CHECKING:
    from .stages import Bed

MIB = 2**20
APPLICATION = "benchmarks.soak_app:application"
WORKER = ("-m", "benchmarks.soak_worker")
TERMINAL = (b'"status":"complete"', b'"status":"failed"', b'"status":"cancelled"')
SEED = 20261121
LEAST_MINUTES = 10
"""A shorter soak is warm-up for the most part: its memory is shown, not judged."""


@dataclass(frozen=True, slots=True)
class Soak:
    """How long, and how many do each thing at the same time."""

    minutes: float = 30
    embedded: bool = False
    talkers: int = 8
    listeners: int = 3
    readers: int = 2
    visitors: int = 6
    people: int = 20

    @property
    def sample_seconds(self) -> float:
        return max(1.0, self.minutes * 60 / 360)


@dataclass(slots=True)
class Row:
    """A process (or PostgreSQL, or Redis) and what was seen of it. Only Nexus itself is judged."""

    pids: Pids
    tasks: Callable[[], Coroutine[Any, Any, int]] | None = None
    judged: bool = True
    at: list[float] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    task_counts: list[int] = field(default_factory=list)

    def courses(self) -> dict[str, Course]:
        out = {
            "MiB": Course(self.at, [one.memory / MIB for one in self.samples]),
            "files": Course(self.at, [one.files for one in self.samples]),
            "connections": Course(self.at, [one.connections for one in self.samples]),
            "threads": Course(self.at, [one.threads for one in self.samples]),
        }
        if self.task_counts:
            out["tasks"] = Course(self.at[-len(self.task_counts) :], self.task_counts)
        return out

    def grew(self, *, memory: bool) -> list[str]:
        """What did not stay flat."""
        courses = self.courses()
        mib = courses.pop("MiB")
        out = ["memory"] if memory and not memory_is_flat(mib) else []
        return out + [name for name, course in courses.items() if not count_is_flat(course)]


@dataclass(slots=True)
class Life:
    """What went on: how often, and what was wrong with the texts."""

    servers: Sequence[NexusPeer]
    plan: Soak
    until: float
    streams: Streams = field(default_factory=Streams)
    dice: random.Random = field(default_factory=lambda: random.Random(SEED))
    done: Counter[str] = field(default_factory=Counter)
    faults: Faults = field(default_factory=Faults)
    failures: Counter[str] = field(default_factory=Counter)

    def person(self) -> int:
        return self.dice.randrange(self.plan.people)

    def server(self) -> NexusPeer:
        return self.dice.choice(self.servers)

    async def for_ever(self, name: str, one: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Does it again and again until the time is over; a failure is counted, and fails the soak."""
        while time.monotonic() < self.until:
            try:
                await one()
                self.done[name] += 1
            except (TimeoutError, ConnectionError, RuntimeError, OSError) as fault:
                self.failures[f"{name}: {type(fault).__name__}: {str(fault)[:400]}"] += 1
                await asyncio.sleep(1)

    async def talk(self) -> None:
        """Connect, ask, somebody else looks in half way, ask again in the same conversation, leave."""
        line = await self.server().line(self.person())
        try:
            await line.open_conversation(self.streams.order(3))
            guest = await self.server().line(self.person())
            await guest.watch(line)
            order = self.streams.order(self.dice.randrange(40, 160), PACE_US, 30_000)
            guest.clear()
            await line.ask(order)
            for reader in (line, guest):
                await reader.ended(60)
                self._check(order.stream, order.chunks, reader.pieces())
            await guest.socket.close()
        finally:
            await line.socket.close()

    async def listen(self) -> None:
        """A run over server-sent events, with a token."""
        server = self.server()
        order = self.streams.order(self.dice.randrange(40, 120), PACE_US, 30_000)
        answer = await Answer.open(server.port)
        try:
            body = orjson.dumps({"agentId": server.filled.agent, "input": order.text()})
            headers = {
                "Authorization": f"Bearer {server.filled.token}",
                "Content-Type": "application/json",
                "Accept": "text/event-stream",
            }
            answer.request("POST", "/api/agents/stream", headers, body)
            await answer.wait_for(*TERMINAL, seconds=60)
            chunks = [(orjson.loads(frame.payload), frame.at_us) for frame in answer.frames]
            texts = [Piece(chunk["data"], at_us) for chunk, at_us in chunks if chunk["type"] == "content"]
            self._check(order.stream, order.chunks, texts)
        finally:
            await answer.close()

    async def look(self) -> None:
        """The API and a page, as an open browser asks for them."""
        server = self.server()
        cookie = {"Cookie": server.filled.cookies[self.person()], "Connection": "keep-alive"}
        for path in ("/api/agents", "/api/conversations", "/api/presence", "/api/usage?range=today", "/"):
            answer = await Answer.open(server.port)
            try:
                answer.request("GET", path, cookie)
                status, _ = await answer.whole()
                if status >= 400:
                    raise RuntimeError(f"{path} was answered with {status}")
            finally:
                await answer.close()
        await asyncio.sleep(self.dice.random())

    async def visit(self) -> None:
        """A socket that comes, says it is there, and goes; now and then without a word."""
        line = await self.server().line(self.person())
        line.socket.send({"type": "ping", "id": "p"})
        await line.socket.wait_for(b'"pong"')
        await asyncio.sleep(self.dice.random() * 2)
        if self.dice.random() < 0.3:
            line.socket.cut()
        else:
            await line.socket.close()

    def _check(self, stream: int, chunks: int, pieces: Sequence[Piece]) -> None:
        self.faults += read(stream, chunks, pieces).faults


def soak_stage(bed: Bed, plan: Soak) -> bool:
    """Runs it and prints the table and the verdict. Raises `ServiceMissing`."""
    every = bed.core | bed.rest
    os.sched_setaffinity(0, every)
    form = "one process, SQLite" if plan.embedded else "two web processes, a worker, PostgreSQL, Redis"
    print(f"soak: {plan.minutes:g} minutes, {form} …", flush=True)
    with bed.scratch("soak") as folder, contextlib.ExitStack() as stack:
        rows: dict[str, Row] = {}
        if plan.embedded:
            one = nexus(
                "uvicorn",
                folder,
                every,
                bed.provider_url,
                people=plan.people,
                application=APPLICATION,
                title="server",
            )
            servers: Sequence[NexusPeer] = [stack.enter_context(one)]
        else:
            state = folder / "worker-tasks"
            os.environ["BENCH_STATE"] = str(state)
            house = stack.enter_context(
                scaled(
                    "uvicorn",
                    folder,
                    every,
                    bed.provider_url,
                    people=plan.people,
                    application=APPLICATION,
                    worker=WORKER,
                )
            )
            servers = house.web
            rows["worker"] = Row(Pids(house.workers[0].pid), functools.partial(_from_file, state))
        for n, peer in enumerate(servers):
            rows[f"web {n + 1}"] = Row(Pids(peer.process.pid), functools.partial(_from_server, peer.port))
        if not plan.embedded:
            rows |= {name: Row(Pids(service=name), judged=False) for name in ("PostgreSQL", "Redis")}
        rows["this client"] = Row(Pids(os.getpid()), judged=False)
        life = uvloop.run(_soak(servers, rows, plan))
        for peer in servers:
            if tail := peer.process.tail(8):
                print(f"the end of the log of {peer.name}:\n{tail}")
    text, flat = verdict(life, rows, plan)
    print(text)
    return flat


async def _soak(servers: Sequence[NexusPeer], rows: dict[str, Row], plan: Soak) -> Life:
    life = Life(servers, plan, time.monotonic() + plan.minutes * 60)
    kinds = (
        ("conversations", life.talk, plan.talkers),
        ("streams by SSE", life.listen, plan.listeners),
        ("visits by HTTP", life.look, plan.readers),
        ("sockets", life.visit, plan.visitors),
    )
    jobs = [
        asyncio.create_task(life.for_ever(name, one)) for name, one, number in kinds for _ in range(number)
    ]
    # Those that only hold a socket, all the time.
    idle: list[NexusLine] = [await life.server().line(life.person()) for _ in range(20)]
    started = time.monotonic()
    said = 0.0
    while time.monotonic() < life.until:
        await asyncio.sleep(plan.sample_seconds)
        at = time.monotonic() - started
        for line in idle:
            line.clear()
        for row in rows.values():
            row.at.append(at)
            row.samples.append(sample(row.pids()))
            if row.tasks is not None:
                row.task_counts.append(await row.tasks())
        if at - said >= 60:
            said = at
            memory = ", ".join(f"{name} {row.samples[-1].memory / MIB:.0f}" for name, row in rows.items())
            print(f"  {at / 60:.0f} min: MiB {memory}; {sum(life.done.values())} cycles", flush=True)
    await asyncio.gather(*jobs)
    for line in idle:
        if line.socket.closed.done():
            life.failures[f"an idle socket was closed with {line.socket.close_code}"] += 1
    await asyncio.gather(*(line.socket.close() for line in idle))
    return life


def verdict(life: Life, rows: dict[str, Row], plan: Soak) -> tuple[str, bool]:
    """The table, and whether everything stayed flat and came out right."""
    lines = [
        "",
        f"Soak of {plan.minutes:g} minutes: {', '.join(f'{n:,} {name}' for name, n in life.done.items())}",
    ]
    lines.append(f"Texts: {told(life.faults)}")
    lines += [f"FAILED {number} times: {what}" for what, number in life.failures.items()]
    lines.append(
        f"{'':<14}{'MiB from':>10}{'to':>8}{'MiB/hour':>10}{'files':>12}{'connections':>14}{'tasks':>12}{'threads':>10}{'CPU s':>9}"
    )
    grew = []
    for name, row in rows.items():
        courses = row.courses()
        mib = courses["MiB"].judged()
        cells = [
            f"{name:<14}",
            f"{mib.values[0]:>10.0f}{mib.values[-1]:>8.0f}{mib.slope() * 3600:>10.1f}",
            f"{_ends(courses.get('files')):>12}{_ends(courses.get('connections')):>14}",
            f"{_ends(courses.get('tasks')):>12}{_ends(courses.get('threads')):>10}",
            f"{row.samples[-1].cpu_s - row.samples[0].cpu_s:>9.0f}",
        ]
        if row.judged:
            mine = row.grew(memory=plan.minutes >= LEAST_MINUTES)
            grew += [f"{what} of {name}" for what in mine]
            cells.append("  flat" if not mine else f"  GREW: {', '.join(mine)}")
        lines.append("".join(cells))
    lines.append("The first quarter is warm-up; the slope is the median over all pairs of samples after it.")
    for name, row in rows.items():
        values = [one.memory / MIB for one in row.samples]
        lines.append(f"{name:<14}{min(values):>6.0f} {chart(values)} {max(values):.0f} MiB")
    if plan.minutes < LEAST_MINUTES:
        lines.append(f"Memory is not judged in less than {LEAST_MINUTES} minutes.")
    flat = not grew and not life.faults.total and not life.failures
    lines.append(f"Verdict: {'flat, nothing lost' if flat else 'NOT FLAT OR NOT RIGHT: ' + _why(grew, life)}")
    return "\n".join(lines), flat


def _why(grew: list[str], life: Life) -> str:
    out = grew[:]
    if life.faults.total:
        out.append(told(life.faults))
    if life.failures:
        out.append(f"{sum(life.failures.values())} failures")
    return "; ".join(out)


def _ends(course: Course | None) -> str:
    if course is None or not course.values:
        return ""
    values = course.judged().values
    return f"{values[0]:.0f}→{values[-1]:.0f}"


async def _from_server(port: int) -> int:
    answer = await Answer.open(port)
    try:
        answer.request("GET", "/bench-state", {})
        _, body = await answer.whole()
        return int(orjson.loads(body)["tasks"])
    finally:
        await answer.close()


async def _from_file(path: Path) -> int:
    def read_text() -> str:
        return path.read_text() if path.exists() else ""

    return int(await asyncio.to_thread(read_text) or 0)
