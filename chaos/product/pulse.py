"""At SIGUSR2 a process writes what it holds: tasks, threads, handles, sockets, rooms, runs; whether it is back to base."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
from collections import Counter
from pathlib import Path
from typing import Any

from . import queries


def answer_pulse(folder: Path) -> None:
    def write() -> None:
        out = folder / f"pulse.{os.getpid()}"
        half = out.with_suffix(f".{os.getpid()}.half")
        half.write_text(json.dumps(pulse()))
        half.rename(out)

    def answer(number: int, frame: Any) -> None:
        """On the loop's next turn: here a lock may be held that `pulse` wants."""
        try:
            asyncio.get_running_loop().call_soon_threadsafe(write)
        except RuntimeError:
            write()

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGUSR2, answer)


def pulse() -> dict[str, Any]:
    """Counts, but `tasks`, `handles` by kind and `rooms` by name.

    Returns `{tasks: {name: n}, threads, handles: {kind: n}, sockets, rooms: [name], runs, queries, bytes}`.
    """
    from conversations import instruments as of_runs
    from realtime import instruments as of_sockets
    from realtime.hub import existing_hub

    try:
        tasks = asyncio.all_tasks()
    except RuntimeError:
        tasks = set()
    hub = existing_hub()
    return {
        "tasks": dict(Counter(_kind(task.get_name()) for task in tasks)),
        "threads": threading.active_count(),
        "handles": dict(Counter(_handles())),
        "sockets": _value(of_sockets.sockets),
        "rooms": hub.rooms() if hub is not None else [],
        "runs": _value(of_runs.live_runs),
        "queries": queries.count(),
        "bytes": int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE"),
    }


def _kind(name: str) -> str:
    return name.split(":")[0].split("-")[0]


def _handles() -> list[str]:
    kinds: list[str] = []
    for path in Path("/proc/self/fd").iterdir():
        try:
            kinds.append(str(path.readlink()).split(":")[0])
        except OSError:  # the one by which the folder is read
            continue
    return ["file" if kind.startswith("/") else kind for kind in kinds]


def _value(gauge: Any) -> int:
    return int(sum(sample.value for metric in gauge.collect() for sample in metric.samples))
