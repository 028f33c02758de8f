"""The parts of the benchmark of Nexus itself; each starts its servers, adds to the results and ends them."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import uvloop

from scripts.services import ServiceMissing

from . import stops
from .asleep import asleep
from .capacity import Ladder, capacity
from .crossing import crossing
from .fanout import FanOut, broadcast, fan_out
from .idle import Idle, held, idle
from .load import Load, load
from .measure import Plan, measure
from .metering import metering
from .nexus_peer import NexusPeer, nexus, scaled
from .peers import Peer, provider, relay
from .processes import cores
from .results import Results
from .targets import DAPHNE, UVICORN, WINDOW_0


@dataclass(frozen=True, slots=True)
class Size:
    """How much of everything; the defaults take ten minutes or so."""

    plan: Plan = field(default_factory=Plan)
    servers: tuple[str, ...] = ("uvicorn", "daphne")
    fan_out: FanOut = field(default_factory=FanOut)
    viewers: int = 100
    slow_rounds: int = 3
    ladder: Ladder = field(default_factory=Ladder)
    crossing_rounds: int = 5
    crossing_chunks: int = 100
    load: Load = field(default_factory=Load)
    idle: Idle = field(default_factory=Idle)
    metered_calls: int = 400


QUICK = Size(
    plan=Plan(rounds=2, paced_chunks=75, first_tokens=10),
    servers=("uvicorn",),
    fan_out=FanOut(rounds=2, slow_chunks=15),
    slow_rounds=1,
    ladder=Ladder((200, 300)),
    crossing_rounds=1,
    crossing_chunks=75,
    load=Load(seconds=6),
    idle=Idle(sockets=500, people=50, seconds=35),
    metered_calls=100,
)


@dataclass(slots=True)
class Bed:
    """What all stages share: a scratch folder, the measured server's core, the others', the provider."""

    folder: Path
    core: set[int]
    rest: set[int]
    provider_url: str
    results: Results
    texts: list[str]
    """What is printed below the tables."""

    @contextlib.contextmanager
    def scratch(self, name: str) -> Iterator[Path]:
        folder = self.folder / name
        folder.mkdir()
        yield folder


@contextlib.contextmanager
def bed() -> Iterator[Bed]:
    """Pins this process and the provider away from the server's core."""
    core, rest = cores()
    every = os.sched_getaffinity(0)
    os.sched_setaffinity(0, rest)
    if core == rest:
        print("one core only: server, provider and client share it, so figures say little")
    try:
        with tempfile.TemporaryDirectory(prefix="nexus-bench-") as name:
            folder = Path(name)
            with provider(folder, rest) as provider_url:
                yield Bed(folder, core, rest, provider_url, Results(), [])
    finally:
        os.sched_setaffinity(0, every)


def relay_stage(bed: Bed, size: Size) -> None:
    """One and many streams, viewers, memory: the bare relay, Nexus on each server, and with window 0."""
    plan = size.plan
    if "uvicorn" in size.servers:
        plan = replace(plan, only_paced=(WINDOW_0,))
    with bed.scratch("relay") as folder, contextlib.ExitStack() as stack:
        peers: list[Peer] = [stack.enter_context(relay(folder, bed.core, bed.provider_url))]
        for server in size.servers:
            print(f"starting Nexus on {server} …", flush=True)
            title = DAPHNE if server == "daphne" else UVICORN
            peers.append(stack.enter_context(_nexus(bed, folder, server, plan.people, title)))
        if plan.only_paced:
            peers.append(stack.enter_context(_window_0(bed, folder, plan.people)))
        with _told(peers):
            uvloop.run(measure(peers, bed.provider_url, plan, bed.results))


def fan_out_stage(bed: Bed, size: Size) -> None:
    """A hundred and a thousand viewers against `websockets.broadcast`; one that stops reading."""
    people = size.plan.people
    with (
        bed.scratch("fanout") as folder,
        broadcast(folder, bed.core) as raw,
        _window_0(bed, folder, people) as every_piece,
        _nexus(bed, folder, "uvicorn", people, UVICORN) as usual,
        _told([every_piece, usual]),
    ):
        uvloop.run(fan_out([raw, every_piece, usual], size.fan_out, people, bed.results))
        uvloop.run(asleep(usual, bed.results, viewers=size.viewers, rounds=size.slow_rounds, people=people))
    # At full speed the default window makes few, large frames of the stream: no figure of fan-out.
    for viewers, _ in size.fan_out.audiences:
        bed.results.rounds[UVICORN].pop(f"fan_{viewers}_per_s", None)


