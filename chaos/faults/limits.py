"""What runs out or goes wrong around the processes: disk space, Redis' memory, their clocks; a hundred calls at once."""

from __future__ import annotations

import asyncio
import resource

from ..scene import Scene
from .processes import worker_kill

CLOCKS = (-300.0, 0.0, 300.0)
"""Seconds by which a process' clock may be off."""


async def disk_full(scene: Scene) -> None:
    """For a few seconds nothing can be written. Embedded: no file of the process may grow or change (a limit
    of the kernel's). Scaled: PostgreSQL refuses every row with its own `disk full`."""
    await asyncio.sleep(scene.dice.uniform(0.3, 1.5))
    scene.unable()
    scene.struck("the disk is full")
    seconds = scene.dice.choice((0.5, 2.0, 6.0))
    if scene.cluster.postgres is not None:
        with scene.cluster.postgres.full():
            await asyncio.sleep(seconds)
    else:
        pids = [node.pid for node in scene.cluster.nodes if node.alive]
        limits = {pid: resource.prlimit(pid, resource.RLIMIT_FSIZE) for pid in pids}
        try:
            for pid, (_, hard) in limits.items():
                resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, hard))
            await asyncio.sleep(seconds)
        finally:
            for pid, before in limits.items():
                resource.prlimit(pid, resource.RLIMIT_FSIZE, before)
    scene.healed(f"there is space again after {seconds} s")
    scene.able()


async def redis_full(scene: Scene) -> None:
    """Redis has no memory left and refuses whatever needs some."""
    await asyncio.sleep(scene.dice.uniform(0.0, 1.0))
    redis = scene.cluster.redis
    assert redis is not None
    scene.unable()
    scene.struck("Redis is out of memory")
    redis.limit(1)
    await asyncio.sleep(scene.dice.uniform(2, 8))
    redis.limit(0)
    scene.healed("Redis has memory again")
    scene.able()


async def clocks_off(scene: Scene) -> None:
    """The clocks of the processes jump apart by up to ten minutes while runs go, and one of them dies: leases go
    by the database's clock, so nobody takes too early, and nobody waits too long."""
    offsets = {node.name: scene.dice.choice(CLOCKS) for node in scene.cluster.nodes}
    scene.cluster.clocks(offsets)
    scene.note(f"clocks: {offsets}")
    try:
        await worker_kill(scene)
        while scene.going():
            await asyncio.sleep(0.1)
    finally:
        scene.cluster.clocks({})


async def many_calls(scene: Scene) -> None:
    """The damage is in the play, a hundred calls at once; and whoever makes them is killed in the middle."""
    await asyncio.sleep(scene.dice.uniform(0.0, 1.0))
    await worker_kill(scene)
