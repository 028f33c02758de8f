"""Many trials: which, how often, in which topology; a line of results for each, and the table at the end."""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import aiohttp

from workspaces.failpoints import POINTS

from .checks.base import Base
from .cluster import Cluster, Plan, Topology
from .faults import FAULTS
from .guards import prove
from .provider import ChaosProvider
from .report import table
from .trial import Result, Trial

SHORT: tuple[tuple[Topology, str, int], ...] = (
    ("scaled", "worker_kill_at_point", 3),
    ("scaled", "worker_stop_at_point", 1),
    ("scaled", "web_kill", 1),
    ("scaled", "hints_fail", 1),
    ("scaled", "redis_empty", 1),
    ("scaled", "postgres_restart", 1),
    ("embedded", "worker_kill_at_point", 2),
    ("embedded", "provider_breaks", 1),
)
"""The short form: a few trials of what breaks most, in both topologies, within three minutes."""


@dataclass(frozen=True, slots=True)
class Order:
    """How many trials of which fault where, from `seed` on; `lease` in seconds, None: the product's own."""

    trials: tuple[tuple[Topology, str, int], ...]
    seed: int
    lease: float | None
    folder: Path
    point: str = ""
    guards: bool = False


def order_of(arguments: Sequence[str]) -> Order:
    parser = argparse.ArgumentParser(prog="python -m chaos", description=__doc__)
    parser.add_argument("--fault", action="append", choices=sorted(FAULTS), help="default: all of them")
    parser.add_argument("--topology", action="append", choices=["embedded", "scaled"], help="default: both")
    parser.add_argument("--trials", type=int, default=5, help="of each fault and topology (5)")
    parser.add_argument("--short", action="store_true", help="the few trials that are part of `make test`")
    parser.add_argument("--point", choices=POINTS, default="", help="the fail point of faults at points")
    parser.add_argument(
        "--guards", action="store_true", help="take out each guard in a copy as well (chaos.guards)"
    )
    parser.add_argument("--seed", type=int, help="of the first trial; each next one has the next number")
    parser.add_argument("--lease", default="2", help="seconds, or `default` for the product's own (2)")
    parser.add_argument(
        "--folder", type=Path, help="where logs, results and evidence go; one that exists is gone on with"
    )
    given = parser.parse_args(arguments)
    seed = given.seed if given.seed is not None else random.SystemRandom().randrange(10**6)
    topologies: list[Topology] = given.topology or ["embedded", "scaled"]
    every = tuple(
        (topology, name, given.trials)
        for topology in topologies
        for name in given.fault or FAULTS
        if topology in FAULTS[name].topologies
    )
    return Order(
        SHORT if given.short else every,
        seed,
        None if given.lease == "default" else float(given.lease),
        given.folder or Path("var") / "chaos" / time.strftime("%Y%m%d-%H%M%S"),
        given.point,
        given.guards or not (given.fault or given.short),
    )


class Results:
    """One JSON line per trial; what an earlier call has done is not done again."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.all: list[Result] = []
        if path.exists():
            self.all = [Result(**json.loads(line)) for line in path.read_text().splitlines()]

    def add(self, result: Result) -> None:
        self.all.append(result)
        with self._path.open("a") as out:
            out.write(json.dumps(asdict(result)) + "\n")

    def count(self, fault: str, topology: str) -> int:
        return sum(result.fault == fault and result.topology == topology for result in self.all)


async def campaign(order: Order) -> list[Result]:
    order.folder.mkdir(parents=True, exist_ok=True)
    results = Results(order.folder / "results.jsonl")
    for topology in dict.fromkeys(topology for topology, _, _ in order.trials):
        await _in(topology, order, results)
    return results.all


async def _in(topology: Topology, order: Order, results: Results) -> None:
    wanted = [
        (name, trials)
        for where, name, trials in order.trials
        if where == topology and results.count(name, topology) < trials
    ]
    if not wanted:
        return
    folder = order.folder / topology / time.strftime("%H%M%S")
    folder.mkdir(parents=True)
    plan = Plan(topology, lease=order.lease)
    async with (
        ChaosProvider(folder) as provider,
        Cluster(plan, folder, provider.url) as cluster,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, force_close=True)) as session,
    ):
        base = Base(cluster)
        await base.settle()
        print(
            f"{topology}: {', '.join(node.name for node in cluster.nodes)} run; logs in {folder}", flush=True
        )
        for name, trials in wanted:
            while (done := results.count(name, topology)) < trials:
                trial = Trial(FAULTS[name], order.seed + done, cluster, provider, session, base, order.point)
                result = await trial.run()
                results.add(result)
                _tell(result)
                if result.violations:
                    where = order.folder / "evidence" / f"{topology}-{name}-{result.seed}"
                    trial.evidence(where, result)
                    print(f"    evidence in {where}", flush=True)


def _tell(result: Result) -> None:
    took = "-" if result.recovery is None else f"{result.recovery:.1f} s"
    verdict = "ok" if not result.violations else f"{len(result.violations)} VIOLATIONS"
    print(
        f"  {result.fault:<22} {result.topology:<9} seed {result.seed:<8} {verdict:<14} "
        f"recovery {took:<7} in {result.seconds:.1f} s",
        flush=True,
    )
    for violation in result.violations[:8]:
        print(f"    {violation[:400]}", flush=True)


def main(arguments: Sequence[str]) -> int:
    if not sys.platform.startswith("linux"):
        print("chaos ends and freezes processes by what Linux offers; it runs there only")
        return 2
    order = order_of(arguments)
    print(f"seed {order.seed}; results in {order.folder}", flush=True)
    began = time.monotonic()
    results = asyncio.run(campaign(order))
    print(table(results))
    print(f"\n{len(results)} trials in {time.monotonic() - began:.0f} s")
    good = not any(result.violations for result in results)
    if order.guards:
        print("\nthe guards, each taken out in a copy of the tree:", flush=True)
        good &= prove()
    return 0 if good else 1
