"""`python -m benchmarks.soak_worker`: `manage.py worker` that writes how many tasks it has into `BENCH_STATE`."""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nexus_site.settings")
django.setup()

from django.core.management import call_command  # noqa: E402

from conversations.engine.start import EngineHost  # noqa: E402

SECONDS = 1.0
start = EngineHost.start


async def started(host: EngineHost) -> None:
    await start(host)
    loop, done = asyncio.get_running_loop(), threading.Event()
    path = Path(os.environ["BENCH_STATE"])

    def tell() -> None:
        while not done.wait(SECONDS) and not loop.is_closed():
            path.write_text(str(len(asyncio.all_tasks(loop))))

    threading.Thread(target=tell, daemon=True).start()


if __name__ == "__main__":
    EngineHost.start = started  # type: ignore[method-assign, assignment]
    call_command("worker")
