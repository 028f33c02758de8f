"""A wall clock that is off: by the seconds that `clocks.json` in the harness' folder says for this process' name.

Set up by the settings, before anything has taken `time.time` for itself. asyncio's clock is another one, and stays.
"""

from __future__ import annotations

import json
import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from django.utils import timezone

LOOK_SECONDS = 0.25


class Offset:
    def __init__(self, path: Path, name: str) -> None:
        self._path, self._name = path, name
        self._looked_at, self._seconds = 0.0, 0.0

    def seconds(self) -> float:
        now = time.monotonic()
        if now - self._looked_at > LOOK_SECONDS:
            self._looked_at = now
            try:
                self._seconds = float(json.loads(self._path.read_text()).get(self._name, 0.0))
            except (OSError, ValueError):
                self._seconds = 0.0
        return self._seconds


def skew(folder: str, name: str) -> None:
    """From here on this process believes that it is earlier or later. Without a folder or a name: nothing."""
    if not folder or not name:
        return
    offset = Offset(Path(folder) / "clocks.json", name)
    seconds, nanoseconds = time.time, time.time_ns

    def now() -> datetime:
        return datetime.now(UTC) + timedelta(seconds=offset.seconds())

    time.time = lambda: seconds() + offset.seconds()
    time.time_ns = lambda: nanoseconds() + int(offset.seconds() * 1e9)
    timezone.now = now


def skew_this() -> None:
    skew(os.environ.get("CHAOS_FOLDER", ""), os.environ.get("CHAOS_NODE", ""))
