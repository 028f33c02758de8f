"""`manage.py worker`: executes runs beside the web processes. Needs REDIS_URL."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from conversations.engine.last_resort import end_in_any_case, leave
from conversations.engine.start import EngineHost
from conversations.probes import probes


class Command(BaseCommand):
    help = "Executes runs. As many workers as you like; only with REDIS_URL."

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.NEXUS_REDIS_URL:
            raise CommandError(
                "REDIS_URL is not set. Without it the one web process executes the runs; a worker has nothing to do."
            )
        asyncio.run(self._work())
        leave()

    async def _work(self) -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()

        def end() -> None:
            stop.set()
            end_in_any_case()

        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, end)
        host = EngineHost("worker")
        await host.start()
        try:
            async with contextlib.AsyncExitStack() as stack:
                if settings.NEXUS_WORKER_PORT:
                    address = settings.NEXUS_WORKER_HOST, settings.NEXUS_WORKER_PORT
                    try:
                        await stack.enter_async_context(probes(*address))
                    except OSError as fault:
                        raise CommandError(
                            f"NEXUS_WORKER_PORT: cannot listen on {address[0]}:{address[1]} ({fault.strerror}). "
                            "Each worker of a machine needs a port of its own."
                        ) from fault
                self.stdout.write("worker ready")
                self.stdout.flush()
                await host.work(stop)
        finally:
            await host.stop()
