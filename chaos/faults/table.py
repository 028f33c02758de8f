"""The table: name, what it does, where it makes sense, which plays it is done to, how recovery is told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from random import Random
from typing import Literal

from ..cluster import Topology
from ..play import Play
from ..plays import broken_play, crowded_play, mixed_play
from ..scene import Scene
from . import limits, others, processes, stores, upgrade

BOTH: tuple[Topology, ...] = ("embedded", "scaled")
SCALED: tuple[Topology, ...] = ("scaled",)

AWAY = ("Service Unavailable",)
"""Requests that came while the database was away, or the process stopped, were answered with 503, which Django logs."""

NO_MEMORY = ("Redis is unavailable, retrying", "Error sending worker heartbeat")
"""Docket says of this one, with a traceback, what it says of an absent Redis without."""
FULL = (*AWAY, "a run cannot be stored", "tool chaos_")
"""A full disk is told to whoever looks after the server; and the tools' own file is on it."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A row.

    Attributes:
        strike: does the damage while the runs go, and undoes it; it is over when that returns.
        recovery: from the strike to the `resumed` of the last run that was taken over; or from the
            end of the fault to the next chunk that is drawn.
        allowed: parts of log lines that this fault explains.
        all_complete: no run may end otherwise.
    """

    name: str
    strike: Callable[[Scene], Awaitable[None]]
    topologies: tuple[Topology, ...] = BOTH
    play: Callable[[Random, str], Play] = mixed_play
    recovery: Literal["resumed", "next"] = "resumed"
    allowed: tuple[str, ...] = ()
    all_complete: bool = True
    runs: tuple[int, int] = (2, 5)


FAULTS: dict[str, Fault] = {
    fault.name: fault
    for fault in (
        Fault("nothing", others.nothing),
        Fault("worker_kill", processes.worker_kill),
        Fault("worker_kill_at_point", processes.worker_kill_at_point),
        Fault("worker_kill_in_commit", processes.worker_kill_in_commit),
        Fault("worker_kill_in_handover", processes.worker_kill_in_handover),
        Fault("worker_stop", processes.worker_stop),
        Fault("worker_stop_at_point", processes.worker_stop_at_point),
        Fault("worker_term", processes.worker_term),
        Fault("rolling_restart", processes.rolling_restart, allowed=AWAY),
        Fault("web_kill", processes.web_kill, SCALED, recovery="next"),
        Fault("redis_empty", stores.redis_empty, SCALED, recovery="next"),
        Fault("redis_frozen", stores.redis_frozen, SCALED, recovery="next"),
        Fault("redis_away", stores.redis_away, SCALED, recovery="next"),
        Fault("redis_cut", stores.redis_cut, SCALED, recovery="next"),
        Fault("redis_slow", stores.redis_slow, SCALED, recovery="next"),
        Fault("postgres_restart", stores.postgres_restart, SCALED, recovery="next", allowed=AWAY),
        Fault("postgres_terminate", stores.postgres_terminate, SCALED, recovery="next", allowed=AWAY),
        Fault("postgres_black_hole", stores.postgres_black_hole, SCALED, recovery="next", allowed=AWAY),
        Fault("disk_full", limits.disk_full, recovery="next", allowed=FULL, all_complete=False),
        Fault("redis_full", limits.redis_full, SCALED, recovery="next", allowed=NO_MEMORY),
        Fault("clocks_off", limits.clocks_off),
        Fault("many_calls", limits.many_calls, play=crowded_play, runs=(1, 2)),
        Fault("upgrade", upgrade.upgrade, SCALED, allowed=AWAY),
        Fault("hints_fail", others.hints_fail, recovery="next"),
        Fault("provider_breaks", others.provider_breaks, play=broken_play, all_complete=False),
    )
}
