"""Presence between processes: each keeps one lease per workspace in Redis and renews it.

Key `nexus:presence:<workspace>:<process>` holds the process's entries and dies 45 s
after its last renewal; a set per workspace names the processes. The clock is Redis's
own, so hosts may disagree about the time. A doorbell over the hub says "look again".
"""

from __future__ import annotations

import logging
from typing import Any
from uuid import UUID

import orjson
import redis
import redis.asyncio
from django.conf import settings

from .presence_board import Entry

log = logging.getLogger(__name__)

LEASE_SECONDS = 45
RENEW_SECONDS = 15
REDIS_TIMEOUT = 2.0


def _key(workspace_id: UUID, process: str = "") -> str:
    return f"nexus:presence:{workspace_id.hex}" + (f":{process}" if process else "")


class Lease:
    """The entries of this process in Redis, and those of the others."""

    def __init__(self, process: str) -> None:
        self._process = process
        self._redis: Any = redis.asyncio.Redis.from_url(
            settings.NEXUS_REDIS_URL, socket_timeout=REDIS_TIMEOUT, socket_connect_timeout=REDIS_TIMEOUT
        )

    async def write(self, workspace_id: UUID, entries: list[Entry]) -> None:
        """Renews the lease, or gives it back when nobody is here."""
        key, index = _key(workspace_id, self._process), _key(workspace_id)
        async with self._redis.pipeline(transaction=False) as pipe:
            if entries:
                pipe.set(key, orjson.dumps([e.to_json() for e in entries]), ex=LEASE_SECONDS)
                pipe.sadd(index, self._process)
                pipe.expire(index, LEASE_SECONDS * 4)
            else:
                pipe.delete(key)
                pipe.srem(index, self._process)
            await pipe.execute()

    async def read_others(self, workspace_id: UUID) -> list[Entry]:
        """The entries of all other processes whose lease stands."""
        processes = [p.decode() for p in await self._redis.smembers(_key(workspace_id))]
        others = sorted(p for p in processes if p != self._process)
        if not others:
            return []
        values = await self._redis.mget([_key(workspace_id, p) for p in others])
        gone = [p for p, value in zip(others, values, strict=True) if value is None]
        if gone:
            await self._redis.srem(_key(workspace_id), *gone)
        return _entries(workspace_id, values)

    async def close(self) -> None:
        await self._redis.aclose()


def read_all(workspace_id: UUID) -> list[Entry]:
    """Everybody's entries, for a thread of a process that does not follow this workspace; [] when Redis is away."""
    try:
        client: Any = redis.Redis.from_url(
            settings.NEXUS_REDIS_URL, socket_timeout=REDIS_TIMEOUT, socket_connect_timeout=REDIS_TIMEOUT
        )
        with client:
            processes = sorted(p.decode() for p in client.smembers(_key(workspace_id)))
            values = client.mget([_key(workspace_id, p) for p in processes]) if processes else []
        return _entries(workspace_id, values)
    except redis.RedisError as fault:
        log.warning("presence: Redis is away (%s)", type(fault).__name__)
        return []


def _entries(workspace_id: UUID, values: list[bytes | None]) -> list[Entry]:
    return [
        Entry.from_json(workspace_id, data)
        for value in values
        if value is not None
        for data in orjson.loads(value)
    ]
