"""`manage.py worker`: executes runs beside the web processes. Needs REDIS_URL."""

from __future__ import annotations

import asyncio
import signal
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from conversations.engine.start import EngineHost


class Command(BaseCommand):
    help = "Executes runs. As many workers as you like; only with REDIS_URL."

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.NEXUS_REDIS_URL:
            raise CommandError(
                "REDIS_URL is not set. Without it the one web process executes the runs; a worker has nothing to do."
            )
        asyncio.run(self._work())

    async def _work(self) -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, stop.set)
        host = EngineHost("worker")
        await host.start()
        self.stdout.write("worker ready")
        self.stdout.flush()
        try:
            await host.work(stop)
        finally:
            await host.stop()
