"""The stop-by-stop account: where the added time of a first token goes, and what storing costs."""

from __future__ import annotations

import asyncio
import urllib.request
from pathlib import Path
from typing import Any

import orjson

from .marks import now_us
from .nexus_peer import NexusPeer, nexus
from .provider import Order
from .results import Results
from .scenarios import FIRST_US, PACE_US, Streams, provider_log
from .stats import median
from .targets import UVICORN

TIMES = 25
PEOPLE = 50
CHUNKS = 150

WAY = (
    "frame",
    "service begins",
    "claim begins",
    "prepared",
    "enqueued",
    "reserve begins",
    "reserved",
    "provider",
)
BACK = ("writer has it", "committed", "published", "client")
MEANING = {
    "frame": "client → server has the frame",
    "service begins": "frame table, rights, a database thread",
    "claim begins": "run_start: access, message, run and `started`, in one transaction",
    "prepared": "in it the branch is read, the agent built, the attempt reserved",
    "enqueued": "its commit; watchers and the engine are told",
    "reserve begins": "the event loop takes the run up",
    "reserved": "the attempt was reserved by the start",
    "provider": "request built, sent, received by the provider",
    "writer has it": "provider's first byte → parsed, recorded, in the writer",
    "committed": "one transaction: fence and rows",
    "published": "to the hub",
    "client": "hub → loop → socket → client",
}


def account(folder: Path, core: set[int], provider_url: str, results: Results) -> str:
    """Measures on an instrumented Nexus and gives the text. µs are medians over several messages.

    What storing costs goes to the figures of Nexus on uvicorn.
    """
    with nexus(
        "uvicorn",
        folder,
        core,
        provider_url,
        people=PEOPLE,
        application="benchmarks.stops_app:application",
        title="Nexus with stops",
    ) as peer:
        return asyncio.run(_account(peer, provider_url, results))


async def _account(peer: NexusPeer, provider_url: str, results: Results) -> str:
    streams = Streams()
    line = await peer.line(0)
    await line.open_conversation(streams.order(3))
    trips = []
    for _ in range(TIMES):
        await asyncio.sleep(0.05)
        await _notes(peer)
        order = streams.order(3, 5_000, FIRST_US)
        line.clear()
        sent_us = now_us()
        await line.ask(order)
        await line.ended(30)
        notes = (await _notes(peer))["notes"]
        trips.append(
            _trip(notes, sent_us, await provider_log(provider_url, order.stream), line.pieces()[0].at_us)
        )
    lines = ["", "Stop by stop, one quiet message, uvicorn, median µs (the stop watches add some):"]
    for name in (*WAY, *BACK):
        if passed := [trip[name] for trip in trips if name in trip]:
            lines.append(f"  {median(passed):8,.0f}  {name:<15} {MEANING[name]}")
    total = median([sum(trip.values()) for trip in trips])
    lines.append(f"  {total:8,.0f}  in all")
    lines.append(await _storing(peer, streams, results))
    return "\n".join(lines)


def _trip(
    notes: list[tuple[str, int]], sent_us: int, log: dict[str, int], client_us: int
) -> dict[str, float]:
    """µs from each stop to the next, in the order in which a message passes them.

    A stop may be passed several times (`started` is published too): the first passage
    after the stop before it counts.
    """
    out: dict[str, float] = {}
    at = sent_us
    for name in WAY:
        reached = log["arrived_us"] if name == "provider" else _first(notes, name, sent_us, at)
        if reached is not None:
            out[name] = reached - at
            at = max(at, reached)
    at = log["first_us"]
    for name in BACK:
        reached = client_us if name == "client" else _first(notes, name, log["first_us"], at)
        if reached is not None:
            out[name] = reached - at
            at = reached
    return out


def _first(notes: list[tuple[str, int]], name: str, since_us: int, at_us: int) -> int | None:
    """None where a message did not pass that stop: it is part of the next one then."""
    times = [at for noted, at in notes if noted == name and at >= since_us]
    if not times:
        return None
    return next((at for at in times if at >= at_us), times[0])


async def _storing(peer: NexusPeer, streams: Streams, results: Results) -> str:
    """What the writer's thread costs of the process while fifty streams pass."""
    lines = [await peer.line(n) for n in range(PEOPLE)]
    await _notes(peer)
    cpu = peer.process.cpu()

    async def one(number: int) -> None:
        await asyncio.sleep(number * PACE_US / 1e6 / PEOPLE)
        await lines[number].ask(Order(number, CHUNKS, PACE_US, FIRST_US))
        await lines[number].ended(60)

    await asyncio.gather(*(one(n) for n in range(PEOPLE)))
    cpu = peer.process.cpu() - cpu
    storing: dict[str, Any] = (await _notes(peer))["storing"]
    flushes, rows = storing["flushes"], storing["rows"]
    values = {
        "storing_share": storing["cpu_s"] / cpu,
        "storing_statements": storing["statements"] / flushes,
        "storing_row_us": storing["cpu_s"] / rows * 1e6,
    }
    results.once(UVICORN, values)
    return (
        f"\nStoring, {PEOPLE} paced streams: {values['storing_share']:.0%} of the process's CPU, "
        f"{values['storing_statements']:.1f} statements and {rows / flushes:.1f} rows per flush, "
        f"{values['storing_row_us']:.0f} µs per row."
    )


async def _notes(peer: NexusPeer) -> dict[str, Any]:
    def get() -> dict[str, Any]:
        with urllib.request.urlopen(f"http://127.0.0.1:{peer.port}/bench-stops", timeout=5) as answer:
            return dict(orjson.loads(answer.read()))

    return await asyncio.to_thread(get)
