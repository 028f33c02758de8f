"""The log writer: one thread per process that commits for all runs of the process at once.

Per transaction: one UPDATE of the runs that fences by epoch, renews the heartbeat
and moves `last_seq`; then one INSERT for the runs that came back. The UPDATE's row
lock is the fence: an insert that merely tests the epoch would be none under read
committed. Only after the commit is anything published.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import orjson
from django.db import Error, connection, transaction

from nexus_core.errors import RunFenced
from realtime.frames import Frame, make_frame
from realtime.publish import publish
from realtime.rooms import conversation_room
from workspaces.context import bound
from workspaces.failpoints import failpoint
from workspaces.instruments import database_errors

from ..database import tidy_connection
from ..instruments import chunk_latency, flush_rows, flush_seconds

log = logging.getLogger(__name__)

ROWS_PER_INSERT = 2000
STALLED_SECONDS = 10.0
RETRY_SECONDS = (0.05, 0.2, 0.5, 1, 2, 4, 4, 4, 4, 4, 4, 4)


@dataclass(frozen=True, slots=True)
class Row:
    """One chunk to be stored: `wire` is its JSON text."""

    seq: int
    type: str
    wire: str


@dataclass(slots=True)
class Batch:
    """What one run wants stored now; without rows it is a heartbeat."""

    run_id: UUID
    conversation_id: UUID
    epoch: int
    last_seq: int
    rows: list[Row]
    done: Callable[[BaseException | None], None]
    """Called on the event loop: None, or what went wrong."""
    frames: list[Frame] = field(default_factory=list)
    oldest: int = 0
    """When the first of the rows came from the provider, in milliseconds since the epoch."""


def frame_of(run_id: str, conversation_id: str, row: Row) -> Frame:
    """The socket's `chunk` frame, put together from the stored text without parsing it."""
    text = f'{{"type":"chunk","runId":"{run_id}","conversationId":"{conversation_id}","seq":{row.seq},"chunk":{row.wire}}}'
    return Frame(text=text, type="chunk", run_id=run_id, seq=row.seq)


def frames_of(batch: Batch) -> list[Frame]:
    """What the watchers of a conversation are told of these rows: the chunks, and tool calls by name."""
    run_id, conversation_id = str(batch.run_id), str(batch.conversation_id)
    frames = [frame_of(run_id, conversation_id, row) for row in batch.rows]
    for row in batch.rows:
        if row.type == "tool_call":
            call = orjson.loads(row.wire)["data"]
            frames.append(
                make_frame("tool_call.updated", runId=run_id, conversationId=conversation_id, **call)
            )
    return frames


