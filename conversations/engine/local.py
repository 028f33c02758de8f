"""The local engine: runs are asyncio tasks of the one web process, started at once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any
from uuid import UUID

from ..services.handover import Handover

log = logging.getLogger(__name__)

DRAIN_SECONDS = 8.0


class LocalEngine:
    """`execute`, `stop`, `prepare` and `ring` are `runner.Runner`'s."""

    def __init__(
        self,
        execute: Callable[[UUID], Coroutine[Any, Any, None]],
        stop: Callable[[UUID], bool],
        prepare: Callable[[Handover], None] = lambda given: None,
        owner: str = "",
        ring: Callable[[UUID], None] = lambda run_id: None,
    ) -> None:
        self.owner = owner
        self._prepare, self._ring = prepare, ring
        self._loop = asyncio.get_running_loop()
        self._execute, self._stop = execute, stop
        self._tasks: dict[UUID, asyncio.Task[None]] = {}
        self._again: set[UUID] = set()
        self._closing = False

    def enqueue(self, run_id: UUID) -> None:
        self._on_loop(self._start, run_id)

    def prepare(self, given: Handover) -> None:
        self._prepare(given)

    def begin(self, given: Handover) -> None:
        self.enqueue(given.run.pk)

    def cancel(self, run_id: UUID) -> None:
        self._on_loop(self._cancel, run_id)

    def steer(self, run_id: UUID) -> None:
        self._on_loop(self._ring, run_id)

    async def close(self) -> None:
        """Cancels the tasks (their runs stay `running`, without a lease) and waits for them."""
        self._closing = True
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=DRAIN_SECONDS)

    def _on_loop(self, fn: Callable[[UUID], None], run_id: UUID) -> None:
        try:
            if asyncio.get_running_loop() is self._loop:
                fn(run_id)
                return
        except RuntimeError:
            pass
        try:
            self._loop.call_soon_threadsafe(fn, run_id)
        except RuntimeError:
            log.warning("engine is closed; run %s waits for the next start", run_id)

    def _start(self, run_id: UUID) -> None:
        if self._closing:
            return
        if run_id in self._tasks:
            self._again.add(run_id)  # its task may be past the point where it would see the change
            return
        task = self._loop.create_task(self._execute(run_id), name=f"run:{run_id}")
        self._tasks[run_id] = task
        task.add_done_callback(lambda done: self._ended(run_id, done))

    def _cancel(self, run_id: UUID) -> None:
        if not self._stop(run_id):
            self._start(run_id)  # queued: the runner ends it before it begins

    def _ended(self, run_id: UUID, task: asyncio.Task[None]) -> None:
        self._tasks.pop(run_id, None)
        if not task.cancelled() and (fault := task.exception()) is not None:
            log.error("run %s: the runner itself failed", run_id, exc_info=fault)
        if run_id in self._again:
            self._again.discard(run_id)
            self._start(run_id)
