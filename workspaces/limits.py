"""Rate limits: sliding windows per person, in memory or, with Redis, for all processes together.

In memory the count is per process. When Redis is away a limit lets through: refusing
everybody would turn a small fault into an outage.
"""

from __future__ import annotations

import logging
import time
from functools import lru_cache
from typing import Literal
from uuid import UUID

from django.conf import settings
from limits import RateLimitItem, parse
from limits.storage import storage_from_string
from limits.strategies import SlidingWindowCounterRateLimiter

from .access import TooManyRequests
from .instruments import rate_limited

log = logging.getLogger(__name__)

Limit = Literal["requests", "runs", "tickets", "exports", "doors", "invitations", "workspaces", "links"]

LIMITS: dict[Limit, RateLimitItem] = {
    "requests": parse("1200/minute"),
    "runs": parse("300/minute"),
    "tickets": parse("120/minute"),
    "exports": parse("30/minute"),
    "doors": parse("60/minute"),
    "invitations": parse("60/hour"),
    "links": parse("240/minute"),
    "workspaces": parse("20/hour"),
}
"""What a person may do; `doors` counts wrong credentials per address, `links` what is
opened without an account, per address. A hundred runs at once pass."""


@lru_cache(maxsize=4)
def _limiter(url: str) -> SlidingWindowCounterRateLimiter:
    options: dict[str, float] = {"socket_timeout": 1.0, "socket_connect_timeout": 1.0} if url else {}
    return SlidingWindowCounterRateLimiter(storage_from_string(url or "memory://", **options))


def limit_hit(limit: Limit, who: UUID | str, *, cost: int = 1) -> None:
    """Counts one use. Raises `TooManyRequests` with the seconds to wait when there were too many."""
    limiter, item = _limiter(settings.NEXUS_REDIS_URL), LIMITS[limit]
    try:
        if limiter.hit(item, limit, str(who), cost=cost):
            return
        reset = limiter.get_window_stats(item, limit, str(who)).reset_time
    except Exception as fault:
        log.warning("rate limit %s could not be counted (%s)", limit, type(fault).__name__)
        return
    rate_limited.labels(limit).inc()
    wait = max(1, min(round(reset - time.time()), item.get_expiry()))
    raise TooManyRequests(f"That was too often: {item}. Try again in {wait} s.", retry_after=wait)


def limits_reset() -> None:
    """Forgets all counts in memory (tests)."""
    _limiter.cache_clear()