class LogWriter:
    """Thread and queue. `submit` from the event loop; results come back on it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._queue: queue.SimpleQueue[list[Batch] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="log-writer", daemon=True)
        self._thread.start()
        self.commits = 0
        self.rows = 0
        self._busy_since: float | None = None

    def condition(self) -> str:
        """`ok`, or what is wrong; from any thread."""
        if not self._thread.is_alive():
            return "ended"
        since = self._busy_since
        return "stalled" if since is not None and time.monotonic() - since > STALLED_SECONDS else "ok"

    def submit(self, batches: list[Batch]) -> None:
        self._queue.put(batches)

    async def close(self) -> None:
        """Stores what is queued, then ends the thread."""
        self._queue.put(None)
        await asyncio.get_running_loop().run_in_executor(None, self._thread.join, 10)

    # --- in the thread ---

    def _work(self) -> None:
        stop = False
        while not stop:
            first = self._queue.get()
            if first is None:
                break
            batches = list(first)
            while True:
                try:
                    more = self._queue.get_nowait()
                except queue.Empty:
                    break
                if more is None:
                    stop = True
                    break
                batches.extend(more)
            self._busy_since = time.monotonic()
            try:
                self._store(batches)
            except (
                BaseException
            ) as fault:  # the thread must outlive any fault: a dead writer stalls every run
                log.exception("log writer: batch failed")
                self._finish([(batch, fault) for batch in batches])
            self._busy_since = None
        connection.close()

    def _store(self, batches: list[Batch]) -> None:
        merged = _merge(batches)
        began = time.perf_counter()
        outcome: list[tuple[Batch, BaseException | None]]
        try:
            outcome = self._commit_with_patience(merged)
        except Error:
            # One poisoned piece must hurt nobody else: run by run.
            outcome = []
            for batch in merged:
                try:
                    outcome += _commit([batch])
                except Error as poison:
                    # Its words would quote the rows.
                    with bound(run_id=batch.run_id, conversation_id=batch.conversation_id):
                        log.error("log writer: a run cannot be stored: %s", type(poison).__name__)
                    outcome.append((batch, poison))
        self.commits += 1
        flush_seconds.observe(time.perf_counter() - began)
        stored, now = 0, time.time()
        for batch, fault in outcome:
            if fault is None and batch.rows:
                stored += len(batch.rows)
                publish(conversation_room(batch.conversation_id), *batch.frames)
                chunk_latency.observe(now - batch.oldest / 1000)
        if stored:
            self.rows += stored
            flush_rows.observe(stored)
        self._finish(outcome)

    def _commit_with_patience(self, merged: Sequence[Batch]) -> list[tuple[Batch, BaseException | None]]:
        """Commits; while the database is away it waits and tries again, within reason."""
        from django.db import InterfaceError, InternalError, OperationalError

        for pause in RETRY_SECONDS:
            try:
                return _commit(merged)
            except (OperationalError, InterfaceError, InternalError) as fault:
                database_errors.labels(type(fault).__name__).inc()
                log.warning(
                    "log writer: database is away (%s), next try in %s s", type(fault).__name__, pause
                )
                connection.close()
                time.sleep(pause)
        return _commit(merged)

    def _finish(self, outcome: list[tuple[Batch, BaseException | None]]) -> None:
        def tell() -> None:
            for batch, fault in outcome:
                batch.done(fault)

        with contextlib.suppress(RuntimeError):  # the loop is gone: nobody waits any more
            self._loop.call_soon_threadsafe(tell)


def _merge(batches: list[Batch]) -> list[Batch]:
    """Batches of the same run and owner become one, in order."""
    by_owner: dict[tuple[UUID, int], Batch] = {}
    for batch in batches:
        key = (batch.run_id, batch.epoch)
        have = by_owner.get(key)
        if have is None:
            by_owner[key] = batch
            continue

        def both(
            fault: BaseException | None,
            one: Callable[[BaseException | None], None] = have.done,
            two: Callable[[BaseException | None], None] = batch.done,
        ) -> None:
            one(fault)
            two(fault)

        have.rows = have.rows + batch.rows
        have.last_seq = max(have.last_seq, batch.last_seq)
        have.done = both
    return list(by_owner.values())


def _commit(batches: Sequence[Batch]) -> list[tuple[Batch, BaseException | None]]:
    tidy_connection()
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            alive = _fence(cursor, batches)
            rows: list[Any] = []
            for batch in batches:
                if batch.run_id in alive:
                    for row in batch.rows:
                        rows += (_id(batch.run_id), row.seq, row.type, row.wire)
            for start in range(0, len(rows), ROWS_PER_INSERT * 4):
                part = rows[start : start + ROWS_PER_INSERT * 4]
                marks = ",".join(["(%s,%s,%s,%s)"] * (len(part) // 4))
                cursor.execute(
                    f"INSERT INTO conversations_runchunk (run_id, seq, type, wire) VALUES {marks}",  # noqa: S608
                    part,
                )
            failpoint("before_commit")
        failpoint("after_commit")
    finally:
        tidy_connection()
    out: list[tuple[Batch, BaseException | None]] = []
    for batch in batches:
        if batch.run_id not in alive:
            out.append((batch, RunFenced(f"run {batch.run_id} has another owner than epoch {batch.epoch}")))
            continue
        batch.frames = frames_of(batch)
        out.append((batch, None))
    return out


def _id(value: UUID) -> Any:
    return value.hex if connection.vendor == "sqlite" else value


def _fence(cursor: Any, batches: Sequence[Batch]) -> set[UUID]:
    """Locks and moves the runs that still belong to their batch's epoch; returns their ids."""
    if connection.vendor == "sqlite":
        mark, clock = "(%s,%s,%s)", "strftime('%%Y-%%m-%%d %%H:%%M:%%f', 'now')"
    else:
        mark, clock = "(%s::uuid,%s::int,%s::int)", "statement_timestamp()"
    values: list[Any] = []
    # In id order: two processes that share a run row can then never wait for each other in a circle.
    for batch in sorted(batches, key=lambda b: b.run_id.bytes):
        values += (_id(batch.run_id), batch.epoch, batch.last_seq)
    marks = ",".join([mark] * len(batches))
    cursor.execute(
        f"""
        UPDATE conversations_run SET last_seq = max_of.column3, heartbeat_at = {clock}
        FROM (VALUES {marks}) AS max_of
        WHERE conversations_run.id = max_of.column1 AND conversations_run.epoch = max_of.column2
          AND conversations_run.status = 'running'
        RETURNING conversations_run.id
        """,  # noqa: S608  (marks and clock are ours; values go as parameters)
        values,
    )
    return {UUID(hex=row[0]) if isinstance(row[0], str) else row[0] for row in cursor.fetchall()}
