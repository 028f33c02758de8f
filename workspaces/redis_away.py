"""Redis, or this process's own memory for as long as Redis cannot be reached."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar

import redis

log = logging.getLogger(__name__)
T = TypeVar("T")

SOCKET_OPTIONS = {"socket_timeout": 1.0, "socket_connect_timeout": 1.0}
AGAIN_SECONDS = 5.0
_away_until = 0.0


def redis_or_memory(in_redis: Callable[[], T], in_memory: Callable[[], T]) -> T:
    """The first; where Redis does not answer the second, and so for some seconds: of many
    requests during an outage only few wait for it."""
    global _away_until
    if time.monotonic() >= _away_until:
        try:
            return in_redis()
        except (redis.RedisError, OSError) as fault:
            _away_until = time.monotonic() + AGAIN_SECONDS
            log.warning("Redis is away (%s): this process counts and remembers alone", type(fault).__name__)
    return in_memory()


def ask_again() -> None:
    """The next one asks Redis (tests)."""
    global _away_until
    _away_until = 0.0
