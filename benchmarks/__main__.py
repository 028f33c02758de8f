"""`python -m benchmarks`: starts everything, measures round by round, prints the table.

Exit code 0 unless a text arrived wrong (1) or a server could not be measured (2).
Figures depend on the machine; a missed target is printed, it does not fail.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import NoReturn

from . import stops
from .measure import Plan, measure
from .peers import Peer, nexus, provider, relay
from .processes import cores
from .report import table


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two rounds, uvicorn only, about a minute")
    parser.add_argument("--rounds", type=int, help="default 5, with --quick 2")
    parser.add_argument(
        "--servers", help="which Nexus: uvicorn,daphne (default both, with --quick uvicorn); none"
    )
    parser.add_argument("--no-stops", action="store_true", help="leave out the stop-by-stop account")
    return parser.parse_args()


def plan_of(asked: argparse.Namespace) -> Plan:
    servers = asked.servers or ("uvicorn" if asked.quick else "uvicorn,daphne")
    return Plan(
        rounds=asked.rounds or (2 if asked.quick else 5),
        servers=tuple(name for name in servers.split(",") if name != "none"),
        stops=not asked.no_stops,
    )


@contextlib.contextmanager
def peers(folder: Path, plan: Plan, core: set[int], provider_url: str) -> Iterator[list[Peer]]:
    with contextlib.ExitStack() as stack:
        every: list[Peer] = [stack.enter_context(relay(folder, core, provider_url))]
        for server in plan.servers:
            print(f"starting Nexus on {server} …", flush=True)
            every.append(stack.enter_context(nexus(server, folder, core, provider_url, people=plan.people)))
        yield every


def run(plan: Plan) -> int:
    import uvloop

    core, rest = cores()
    os.sched_setaffinity(0, rest)
    if core == rest:
        print("one core only: server, provider and client share it, so figures say little")
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="nexus-bench-") as name:
        folder = Path(name)
        with provider(folder, rest) as provider_url:
            with peers(folder, plan, core, provider_url) as every:
                try:
                    results = uvloop.run(measure(every, provider_url, plan))
                except (RuntimeError, TimeoutError, ConnectionError):
                    for peer in every:
                        if tail := peer.process.tail():
                            print(f"the end of the log of {peer.name}:\n{tail}\n", file=sys.stderr)
                    raise
            print(table(results))
            if plan.servers and plan.stops:
                print(stops.account(folder, core, provider_url))
    print(f"\n{plan.rounds} rounds in {time.monotonic() - started:.0f} s")
    return 1 if results.broken else 0


def _end(number: int, frame: FrameType | None) -> NoReturn:
    sys.exit(128 + number)


def main() -> None:
    if not sys.platform.startswith("linux"):
        sys.exit("the benchmark reads /proc and pins processes to cores: it runs on Linux only")
    signal.signal(signal.SIGTERM, _end)
    try:
        sys.exit(run(plan_of(arguments())))
    except (RuntimeError, TimeoutError, ConnectionError) as fault:
        print(f"could not be measured: {fault}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
