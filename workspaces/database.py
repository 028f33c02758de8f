"""The one way from async code into the database: a small pool of threads of our own.

Django's `sync_to_async` sends everything outside a request through one thread; runs
and sockets would queue behind one another. Here a few threads keep their
connections open. Multi-step work is one function, crossed into once.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import contextvars
import queue
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from django.db import InterfaceError, OperationalError, close_old_connections, connection, connections

from .instruments import database_errors

P = ParamSpec("P")
T = TypeVar("T")

THREADS = 8
CLOSING_SECONDS = 10.0


def tidy_connection() -> None:
    """Before and after work in a thread of ours: a PostgreSQL connection goes back to Django's pool
    (a dead one is dropped there); a SQLite one is kept, since opening it costs more than the work."""
    if connection.vendor != "sqlite":
        close_old_connections()


def _guarded(fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    tidy_connection()
    try:
        return fn(*args, **kwargs)
    except (OperationalError, InterfaceError) as fault:
        database_errors.labels(type(fault).__name__).inc()
        raise
    finally:
        tidy_connection()


class _Threads:
    """A pool that hands results straight to the event loop: half the price of `run_in_executor` per crossing."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._idle: deque[None] = deque()
        self._starting = threading.Lock()

    def submit(self, work: Callable[[], None]) -> None:
        """`work` must not raise."""
        self._work.put(work)
        try:
            self._idle.pop()
        except IndexError:
            self._start()

    def close(self) -> None:
        """Ends what is queued, closes the connections, ends the threads."""
        for _ in self._threads:
            self._work.put(None)
        for thread in self._threads:
            thread.join(CLOSING_SECONDS)

    def _start(self) -> None:
        with self._starting:
            if len(self._threads) < self._most:
                name = f"database_{len(self._threads)}"
                thread = threading.Thread(target=self._run, name=name, daemon=True)
                self._threads.append(thread)
                thread.start()

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            work()
            del work  # it holds what it returned
            self._idle.append(None)
        connections.close_all()


_threads = _Threads(THREADS)


async def in_database(fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Awaits the sync function in a database thread. Raises what it raises."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()
    context = contextvars.copy_context()

    def work() -> None:
        if future.cancelled():
            return
        try:
            tell: tuple[Any, ...] = (_succeed, future, context.run(_guarded, fn, *args, **kwargs))
        except BaseException as fault:  # it is raised where it is awaited
            tell = (_fail, future, fault)
        with contextlib.suppress(RuntimeError):  # the loop is gone: nobody waits any more
            loop.call_soon_threadsafe(*tell)

    _threads.submit(work)
    return await future


def _succeed(future: asyncio.Future[T], result: T) -> None:
    if not future.done():
        future.set_result(result)


def _fail(future: asyncio.Future[Any], fault: BaseException) -> None:
    if not future.done():
        future.set_exception(fault)


def close_threads() -> None:
    """Ends the pool and its connections (tests, shutdown); the next call makes a new one."""
    global _threads
    old, _threads = _threads, _Threads(THREADS)
    old.close()


atexit.register(close_threads)
