"""`python -m benchmarks`: starts everything, measures round by round, prints the tables.

Exit code 0 unless a text of ours arrived wrong (1), something could not be measured (2),
or a soak was not flat (3). Figures depend on the machine; a missed target is printed, it
does not fail. How to read it: benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import os
import platform
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import NoReturn

import orjson

from scripts.services import ServiceMissing

from .peer_stage import PEERS, peers_stage
from .report import table, verdicts
from .soak import Soak, soak_stage
from .stages import QUICK, STAGES, Bed, Size, bed
from .stats import median
from .targets import OURS, RELAY, TARGETS, verdict

FAULTS = (RuntimeError, TimeoutError, ConnectionError, ServiceMissing)
"""What a server that does not answer, or not as it should, ends in."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The command line."""

    size: Size
    stages: Sequence[str]
    peers: Sequence[str]
    soak: Soak | None
    json: Path | None


def arguments(words: Sequence[str] | None = None) -> Asked:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two short rounds, uvicorn only: two minutes")
    parser.add_argument("--rounds", type=int, help="default 5, with --quick 2")
    parser.add_argument("--servers", help="uvicorn,daphne (the default; with --quick uvicorn); none")
    parser.add_argument("--sockets", type=int, help="of the stage idle; default 5000, with --quick 500")
    parser.add_argument("--stages", help=f"which of {','.join(STAGES)}; default all")
    parser.add_argument("--load", action="store_true", help="only the load: --stages load")
    parser.add_argument(
        "--peers", nargs="?", const="default", help=f"against {','.join(PEERS)}; default: all"
    )
    parser.add_argument("--open-webui", action="store_true", help="with --peers: Open WebUI too (7 GB)")
    parser.add_argument("--soak", type=float, nargs="?", const=30.0, metavar="MINUTES", help="default 30")
    parser.add_argument("--embedded", action="store_true", help="with --soak: one process, SQLite")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every round of every figure")
    asked = parser.parse_args(words)
    size = QUICK if asked.quick else Size()
    if asked.rounds:
        size = replace(
            size,
            plan=replace(size.plan, rounds=asked.rounds),
            fan_out=replace(size.fan_out, rounds=asked.rounds),
        )
    if asked.sockets:
        size = replace(size, idle=replace(size.idle, sockets=asked.sockets))
    if asked.servers:
        size = replace(size, servers=tuple(name for name in asked.servers.split(",") if name != "none"))
    stages = asked.stages.split(",") if asked.stages else list(STAGES)
    peers: list[str] = []
    if asked.peers:
        peers = [name for name in PEERS if name != "open-webui"]
        peers = peers if asked.peers == "default" else asked.peers.split(",")
        if asked.open_webui and "open-webui" not in peers:
            peers.append("open-webui")
    if unknown := {*stages} - {*STAGES} | {*peers} - {*PEERS}:
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    soak = Soak(minutes=asked.soak, embedded=asked.embedded) if asked.soak is not None else None
    if asked.load:
        stages = ["load"]
    return Asked(size, [] if peers or soak else stages, peers, soak, asked.json)


def run(asked: Asked) -> int:
    started, failed = time.monotonic(), False
    with bed() as here:
        if asked.soak is not None:
            flat = soak_stage(here, asked.soak)
            return 0 if flat else 3
        if asked.peers:
            peers_stage(here, asked.size, asked.peers)
        for name in asked.stages:
            print(f"--- {name} ---", flush=True)
            try:
                STAGES[name](here, asked.size)
            except FAULTS as fault:
                if _ended_by:
                    sys.exit(128 + _ended_by)
                failed = True
                here.results.unmeasured[f"the rest of {name}"] = str(fault) or type(fault).__name__
        print(table(here.results))
        print(verdicts(here.results))
        print("\n".join(here.texts))
        if asked.json is not None:
            asked.json.write_bytes(_json(here))
    print(f"\n{asked.size.plan.rounds} rounds in {time.monotonic() - started:.0f} s")
    if here.results.broken([RELAY, *OURS]):
        return 1
    return 2 if failed else 0


def _json(here: Bed) -> bytes:
    """Everything, for a comparison on another day: only the ratios carry over."""
    results = here.results
    value = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {
            "python": platform.python_version(),
            "system": platform.platform(),
            "cores": os.cpu_count(),
        },
        **results.as_json(),
        "medians": {
            peer: {name: median(values) for name, values in figures.items()}
            for peer, figures in results.rounds.items()
        },
        "targets": [
            {"figure": target.figure, "title": target.title, "of": target.of, "target": target.limit()}
            | {"measured": found.measured, "state": found.state}
            for target in TARGETS
            if (found := verdict(target, results))
        ],
    }
    return orjson.dumps(value, option=orjson.OPT_INDENT_2)


_ended_by = 0
"""The signal that ends this process. The exception it raises inside an event loop may come out as a fault."""


def _end(number: int, frame: FrameType | None) -> NoReturn:
    global _ended_by
    _ended_by = number
    sys.exit(128 + number)


def main() -> None:
    if not sys.platform.startswith("linux"):
        sys.exit("the benchmark reads /proc and pins processes to cores: it runs on Linux only")
    signal.signal(signal.SIGTERM, _end)
    # Also where it was started in the background of a shell, which has Ctrl-C ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        sys.exit(run(arguments()))
    except KeyboardInterrupt:
        sys.exit(130)
    except FAULTS as fault:
        if _ended_by:
            sys.exit(128 + _ended_by)
        print(f"could not be measured: {fault}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
