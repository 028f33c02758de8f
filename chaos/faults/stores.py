"""Redis and PostgreSQL that die, stand still, come back empty or are not to be reached."""

from __future__ import annotations

import asyncio
import signal

from ..scene import Scene
from ..stores import Postgres, Redis


def _redis(scene: Scene) -> Redis:
    assert scene.cluster.redis is not None
    return scene.cluster.redis


def _postgres(scene: Scene) -> Postgres:
    assert scene.cluster.postgres is not None
    return scene.cluster.postgres


async def _begun(scene: Scene) -> None:
    await asyncio.sleep(scene.dice.uniform(0.3, 1.5))


async def redis_empty(scene: Scene) -> None:
    """Killed, and another one, empty, in its place after a moment."""
    await _begun(scene)
    redis = _redis(scene)
    scene.struck("Redis killed")
    redis.kill()
    scene.unable()  # queued runs wait for it; those that run go on
    await asyncio.sleep(scene.dice.uniform(0.0, 3.0))
    await asyncio.to_thread(redis.start_empty)
    scene.healed("Redis is back, empty")
    scene.able()


async def redis_frozen(scene: Scene) -> None:
    """It takes connections and does not answer."""
    await _begun(scene)
    scene.struck("Redis stands still")
    scene.unable()
    await _redis(scene).freeze(scene.dice.uniform(2, 8))
    scene.healed("Redis goes on")
    scene.able()


async def redis_away(scene: Scene) -> None:
    """Not to be reached for longer than runs take: they finish all the same."""
    await _begun(scene)
    redis = _redis(scene)
    scene.struck("Redis is away")
    scene.unable()
    redis.proxy.become("refuse")
    redis.proxy.cut()
    await asyncio.sleep(scene.dice.uniform(5, 15))
    redis.proxy.become("pass")
    scene.healed("Redis is back")
    scene.able()


async def redis_cut(scene: Scene) -> None:
    """Its connections are cut, again and again, and can be made anew at once."""
    for _ in range(scene.dice.randint(1, 4)):
        await _begun(scene)
        scene.struck("connections to Redis cut")
        _redis(scene).proxy.cut()
    scene.healed("connections to Redis are left alone")
    scene.able()


async def redis_slow(scene: Scene) -> None:
    redis = _redis(scene)
    redis.proxy.delay = scene.dice.uniform(0.05, 0.4)
    scene.struck(f"every piece to and from Redis takes {redis.proxy.delay:.2f} s")
    try:
        await asyncio.sleep(scene.dice.uniform(3, 6))
    finally:
        redis.proxy.delay = 0.0
    scene.healed("Redis is quick again")
    scene.able()


async def postgres_restart(scene: Scene) -> None:
    """A fast shutdown or a crash, and a start after a moment."""
    await _begun(scene)
    how = scene.dice.choice((signal.SIGINT, signal.SIGQUIT))
    scene.struck(f"PostgreSQL restarts ({how.name})")
    scene.unable()
    await _postgres(scene).restart(how, away=scene.dice.choice((0.0, 0.5, 3.0)))
    scene.healed("PostgreSQL is back")
    scene.able()


async def postgres_terminate(scene: Scene) -> None:
    """An administrator ends every session."""
    for _ in range(scene.dice.randint(1, 3)):
        await _begun(scene)
        count = await asyncio.to_thread(_postgres(scene).terminate_connections)
        scene.struck(f"{count} sessions of PostgreSQL ended")
    scene.healed("sessions of PostgreSQL are left alone")
    scene.able()


async def postgres_black_hole(scene: Scene) -> None:
    """Nothing goes either way and nothing is closed; then everything is cut."""
    await _begun(scene)
    proxy = _postgres(scene).proxy
    scene.struck("PostgreSQL is a black hole")
    scene.unable()
    proxy.become("black_hole")
    await asyncio.sleep(scene.dice.uniform(2, 8))
    if scene.dice.random() < 0.5:
        proxy.cut()
    proxy.become("pass")
    scene.healed("PostgreSQL answers again")
    scene.able()
