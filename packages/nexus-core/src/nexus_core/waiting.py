"""Waiting that a cancel ends at once."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from .errors import RunCancelled

T = TypeVar("T")

CLOSING_SECONDS = 1.0
"""How long cancelled work may take to end before it is left to itself."""


async def unless_cancelled(work: Coroutine[Any, Any, T], cancelled: asyncio.Event) -> T:
    """The result of `work`, or `RunCancelled` (and `work` cancelled and ended) once `cancelled` is set."""
    task = asyncio.ensure_future(work)
    watcher = asyncio.ensure_future(cancelled.wait())
    try:
        await asyncio.wait({task, watcher}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise RunCancelled("Stopped.")
    finally:
        watcher.cancel()
        if not task.done():
            task.cancel()
            await asyncio.wait({task}, timeout=CLOSING_SECONDS)
