"""Time, as far as tests depend on it: the edges of the clock, for those whose numbers hold within one minute or one day,
and moments in which the machine stands still, for those of a time that is promised."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from workspaces.limits import limits_reset
from workspaces.redis_away import SOCKET_OPTIONS

TICK, LATE = 0.1, 0.5


def _let_it_end(every: int, unless: float) -> None:
    """Waits for the end of such a stretch of the clock (seconds; they begin at whole multiples, in UTC), unless it
    has so many seconds left."""
    left = every - time.time() % every
    if left < unless:
        time.sleep(left + 0.05)


@pytest.fixture
def within_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rate limits count by the minutes of the clock: none ends soon; and a Redis that is slow to answer is not away."""
    _let_it_end(60, unless=12)
    for name in SOCKET_OPTIONS:
        monkeypatch.setitem(SOCKET_OPTIONS, name, 40.0)
    limits_reset()


@pytest.fixture
def within_a_day() -> None:
    """Neither a day nor an hour ends soon, in any time zone: all of them begin with a quarter of an hour in UTC."""
    _let_it_end(900, unless=30)


class Pauses:
    """How long this machine stood still, or let others run: `seconds`, to be taken from a time that is promised."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="pauses", daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        before = time.monotonic()
        while not self._over.wait(TICK):
            now = time.monotonic()
            if now - before > LATE:
                self.seconds += now - before - TICK
            before = now

    def end(self) -> None:
        self._over.set()
        self._thread.join()


@pytest.fixture
def pauses() -> Iterator[Pauses]:
    made = Pauses()
    yield made
    made.end()
