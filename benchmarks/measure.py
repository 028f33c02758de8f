"""The rounds of the relay figures: in each round every peer, one after the other."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from .fanout import AT_ONCE, closed
from .nexus_peer import NexusLine
from .peers import Line, Peer
from .report import WATCHED, derived
from .results import Results
from .scenarios import Round, Streams, idle_memory
from .targets import OURS


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured in a round of one peer: about half a minute with the defaults."""

    rounds: int = 5
    people: int = 50
    talks: int = 5
    first_tokens: int = 20
    full_chunks: int = 5000
    full_times: int = 3
    many: int = 50
    many_chunks: int = 1000
    paced: tuple[int, ...] = (50, 200)
    paced_chunks: int = 150
    idle_sockets: int = 200
    viewers: bool = True
    only_paced: tuple[str, ...] = ()
    """Peers of which nothing but the most paced streams is measured."""


@dataclass(slots=True)
class Bench:
    """A peer with its open lines."""

    peer: Peer
    lines: list[Line]
    audience: list[Line]


async def measure(peers: Sequence[Peer], provider_url: str, plan: Plan, results: Results) -> None:
    """Opens everything, measures `plan.rounds` rounds, closes everything.

    A scenario that a peer does not get through is noted and left out from then on; one
    of ours fails the benchmark.
    """
    streams = Streams()
    benches = [await _open(peer, plan, streams, results) for peer in peers]
    left_out: set[tuple[str, str]] = set()
    for n in range(plan.rounds):
        for bench in benches if n % 2 == 0 else reversed(benches):
            print(f"round {n + 1}/{plan.rounds}: {bench.peer.name}", flush=True)
            one = await _round(bench, provider_url, plan, streams, results, left_out)
            results.add(bench.peer.name, derived(one.figures.values), one.figures.faults)
    # Dictionaries keep the order in which names came: the reference first.
    results.rounds = {peer.name: results.rounds[peer.name] for peer in peers}
    for bench in benches:
        await asyncio.wait_for(closed([*bench.lines, *bench.audience]), 30)


async def _open(peer: Peer, plan: Plan, streams: Streams, results: Results) -> Bench:
    first = await peer.line(0)
    await _begin(first, streams)
    if peer.name in plan.only_paced:
        return Bench(peer, [first, *await _lines(peer, max(plan.paced) - 1, plan)], [])
    figures = {"resident_mib": peer.process.resident() / 2**20}
    if plan.idle_sockets:
        figures["idle_kib"] = await idle_memory(peer, plan.idle_sockets, plan.people) / 1024
    results.once(peer.name, figures)
    lines = [first, *await _lines(peer, max(plan.paced) - 1, plan)]
    for line in lines[1 : plan.talks]:
        await _begin(line, streams)
    audience: list[Line] = []
    if plan.viewers and peer.shares:
        audience = await _lines(peer, max(n * viewers for n, viewers in WATCHED), plan)
        for asker in sorted({group * viewers for n, viewers in WATCHED for group in range(n)}):
            await _begin(audience[asker], streams)
    return Bench(peer, lines, audience)


async def _lines(peer: Peer, count: int, plan: Plan) -> list[Line]:
    lines: list[Line] = []
    for start in range(0, count, AT_ONCE):
        numbers = range(start, min(start + AT_ONCE, count))
        lines += await asyncio.gather(*(peer.line(n % plan.people) for n in numbers))
    return lines


async def _begin(line: Line, streams: Streams) -> None:
    """A conversation with a first answer, where the peer has conversations; else just a warm path."""
    order = streams.order(3)
    if isinstance(line, NexusLine):
        await line.open_conversation(order)
        return
    await line.ask(order)
    await line.ended(30)
    line.clear()


async def _round(
    bench: Bench,
    provider_url: str,
    plan: Plan,
    streams: Streams,
    results: Results,
    left_out: set[tuple[str, str]],
) -> Round:
    peer = bench.peer
    talks = Round(peer, bench.lines[: plan.talks], provider_url, streams)
    all_ = Round(peer, bench.lines, provider_url, streams)
    all_.figures = talks.figures
    steps: dict[str, Callable[[], Awaitable[None]]] = {}
    if peer.name not in plan.only_paced:
        steps["first token"] = functools.partial(talks.first_token, plan.first_tokens)
        steps["full speed"] = functools.partial(all_.full_speed, 1, plan.full_chunks, times=plan.full_times)
        steps["many at full speed"] = functools.partial(all_.full_speed, plan.many, plan.many_chunks)
    for number in plan.paced if peer.name not in plan.only_paced else plan.paced[-1:]:
        steps[f"{number} paced streams"] = functools.partial(all_.paced, number, plan.paced_chunks)
    if bench.audience:
        steps["viewers"] = functools.partial(_watched, bench, all_)
    for name, step in steps.items():
        if (peer.name, name) in left_out:
            continue
        try:
            await step()
        except (TimeoutError, ConnectionError, RuntimeError, ValueError, IndexError) as fault:
            if peer.name in (*OURS, "bare relay"):
                raise
            print(f"  {peer.name} did not get through {name}: {str(fault)[:200]}", flush=True)
            left_out.add((peer.name, name))
            results.unmeasured[f"{name}, {peer.name}"] = str(fault)[:120] or type(fault).__name__
    await asyncio.sleep(0.2)
    return all_


async def _watched(bench: Bench, round_: Round) -> None:
    for streams_at_once, viewers in WATCHED:
        groups = [bench.audience[n * viewers : (n + 1) * viewers] for n in range(streams_at_once)]
        await round_.watched([group[:1] for group in groups])
        for group in groups:
            for line in group[1:]:
                await line.watch(group[0])
        await round_.watched(groups)
        for group in groups:
            for line in group[1:]:
                await line.leave()
