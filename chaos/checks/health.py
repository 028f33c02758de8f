"""I10: no unhandled exception in a log, no process that ended by itself."""

from __future__ import annotations

import json
from collections.abc import Sequence

from ..cluster import Cluster
from ..nodes import Node

UNHANDLED = (
    "Traceback (most recent call last)",
    "Task exception was never retrieved",
    "was never awaited",
    "Unhandled error in Deferred",
    "Unhandled Error",
    "database is locked",
    "Fatal Python error",
)
DJANGOS_OWN = ("ASGIHandler.listen_for_disconnect",)
"""Of a request whose client leaves in the moment it ends, Django 5.2 forgets to fetch what one of its tasks raised."""


class Logs:
    """Reads what the logs gained since the last time."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._read: dict[str, int] = {}

    def new_faults(self, allowed: Sequence[str] = ()) -> list[str]:
        """Lines that nobody should have to read. `allowed`: parts of messages that the fault explains."""
        found: list[str] = []
        for node in self._cluster.nodes:
            found += [f"I10 [{node.name}] {line[:600]}" for line in self._of(node) if _bad(line, allowed)]
        return found

    def _of(self, node: Node) -> list[str]:
        if not node.log.exists():
            return []
        with node.log.open("rb") as log:
            log.seek(self._read.get(node.name, 0))
            data = log.read()
        end = data.rfind(b"\n") + 1
        self._read[node.name] = self._read.get(node.name, 0) + end
        return data[:end].decode(errors="replace").splitlines()


def _bad(line: str, allowed: Sequence[str]) -> bool:
    if any(part in line for part in (*allowed, *DJANGOS_OWN)):
        return False
    if line.startswith("{"):
        try:
            told = json.loads(line)
        except ValueError:
            return any(sign in line for sign in UNHANDLED)
        if "exception" in told or told.get("level") == "critical":
            return True
        if told.get("level") == "error" and "fault" not in told:  # `fault`: a store is away, and that is said
            return True
    return any(sign in line for sign in UNHANDLED)


def ended_alone(cluster: Cluster) -> list[str]:
    return [
        f"I10 [{node.name}] ended by itself with {node.exit_code}:\n{node.tail(15)}"
        for node in cluster.nodes
        if not node.alive and not node.ended_on_purpose
    ]
