"""I9: nothing that could go on stays without an owner for more than the lease and five seconds."""

from __future__ import annotations

import asyncio
import time

from ..inspector import Unfinished
from ..scene import Scene

GRACE_SECONDS = 5.0
EVERY_SECONDS = 0.4
LOOK_SECONDS = 0.2
"""A look takes no longer, but where the machine stands still or is short of time; and so is who could take a run."""


async def watch_leases(scene: Scene) -> None:
    """Runs beside a trial until it is cancelled; tells each run once."""
    lease = scene.cluster.plan.lease_seconds
    alone_since: dict[tuple[str, int], float] = {}
    told: set[str] = set()
    short: list[tuple[float, float]] = []  # until when, and by how much a look took too long
    looked = time.monotonic()
    while True:
        await asyncio.sleep(EVERY_SECONDS)
        try:
            unfinished = await scene.cluster.inspector.unfinished()
        except ConnectionError:
            looked = time.monotonic()
            continue  # the database is away, and that is the fault
        now = time.monotonic()
        short.append((now, max(0.0, now - looked - EVERY_SECONDS - LOOK_SECONDS)))
        looked = now
        for run in unfinished:
            over = _alone_for(run, lease)
            key = (run.id, run.epoch)
            if over is None:
                alone_since.pop(key, None)
                continue
            since = min(alone_since.get(key, now - over), now - over)
            alone_since[key] = since
            if scene.able_since is None or run.id in told:
                continue
            begun = max(since, scene.able_since)
            waited = now - begun - sum(lost for until, lost in short if until > begun)
            if waited > GRACE_SECONDS:
                told.add(run.id)
                scene.violations.append(
                    f"I9 [{run.id}] {run.status} at epoch {run.epoch}, for {waited:.1f} s nobody has taken it"
                )


def _alone_for(run: Unfinished, lease: float) -> float | None:
    """Seconds since which it should have an owner; None while it has one, or need not. A queued one is given a
    lease's time from when it was first seen: when it was made is told by a clock that may be off."""
    if run.status == "queued":
        return None if run.waits_for_another else -lease
    if run.lease_age is None:
        return 0.0
    return None if run.lease_age <= lease else run.lease_age - lease
