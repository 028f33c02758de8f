"""The engine at scale: pydocket over Redis Streams, any number of worker processes.

Only ids travel. The key `run:{id}:{epoch+1}` makes an enqueue idempotent; the
database's epoch is the fence, whatever is delivered twice. A worker hears of a stop
over the hub, and looks into the database every half second in case it did not.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import Q
from docket import Docket, Worker

from realtime.frames import Frame, make_frame
from realtime.hub import hub
from realtime.publish import publish

from ..database import in_database
from ..models import Run
from ..services.handover import Handover
from . import pace

log = logging.getLogger(__name__)

DOCKET_NAME = "nexus"
CONTROL_ROOM = "engine.control"


async def execute_run_task(run_id: str) -> None:
    """What a worker does with a delivery; the runner of this process is set by `WorkerEngine`."""
    if _worker_engine is None:
        raise RuntimeError("no worker engine in this process")
    await _worker_engine.execute(UUID(run_id))


tasks: list[Any] = [execute_run_task]
_worker_engine: WorkerEngine | None = None


def _url() -> str:
    url = str(settings.NEXUS_REDIS_URL)
    return url + ("&" if "?" in url else "?") + "max_connections=2000"


def new_docket() -> Docket:
    return Docket(
        name=DOCKET_NAME, url=_url(), heartbeat_interval=timedelta(seconds=2), execution_ttl=timedelta(0)
    )


class DocketEngine:
    """The side that adds: web processes and the sweeper."""

    owner = ""

    def __init__(self, docket: Docket) -> None:
        self._docket = docket
        self._loop = asyncio.get_running_loop()
        self._pending: set[asyncio.Task[None]] = set()

    def enqueue(self, run_id: UUID) -> None:
        self._soon(self._add(run_id))

    def prepare(self, given: Handover) -> None:
        """Nothing: no run is this process's own."""

    def begin(self, given: Handover) -> None:
        self.enqueue(given.run.pk)

    def cancel(self, run_id: UUID) -> None:
        publish(CONTROL_ROOM, make_frame("engine.cancel", runId=str(run_id)))
        # A queued run has no owner yet who could hear it: whoever takes it ends it.
        self.enqueue(run_id)

    def steer(self, run_id: UUID) -> None:
        publish(CONTROL_ROOM, make_frame("engine.steer", runId=str(run_id)))

    async def close(self) -> None:
        if self._pending:
            await asyncio.wait(self._pending, timeout=5)

    def _soon(self, work: Any) -> None:
        def start() -> None:
            task = self._loop.create_task(work)
            self._pending.add(task)
            task.add_done_callback(self._pending.discard)

        try:
            self._loop.call_soon_threadsafe(start)
        except RuntimeError:
            work.close()

    async def _add(self, run_id: UUID) -> None:
        try:
            epoch = await in_database(_epoch, run_id)
            if epoch is not None:
                key = f"run:{run_id}:{epoch + 1}"
                await self._docket.add(execute_run_task, key=key)(str(run_id))
        except Exception as fault:  # Redis away: the sweeper adds it again when it is back
            log.warning(
                "enqueue of run %s failed (%s); the sweeper will add it", run_id, type(fault).__name__
            )


def _epoch(run_id: UUID) -> int | None:
    return Run.objects.filter(pk=run_id, status__in=Run.UNFINISHED).values_list("epoch", flat=True).first()


class WorkerEngine:
    """The side that executes: one per worker process."""

    def __init__(self, runner: Any, docket: Docket) -> None:
        global _worker_engine
        self._runner = runner
        self._docket = docket
        _worker_engine = self
        self._jobs: list[asyncio.Task[Any]] = []

    async def execute(self, run_id: UUID) -> None:
        await self._runner.execute(run_id)

    async def run(self, stop: asyncio.Event) -> None:
        """Works until `stop` is set, then hands over."""
        hub().join(CONTROL_ROOM, self)
        self._jobs.append(asyncio.create_task(self._watch_cancels(), name="cancel-watch"))
        self._docket.register(execute_run_task)
        async with Worker(
            self._docket,
            concurrency=settings.NEXUS_WORKER_CONCURRENCY,
            redelivery_timeout=timedelta(seconds=pace.redelivery()),
            reconnection_delay=timedelta(seconds=pace.reconnect()),
        ) as worker:
            working = asyncio.create_task(worker.run_forever(), name="docket-worker")
            waiting = asyncio.create_task(stop.wait())
            await asyncio.wait({working, waiting}, return_when=asyncio.FIRST_COMPLETED)
            await self._runner.hand_over()
            working.cancel()
            await asyncio.wait({working}, timeout=8)
        for job in self._jobs:
            job.cancel()
        hub().leave(CONTROL_ROOM, self)

    def receive(self, room: str, frames: Sequence[Frame]) -> None:
        import orjson

        for frame in frames:
            if frame.type == "engine.cancel":
                self._runner.stop(UUID(orjson.loads(frame.text)["runId"]))
            elif frame.type == "engine.steer":
                self._runner.ring(UUID(orjson.loads(frame.text)["runId"]))

    async def _watch_cancels(self) -> None:
        while True:
            await asyncio.sleep(0.5)
            live = self._runner.live_ids()
            if not live:
                continue
            try:
                for run_id, cancelled in await in_database(_wanted_among, live):
                    (self._runner.stop if cancelled is not None else self._runner.ring)(run_id)
            except Exception as fault:
                log.warning("cancel watch: %s", type(fault).__name__)


def _wanted_among(run_ids: Sequence[UUID]) -> list[tuple[UUID, Any]]:
    """Those that people want something of, and when they asked it to stop, if they did: else they steer it."""
    wanted = Q(cancel_requested_at__isnull=False) | Q(steerings__gt=0)
    return list(Run.objects.filter(wanted, pk__in=run_ids).values_list("pk", "cancel_requested_at"))
