"""When this server process was told to end: before its server waits for open answers, which would keep it for hours.

Streams and waiting answers look here and end; clients come back to another process, or to the next one.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable
from functools import partial
from types import FrameType

from .sockets import close_sockets

_ending: asyncio.Event | None = None
_loop: asyncio.AbstractEventLoop | None = None
_closing: set[asyncio.Task[None]] = set()


def ending() -> asyncio.Event:
    """Set once the process of this loop ends."""
    global _ending, _loop
    if _ending is None or _loop is not asyncio.get_running_loop():
        _ending, _loop = asyncio.Event(), asyncio.get_running_loop()
    return _ending


def end_now(then: Callable[[], object] = lambda: None) -> None:
    """Streams end, and every socket is told to come back (4012); `then` is called when they were told.

    At a second call `then` comes at once.
    """
    if ending().is_set():
        then()
        return
    ending().set()
    task = asyncio.create_task(close_sockets(), name="close-sockets")
    _closing.add(task)
    task.add_done_callback(_closing.discard)
    task.add_done_callback(lambda _: then())


def hear_signals() -> None:
    """Puts `end_now` before what the server does at SIGTERM and SIGINT. Only where the server has set handlers itself.

    The server hears of the signal when the sockets were told: a busy loop would else close them with its own word first.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        before = signal.getsignal(number)
        if not callable(before) or before is signal.default_int_handler:
            continue

        def heard(
            number: int, frame: FrameType | None, then: Callable[[int, FrameType | None], object] = before
        ) -> None:
            loop.call_soon_threadsafe(end_now, partial(then, number, frame))

        signal.signal(number, heard)
