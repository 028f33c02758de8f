"""I10: after a trial everything is back to base: in the database nothing is left open, in no process a socket,
a room, a run or a task more than before, nor handles and memory without bound."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from ..cluster import Cluster
from ..nodes import Node

BACK_SECONDS = 45.0
EVERY_SECONDS = 0.25
CALM_TIMES = 4
MORE_TASKS = 4
MORE_HANDLES = 40
"""A pool of connections may have filled meanwhile: sixteen to PostgreSQL, a few to Redis, some kept to the provider."""
MORE_BYTES = 300 * 1024 * 1024
"""The providers' libraries are imported at the first request; the soak of `make bench` looks closer."""
MOST_CONNECTIONS = 17
"""Of one process to PostgreSQL: its pool, and who is just on the way."""
LENT = {"connections"}
STANDING_ROOMS = ("engine.control",)
"""By which a worker hears of those who want a run stopped, for as long as it lives."""


class Base:
    """What each node held before the first trial; whoever takes its place later may not hold more.

    One for all trials of a cluster; `settle` comes first.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._first: dict[str, dict[str, Any]] = {}

    async def settle(self) -> None:
        """Waits until the processes, which have just started, have all the tasks that they keep."""
        for node in self._cluster.nodes:
            calm, last = 0, -1
            while calm < CALM_TIMES:
                await asyncio.sleep(EVERY_SECONDS)
                self._first[node.name] = await node.pulse()
                tasks = sum(self._first[node.name]["tasks"].values())
                calm, last = (calm + 1 if tasks == last else 0), tasks

    async def faults(self) -> list[str]:
        """Waits until all is back, within reason; then says what is not."""
        until = time.monotonic() + BACK_SECONDS
        while found := await self._look():
            if time.monotonic() > until:
                return [f"I10 {fault}, {BACK_SECONDS:.0f} s after the trial" for fault in found]
            await asyncio.sleep(EVERY_SECONDS)
        return []

    async def _look(self) -> list[str]:
        found: list[str] = []
        nodes = [node for node in self._cluster.nodes if node.alive and node.up]
        for node in nodes:
            found += await self._of(node)
        try:
            left = await self._cluster.inspector.base()
        except ConnectionError as fault:
            return [*found, f"the database does not answer: {fault}"]
        found += [f"{count} {what}" for what, count in left.items() if count and what not in LENT]
        if left.get("connections", 0) > MOST_CONNECTIONS * (
            len(self._cluster.nodes) + 1
        ):  # the inspector has a pool, too
            found.append(f"{left['connections']} connections to PostgreSQL")
        return found

    async def _of(self, node: Node) -> list[str]:
        try:
            now = await node.pulse()
        except TimeoutError:
            return [f"[{node.name}] does not answer SIGUSR2"]
        except ProcessLookupError:
            return []  # `ended_alone` tells of it
        rooms = [room for room in now["rooms"] if room not in STANDING_ROOMS]
        held = {"sockets": now["sockets"], "runs": now["runs"], "rooms": rooms}
        found = [f"[{node.name}] has {what}: {count}" for what, count in held.items() if count]
        return found + [f"[{node.name}] {fault}" for fault in more_than(self._first[node.name], now)]


def more_than(first: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What a process holds now beyond what it held at first, each a sentence."""
    found: list[str] = []
    tasks, base = sum(now["tasks"].values()), sum(first["tasks"].values())
    if tasks > base + MORE_TASKS:
        more = {name: count for name, count in now["tasks"].items() if count > first["tasks"].get(name, 0)}
        found.append(f"has {tasks} tasks, at first {base}: {more}")
    handles, base = sum(now["handles"].values()), sum(first["handles"].values())
    if handles > base + MORE_HANDLES:
        found.append(f"has {handles} handles, at first {base}: {now['handles']} after {first['handles']}")
    if now["bytes"] > first["bytes"] + MORE_BYTES:
        found.append(f"has {now['bytes'] >> 20} MiB, at first {first['bytes'] >> 20}")
    return found
