"""Rate limits: sliding windows per person, API token and workspace, in memory or, with Redis, for all processes together.

What is written down is a person's. A token has three quarters of it, so that a program
gone wild leaves its owner something; a workspace has that of ten people.

In memory, and so also while Redis is away, the count is per process.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from functools import lru_cache
from typing import Literal
from uuid import UUID

from django.conf import settings
from limits import RateLimitItem, RateLimitItemPerMinute, parse
from limits.storage import storage_from_string
from limits.strategies import SlidingWindowCounterRateLimiter

from .access import Actor, TooManyRequests
from .instruments import rate_limited
from .redis_away import SOCKET_OPTIONS, ask_again, redis_or_memory

Limit = Literal[
    "requests",
    "runs",
    "sockets",
    "frames",
    "tickets",
    "exports",
    "doors",
    "invitations",
    "workspaces",
    "links",
]
Whose = Literal["token", "person", "workspace", "address"]

LIMITS: dict[Limit, RateLimitItem] = {
    "requests": parse("1600/minute"),
    "runs": parse("400/minute"),
    "sockets": parse("3000/minute"),
    "frames": parse("6000/minute"),
    "tickets": parse("160/minute"),
    "exports": parse("40/minute"),
    "doors": parse("60/minute"),
    "invitations": parse("80/hour"),
    "links": parse("240/minute"),
    "workspaces": parse("20/hour"),
}
"""What a person may do; `doors` counts wrong credentials per address, `links` what is
opened without an account, per address. A hundred runs at once pass. `NEXUS_LIMITS_FACTOR` multiplies them all."""
TOKEN_PARTS, WORKSPACE_PEOPLE = (3, 4), 10
FOR: dict[Whose, str] = {
    "token": " for a token",
    "person": "",
    "workspace": " for a workspace",
    "address": "",
}


_in_memory = threading.Lock()
"""Counting in memory starts a thread that forgets; begun by two at once, it fails and a use is not counted."""


@lru_cache(maxsize=4)
def _limiter(url: str) -> SlidingWindowCounterRateLimiter:
    return SlidingWindowCounterRateLimiter(
        storage_from_string(url or "memory://", **(SOCKET_OPTIONS if url else {}))
    )


def limit_hit(limit: Limit, who: Actor | UUID | str, *, cost: int = 1, per_minute: int | None = None) -> None:
    """Counts one use, or `cost` of them. Raises `TooManyRequests` with the seconds to wait when there were too many.

    Args:
        who: an actor, counted for their token, for them and for their workspace; a person's id; or an address.
        per_minute: takes the place of the limit's own number, where a plan has one.
    """
    item = _item(limit) if per_minute is None else RateLimitItemPerMinute(per_minute)
    for whose, key, most in _counters(who, item):
        reset = _hit(most, cost, (limit, whose, key))
        if reset is not None:
            rate_limited.labels(limit, whose).inc()
            wait = max(1, min(round(reset - time.time()), most.get_expiry()))
            raise TooManyRequests(
                f"That was too often: {most}{FOR[whose]}. Try again in {wait} s.", retry_after=wait
            )


def _hit(most: RateLimitItem, cost: int, names: tuple[str, ...]) -> float | None:
    """None: it was counted. Else the time (Unix, s) when there is room again."""

    def count(url: str) -> float | None:
        limiter = _limiter(url)
        if limiter.hit(most, *names, cost=cost):
            return None
        return limiter.get_window_stats(most, *names).reset_time

    def count_in_memory() -> float | None:
        with _in_memory:
            return count("")

    url: str = settings.NEXUS_REDIS_URL
    return redis_or_memory(lambda: count(url), count_in_memory) if url else count_in_memory()


def _item(limit: Limit) -> RateLimitItem:
    item = LIMITS[limit]
    return _times(item, settings.NEXUS_LIMITS_FACTOR) if settings.NEXUS_LIMITS_FACTOR != 1 else item


def _counters(who: Actor | UUID | str, item: RateLimitItem) -> Iterator[tuple[Whose, str, RateLimitItem]]:
    """The narrowest first: what a token is refused is not taken from its owner, nor theirs from the others."""
    if isinstance(who, Actor):
        if who.token_id is not None:
            yield "token", str(who.token_id), _times(item, *TOKEN_PARTS)
        yield "person", str(who.user_id), item
        yield "workspace", str(who.workspace_id), _times(item, WORKSPACE_PEOPLE)
    else:
        yield "person" if isinstance(who, UUID) else "address", str(who), item


@lru_cache(maxsize=256)
def _times(item: RateLimitItem, factor: int, parts: int = 1) -> RateLimitItem:
    return type(item)(max(1, item.amount * factor // parts), item.multiples, item.namespace)


def limits_reset() -> None:
    """Forgets all counts in memory (tests)."""
    _limiter.cache_clear()
    ask_again()
