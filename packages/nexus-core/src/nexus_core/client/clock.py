"""Time and chance, as the client takes them; tests bring their own."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Coroutine
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


class Clock(Protocol):
    """`monotonic` may stand still while the machine sleeps, `wall` does not: their difference shows a sleep."""

    def monotonic(self) -> float:
        """Seconds, only for differences."""
        ...

    def wall(self) -> float:
        """Seconds since the epoch."""
        ...

    def random(self) -> float:
        """0 <= x < 1."""
        ...

    async def sleep(self, seconds: float) -> None: ...


class SystemClock:
    def monotonic(self) -> float:
        return time.monotonic()

    def wall(self) -> float:
        return time.time()

    def random(self) -> float:
        return random.random()  # noqa: S311  (jitter, no secret)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


async def within(clock: Clock, seconds: float, work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`, or `TimeoutError` after so many seconds of this clock; then `work` is cancelled."""
    task = asyncio.ensure_future(work)
    limit = asyncio.ensure_future(clock.sleep(seconds))
    try:
        await asyncio.wait({task, limit}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise TimeoutError
    finally:
        for one in (task, limit):
            if not one.done():
                one.cancel()
        await asyncio.gather(task, limit, return_exceptions=True)


def full_jitter(clock: Clock, failures: int, *, base: float = 0.5, most: float = 15.0) -> float:
    """Seconds to wait before try number `failures` + 1: anywhere in a window that doubles.

    The whole window, so that a restart does not bring a thousand clients back in one moment.
    """
    return clock.random() * min(most, base * 2.0 ** min(failures, 16))
