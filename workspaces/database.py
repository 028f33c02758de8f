"""The one way from async code into the database: a small pool of threads of our own.

Django's `sync_to_async` sends everything outside a request through one thread; runs
and sockets would queue behind one another. Here a few threads keep their
connections open. Multi-step work is one function, crossed into once.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from django.db import InterfaceError, OperationalError, close_old_connections, connection, connections

from .instruments import database_errors

P = ParamSpec("P")
T = TypeVar("T")

THREADS = 8
_pool = ThreadPoolExecutor(THREADS, thread_name_prefix="database")


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


async def in_database(fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Awaits the sync function in a database thread. Raises what it raises."""
    context = contextvars.copy_context()

    def call() -> T:
        return context.run(lambda: _guarded(fn, *args, **kwargs))

    return await asyncio.get_running_loop().run_in_executor(_pool, call)


def close_threads() -> None:
    """Ends the pool and its connections (tests, shutdown); the next call makes a new one."""
    global _pool
    old, _pool = _pool, ThreadPoolExecutor(THREADS, thread_name_prefix="database")
    for _ in range(THREADS):
        old.submit(connections.close_all)
    old.shutdown(wait=True)
