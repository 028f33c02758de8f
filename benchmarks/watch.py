"""Processes seen from outside: CPU, memory, threads, open files and connections, one or a group of them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
SERVICES = {"postgres": "PostgreSQL", "redis-server": "Redis", "valkey-server": "Redis"}


@dataclass(frozen=True, slots=True)
class Sample:
    """Sums over the group. CPU in seconds since the start, memory in bytes (without pages of files)."""

    cpu_s: float = 0.0
    memory: int = 0
    threads: int = 0
    files: int = 0
    connections: int = 0
    processes: int = 0


def sample(pids: Iterable[int]) -> Sample:
    """What these processes take now; one that is gone counts nothing."""
    cpu, memory, threads, files, connections, count = 0.0, 0, 0, 0, 0, 0
    for pid in pids:
        try:
            stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            status = Path(f"/proc/{pid}/status").read_text()
            handles = _handles(pid)
        except (FileNotFoundError, ProcessLookupError):
            continue
        # User and system time, also of children that ended (PostgreSQL's back ends).
        cpu += sum(int(value) for value in stat[11:15]) / TICKS
        memory += int(status.split("RssAnon:")[1].split()[0]) * 1024
        threads += int(stat[17])
        files += len(handles)
        connections += sum(handle.startswith("socket:") for handle in handles)
        count += 1
    return Sample(cpu, memory, threads, files, connections, count)


def services() -> dict[str, list[int]]:
    """PostgreSQL and Redis that this process started, with their children: name to process ids."""
    parents = {int(path.name): _parent(path) for path in Path("/proc").iterdir() if path.name.isdigit()}
    found: dict[str, list[int]] = {}
    for pid, parent in parents.items():
        if parent != os.getpid():
            continue
        name = SERVICES.get(_command(pid))
        if name is not None:
            found.setdefault(name, []).extend([pid, *[child for child, of in parents.items() if of == pid]])
    return found


def _handles(pid: int) -> list[str]:
    out = []
    for handle in Path(f"/proc/{pid}/fd").iterdir():
        try:
            out.append(str(handle.readlink()))
        except FileNotFoundError:
            continue
    return out


def _parent(path: Path) -> int:
    try:
        return int((path / "stat").read_text().rpartition(")")[2].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return 0


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except FileNotFoundError:
        return ""
