"""One server process where there is no Redis: a second one refuses to start.

On SQLite a locked file in `NEXUS_DATA_DIR`, on PostgreSQL an advisory lock on a
connection that is kept. Commands of `manage.py` may run beside the server.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import IO, Any

from django.conf import settings
from django.db import connections

ADVISORY = 0x6E65_7875


class AlreadyRunning(SystemExit):
    """Another server process holds the lock."""


class ServerLock:
    def __init__(self) -> None:
        self._file: IO[str] | None = None
        self._connection: Any = None

    def acquire(self) -> None:
        """Raises `AlreadyRunning` with what to do."""
        path = Path(settings.NEXUS_DATA_DIR) / "server.lock"
        handle = path.open("a+")  # kept open: the lock lives as long as the process
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            handle.seek(0)
            pid = handle.read().strip() or "unknown"
            raise AlreadyRunning(_refusal(f"process {pid} uses {path.parent}")) from None
        handle.truncate(0)
        handle.write(str(os.getpid()))
        handle.flush()
        self._file = handle
        if connections["default"].vendor == "postgresql":
            self._acquire_advisory()

    def release(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self._file is not None:
            self._file.close()
            self._file = None

    def _acquire_advisory(self) -> None:
        import psycopg

        params = connections["default"].get_connection_params()
        for name in ("pool", "cursor_factory", "context", "prepare_threshold", "server_side_binding"):
            params.pop(name, None)
        connection = psycopg.connect(**params, autocommit=True)
        row = connection.execute("SELECT pg_try_advisory_lock(%s)", [ADVISORY]).fetchone()
        if row is None or not row[0]:
            connection.close()
            raise AlreadyRunning(_refusal("another one uses this database"))
        self._connection = connection


def _refusal(who: str) -> str:
    return (
        f"A Nexus server is already running ({who}). Without REDIS_URL there is one server process: "
        "stop the other one, or set REDIS_URL and start as many as you like, with `manage.py worker` beside them."
    )
