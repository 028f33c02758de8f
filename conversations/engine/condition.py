"""How the engine of this process is doing: what `/readyz` asks, and how late its event loop comes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from .. import instruments
from . import port

Check = Callable[[], str]
"""`ok`, or what is wrong in a few words. Callable from any thread, without waiting."""

_checks: dict[str, Check] = {}
_stopping = False


def started(**checks: Check) -> None:
    """The engine's host is up; each check is asked from now on."""
    global _stopping
    _stopping = False
    _checks.clear()
    _checks.update(checks)


def stopping() -> None:
    """From here on the process takes nothing new."""
    global _stopping
    _stopping = True


def stopped() -> None:
    global _stopping
    _stopping = False
    _checks.clear()


def conditions() -> dict[str, str]:
    """`{"engine": "ok", "writer": "ok"}`, or what is wrong."""
    if _stopping:
        return {"engine": "stopping"}
    if port.current() is None:
        return {"engine": "not started"}
    return {"engine": "ok", **{name: check() for name, check in _checks.items()}}


async def watch_loop() -> None:
    """Measures once a second how much later than asked the event loop came back."""
    while True:
        asked = time.monotonic()
        await asyncio.sleep(1)
        instruments.loop_lag.set(max(0.0, time.monotonic() - asked - 1))
