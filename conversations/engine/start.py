"""Starts and stops the engine of a process. Called by `asgi.py` and `manage.py worker`, never by `ready()`."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import sys
from uuid import uuid4

from django.conf import settings

from realtime.process import start_realtime, stop_realtime
from realtime.sockets import close_sockets

from .. import tracing
from ..database import in_database
from . import condition, port
from .cleaner import clean_forever
from .garbage import settle
from .local import LocalEngine
from .lock import ServerLock
from .packer import pack_forever
from .recorder import Ticker
from .runner import Runner
from .sweeper import release_all_leases, sweep_forever
from .treasurer import keep_books_forever
from .writer import LogWriter

log = logging.getLogger(__name__)


def owner_name() -> str:
    """Who this process is, for people who read the run table."""
    return f"{socket.gethostname()[:40]}:{os.getpid()}:{uuid4().hex[:6]}"


class EngineHost:
    """Everything that executes runs in this process, with one start and one stop.

    Args:
        role: "web" or "worker". A web process with Redis only adds; a worker executes;
            without Redis the one web process does both.
    """

    def __init__(self, role: str = "web", *, lock: bool = True) -> None:
        self._role = role
        self._lock = ServerLock() if lock and not settings.NEXUS_REDIS_URL else None
        self._jobs: list[asyncio.Task[None]] = []
        self._writer: LogWriter | None = None
        self._docket: object = None
        self.runner: Runner | None = None
        self.started = False

    async def start(self) -> None:
        if self.started:
            return
        self.started = True
        tracing.start()
        start_realtime()
        # The writer's thread must get the interpreter soon after it is woken (default: 5 ms); sooner than this costs more
        # in changes of threads than anybody waits less.
        sys.setswitchinterval(0.002)
        if self._lock is not None:
            self._lock.acquire()
        if settings.NEXUS_REDIS_URL:
            from .docket_engine import DocketEngine, new_docket

            docket = new_docket()
            self._docket = await docket.__aenter__()
            port.use(DocketEngine(self._docket))
            if self._role == "worker":
                self._make_runner()
        else:
            runner = self._make_runner()
            port.use(LocalEngine(runner.execute, runner.stop, runner.prepare, runner.owner, runner.ring))
            left = await in_database(release_all_leases)
            if left:
                log.info("taking up %s unfinished runs", left)
        self._jobs.append(asyncio.create_task(sweep_forever(), name="sweeper"))
        self._jobs.append(asyncio.create_task(clean_forever(), name="cleaner"))
        self._jobs.append(asyncio.create_task(keep_books_forever(), name="treasurer"))
        self._jobs.append(asyncio.create_task(condition.watch_loop(), name="loop-watch"))
        condition.started(**({"writer": self._writer.condition} if self._writer is not None else {}))
        settle("started")

    def _make_runner(self) -> Runner:
        loop = asyncio.get_running_loop()
        self._writer = LogWriter(loop)
        self.runner = Runner(owner_name(), Ticker(self._writer, settings.NEXUS_COALESCE_MS / 1000))
        self._jobs.append(asyncio.create_task(self.runner.heartbeat_forever(), name="heartbeat"))
        self._jobs.append(asyncio.create_task(pack_forever(), name="packer"))
        return self.runner

    async def work(self, stop: asyncio.Event) -> None:
        """A worker's main part: executes until told to stop."""
        from .docket_engine import WorkerEngine

        assert self.runner is not None
        await WorkerEngine(self.runner, self._docket).run(stop)  # type: ignore[arg-type]

    async def stop(self) -> None:
        """Hands over what is running and ends every job; safe to call twice."""
        if not self.started:
            return
        self.started = False
        condition.stopping()
        await close_sockets()
        engine = port.current()
        if engine is not None:
            await engine.close()
        port.use(None)
        if self.runner is not None:
            await self.runner.hand_over()
        for job in self._jobs:
            job.cancel()
        await asyncio.gather(*self._jobs, return_exceptions=True)
        self._jobs = []
        if self._writer is not None:
            await self._writer.close()
        if self._docket is not None:
            await self._docket.__aexit__(None, None, None)  # type: ignore[attr-defined]
            self._docket = None
        await stop_realtime()
        if self._lock is not None:
            self._lock.release()
        condition.stopped()
        await tracing.stop()
