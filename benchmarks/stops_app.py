"""Nexus with stop watches in it, for the stop-by-stop account only; never for the figures.

The ASGI application is the real one. Around the functions that a message passes stand
wrappers that note the moment; `GET /bench-stops` gives the notes and begins anew.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Awaitable, Callable
from typing import Any

import orjson

from nexus_site.asgi import application as real

from billing.meter import DbMeter  # isort: skip  (after the application has set Django up)
from conversations import frames  # isort: skip
from conversations.engine import port, runner, writer  # isort: skip
from django.db import connection  # isort: skip

from .marks import now_us

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

notes: list[tuple[str, int]] = []
storing = {"cpu_s": 0.0, "flushes": 0, "statements": 0, "rows": 0}


def note(name: str) -> None:
    notes.append((name, now_us()))


def around(owner: Any, name: str, *, before: str = "", after: str = "") -> None:
    """Replaces `owner.name` by itself with notes around it; the function may be async."""
    inner = getattr(owner, name)

    @functools.wraps(inner)
    def called(*args: Any, **kwargs: Any) -> Any:
        if before:
            note(before)
        out = inner(*args, **kwargs)
        if after:
            note(after)
        return out

    @functools.wraps(inner)
    async def awaited(*args: Any, **kwargs: Any) -> Any:
        if before:
            note(before)
        out = await inner(*args, **kwargs)
        if after:
            note(after)
        return out

    is_async = inner.__code__.co_flags & 0x80
    setattr(owner, name, awaited if is_async else called)


def _count(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
    storing["statements"] += 1
    return execute(sql, params, many, context)


def _watch_writer() -> None:
    store, commit = writer.LogWriter._store, writer._commit

    def timed_store(self: writer.LogWriter, batches: list[writer.Batch]) -> None:
        begun = time.thread_time()
        with connection.execute_wrapper(_count):
            store(self, batches)
        storing["cpu_s"] += time.thread_time() - begun
        storing["flushes"] += 1

    def noted_commit(batches: Any) -> Any:
        text = any(row.type == "content" for batch in batches for row in batch.rows)
        if text:
            note("writer has it")
        out = commit(batches)
        storing["rows"] += sum(len(batch.rows) for batch in batches)
        if text:
            note("committed")
        return out

    writer.LogWriter._store = timed_store  # type: ignore[method-assign]
    writer._commit = noted_commit


around(frames, "run_start", before="service begins")
around(port, "begin", before="enqueued")
around(runner, "claim_given", before="claim begins")
around(runner.Runner, "prepare", after="prepared")
around(DbMeter, "reserve", before="reserve begins", after="reserved")
around(writer, "publish", after="published")
_watch_writer()


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "http" and scope["path"] == "/bench-stops":
        body = orjson.dumps({"notes": notes, "storing": storing})
        notes.clear()
        storing.update(cpu_s=0.0, flushes=0, statements=0, rows=0)
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})
        return

    async def noted_receive() -> dict[str, Any]:
        message = await receive()
        if message["type"] == "websocket.receive" and "run.start" in (message.get("text") or ""):
            note("frame")
        return message

    await real(scope, noted_receive if scope["type"] == "websocket" else receive, send)
