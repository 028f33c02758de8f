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

from django.db import DEFAULT_DB_ALIAS, InterfaceError, OperationalError, close_old_connections, connections

from .instruments import database_errors

P = ParamSpec("P")
T = TypeVar("T")

THREADS = 8
CLOSING_SECONDS = 10.0


def tidy_connection() -> None:
    """Before and after work in a thread of ours: a PostgreSQL connection goes back to Django's pool
    (a dead one is dropped there); a SQLite one is kept, since opening it costs more than the work,
    unless it was left without autocommit: nothing that came after would ever be committed."""
    db = connections[DEFAULT_DB_ALIAS]
    if db.vendor != "sqlite":
        close_old_connections()
    elif db.connection is not None and not (db.autocommit or db.in_atomic_block):
        db.close()


def _guarded(fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    tidy_connection()
    try:
        return fn(*args, **kwargs)
    except (OperationalError, InterfaceError) as fault:
        database_errors.labels(type(fault).__name__).inc()
        raise
    finally:
        tidy_connection()


Work = Callable[[], None]
Inbox = queue.SimpleQueue[Work | None]


class _Threads:
    """A pool that hands results straight to the event loop, at half the price of `run_in_executor`.

    Work goes to the thread that was idle last: its connection's cache is the warmest.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._threads: list[tuple[threading.Thread, Inbox]] = []
        self._idle: list[Inbox] = []
        self._backlog: deque[Work] = deque()

    def submit(self, work: Work) -> None:
        """`work` must not raise."""
        with self._lock:
            if self._idle:
                inbox = self._idle.pop()
            elif len(self._threads) < self._most:
                inbox = self._start()
            else:
                self._backlog.append(work)
                return
        inbox.put(work)

    def close(self) -> None:
        """Does what waits, closes the connections, ends the threads."""
        for _, inbox in self._threads:
            inbox.put(None)
        for thread, _ in self._threads:
            thread.join(CLOSING_SECONDS)

    def _start(self) -> Inbox:
        inbox: Inbox = queue.SimpleQueue()
        name = f"database_{len(self._threads)}"
        thread = threading.Thread(target=self._run, args=(inbox,), name=name, daemon=True)
        self._threads.append((thread, inbox))
        thread.start()
        return inbox

    def _run(self, inbox: Inbox) -> None:
        while (first := inbox.get()) is not None:
            work: Work | None = first
            del first
            while work is not None:
                work()
                with self._lock:
                    # Assigned anew at once: a piece of work holds what it returned.
                    work = self._backlog.popleft() if self._backlog else None
                    if work is None:
                        self._idle.append(inbox)
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
            tell: tuple[Any, ...] = (_succeed, future, context.run(lambda: _guarded(fn, *args, **kwargs)))
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
