"""The order of measuring: rounds, and in each round every peer, one after the other."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from .peers import Line, NexusLine, Peer
from .report import WATCHED, Results, derived
from .scenarios import Round, Streams, idle_memory


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured. With the defaults a round of one peer takes about twelve seconds."""

    rounds: int = 5
    servers: tuple[str, ...] = ("uvicorn", "daphne")
    stops: bool = True
    streams: int = 50
    talks: int = 5
    first_tokens: int = 20
    full_chunks: int = 5000
    many_chunks: int = 1000
    paced_chunks: int = 150
    idle_sockets: int = 200

    @property
    def people(self) -> int:
        return max(self.streams, 1)


@dataclass(slots=True)
class Bench:
    """A peer with its open sockets."""

    peer: Peer
    talks: list[Line]
    streams: list[Line]
    audience: list[Line]


async def measure(peers: list[Peer], provider_url: str, plan: Plan) -> Results:
    """Opens everything, measures `plan.rounds` rounds, closes everything."""
    results = Results()
    streams = Streams()
    benches = []
    for peer in peers:
        benches.append(await _open(peer, plan, streams, results))
    for n in range(plan.rounds):
        for bench in benches if n % 2 == 0 else reversed(benches):
            print(f"round {n + 1}/{plan.rounds}: {bench.peer.name}", flush=True)
            one = await _round(bench, provider_url, plan, streams)
            results.add(bench.peer.name, derived(one.figures.values), one.figures.faults)
    # Dictionaries keep the order in which names came: the reference first.
    results.rounds = {peer.name: results.rounds[peer.name] for peer in peers}
    for bench in benches:
        for line in [*bench.talks, *bench.streams, *bench.audience]:
            await line.socket.close()
    return results


async def _open(peer: Peer, plan: Plan, streams: Streams, results: Results) -> Bench:
    first = await peer.line(0)
    await _begin(first, streams)
    results.once[peer.name] = {"resident_mib": peer.process.resident() / 2**20}
    results.once[peer.name]["idle_kib"] = await idle_memory(peer, plan.idle_sockets, plan.people) / 1024
    talks = [first, *[await peer.line(n % plan.people) for n in range(1, plan.talks)]]
    for line in talks[1:]:
        await _begin(line, streams)
    audience = [await peer.line(n % plan.people) for n in range(max(n * viewers for n, viewers in WATCHED))]
    for asker in sorted({group * viewers for n, viewers in WATCHED for group in range(n)}):
        await _begin(audience[asker], streams)
    return Bench(peer, talks, [await peer.line(n) for n in range(plan.streams)], audience)


async def _begin(line: Line, streams: Streams) -> None:
    """A conversation with a first answer, where the peer has conversations; else just a warm path."""
    order = streams.order(3)
    if isinstance(line, NexusLine):
        await line.open_conversation(order)
        return
    await line.ask(order)
    await line.ended(30)
    line.clear()


async def _round(bench: Bench, provider_url: str, plan: Plan, streams: Streams) -> Round:
    talks = Round(bench.peer, bench.talks, provider_url, streams)
    await talks.first_token(plan.first_tokens)
    many = Round(bench.peer, bench.streams, provider_url, streams)
    many.figures = talks.figures
    await many.full_speed(1, plan.full_chunks, times=3)
    await many.full_speed(plan.streams, plan.many_chunks)
    await many.paced(plan.streams, plan.paced_chunks)
    for streams_at_once, viewers in WATCHED:
        groups = [bench.audience[n * viewers : (n + 1) * viewers] for n in range(streams_at_once)]
        await many.watched([group[:1] for group in groups])
        for group in groups:
            for line in group[1:]:
                await line.watch(group[0])
        await many.watched(groups)
        for group in groups:
            for line in group[1:]:
                await line.leave()
    await asyncio.sleep(0.2)
    return many