def capacity_stage(bed: Bed, size: Size) -> None:
    """How many streams one core carries, the relay's first."""
    people = size.plan.people
    with bed.scratch("capacity") as folder:
        with relay(folder, bed.core, bed.provider_url) as peer:
            uvloop.run(capacity(peer, bed.provider_url, size.ladder, people, bed.results))
        with _nexus(bed, folder, "uvicorn", people, UVICORN) as ours:
            uvloop.run(capacity(ours, bed.provider_url, size.ladder, people, bed.results))


def crossing_stage(bed: Bed, size: Size) -> None:
    """A viewer on another process. All processes may use every core, as on one machine."""
    every = bed.core | bed.rest
    with _whole_machine(bed), bed.scratch("crossing") as folder:
        try:
            with (
                scaled("uvicorn", folder, every, bed.provider_url, people=2) as servers,
                _told(servers.web),
            ):
                measuring = crossing(
                    servers, bed.results, rounds=size.crossing_rounds, chunks=size.crossing_chunks
                )
                uvloop.run(measuring)
        except ServiceMissing as why:
            bed.results.unmeasured["viewer on another process"] = str(why)


def load_stage(bed: Bed, size: Size) -> None:
    """Five hundred idle sockets, fifty runs, two hundred watchers, on the whole machine."""
    with _whole_machine(bed), bed.scratch("load") as folder:
        try:
            bed.texts.append(load(folder, bed.core | bed.rest, bed.provider_url, size.load, bed.results))
        except ServiceMissing as why:
            bed.results.unmeasured["load"] = str(why)


def idle_stage(bed: Bed, size: Size) -> None:
    """Thousands of idle sockets: memory of each, and no word of presence while nobody does anything."""
    plan = replace(size.idle, sockets=held(size.idle.sockets))
    if plan.sockets < size.idle.sockets:
        print(
            f"this machine lets a process have {plan.sockets:,} sockets, not {size.idle.sockets:,}",
            flush=True,
        )
    print(f"idle: {plan.sockets:,} sockets, {plan.seconds} s …", flush=True)
    with (
        bed.scratch("idle") as folder,
        _nexus(bed, folder, "uvicorn", plan.people, UVICORN) as peer,
        _told([peer]),
    ):
        bed.texts.append(uvloop.run(idle(peer, bed.results, plan)))


def stops_stage(bed: Bed, size: Size) -> None:
    """Stop by stop, and what storing costs."""
    with bed.scratch("stops") as folder:
        bed.texts.append(stops.account(folder, bed.core, bed.provider_url, bed.results))


def metering_stage(bed: Bed, size: Size) -> None:
    """What one reservation and one settlement take, with budgets and without."""
    with bed.scratch("metering") as folder:
        bed.texts.append(metering(folder, size.metered_calls))


STAGES: dict[str, Callable[[Bed, Size], None]] = {
    "relay": relay_stage,
    "fanout": fan_out_stage,
    "capacity": capacity_stage,
    "crossing": crossing_stage,
    "stops": stops_stage,
    "metering": metering_stage,
    "load": load_stage,
    "idle": idle_stage,
}


def _nexus(
    bed: Bed, folder: Path, server: str, people: int, title: str
) -> contextlib.AbstractContextManager[NexusPeer]:
    return nexus(server, folder, bed.core, bed.provider_url, people=people, title=title)


def _window_0(bed: Bed, folder: Path, people: int) -> contextlib.AbstractContextManager[NexusPeer]:
    return nexus(
        "uvicorn",
        folder,
        bed.core,
        bed.provider_url,
        people=people,
        title=WINDOW_0,
        environment={"NEXUS_COALESCE_MS": "0"},
    )


@contextlib.contextmanager
def _whole_machine(bed: Bed) -> Iterator[None]:
    mine = os.sched_getaffinity(0)
    os.sched_setaffinity(0, bed.core | bed.rest)
    try:
        yield
    finally:
        os.sched_setaffinity(0, mine)


@contextlib.contextmanager
def _told(peers: Sequence[Peer]) -> Iterator[None]:
    """When something fails, the end of the servers' logs says more than the failure."""
    try:
        yield
    except (RuntimeError, TimeoutError, ConnectionError):
        for peer in peers:
            if tail := peer.process.tail():
                print(f"the end of the log of {peer.name}:\n{tail}\n", flush=True)
        raise
