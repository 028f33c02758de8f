"""A PostgreSQL and a Redis of our own that may be killed, frozen and started again, each behind a fault proxy."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import redis

from scripts.services import Service, die_with_parent, end
from scripts.services.postgres import start_postgres
from scripts.services.redis import start_redis

from .proxy import FaultProxy

READY_SECONDS = 90.0
DISK_FULL = """
CREATE OR REPLACE FUNCTION chaos_full() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = 'disk_full';
END $$
"""


def _through(url: str, port: int) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{parts.netloc.rsplit(':', 1)[0]}:{port}"))


def _own(name: str, variable: str) -> None:
    """A server of somebody else is none to kill."""
    if os.environ.pop(variable, None):
        print(f"{variable} is left alone: chaos starts its own {name}", flush=True)


class Postgres:
    """`direct` is its address for the harness, `url` the one through the proxy for the product."""

    def __init__(self) -> None:
        _own("PostgreSQL", "DATABASE_URL")
        self._service: Service = start_postgres()
        self.direct = self._service.value
        parts = urlsplit(self.direct)
        assert parts.hostname is not None
        assert parts.port is not None
        self.proxy = FaultProxy((parts.hostname, parts.port))
        with psycopg.connect(self.direct) as connection:
            row = connection.execute("SHOW data_directory").fetchone()
            # The tests' server forgets its last commits in a crash, for speed; here that would be a false alarm.
            connection.execute("ALTER ROLE CURRENT_USER SET synchronous_commit = on")
        assert row is not None
        self._data = Path(row[0])
        self._restarted: subprocess.Popen[bytes] | None = None
        process = Path(f"/proc/{self._pid}")
        self._command = process.joinpath("cmdline").read_bytes().split(b"\0")[:-1]
        self._uid = process.stat().st_uid
        self._binary = process.joinpath("exe").resolve()

    @property
    def url(self) -> str:
        return _through(self.direct, self.proxy.port)

    @property
    def _pid(self) -> int:
        return int((self._data / "postmaster.pid").read_text().splitlines()[0])

    async def restart(self, how: signal.Signals = signal.SIGINT, away: float = 0.0) -> None:
        """SIGINT: sessions are ended (a fast shutdown); SIGQUIT: as in a crash, it recovers at start."""
        os.kill(self._pid, how)
        async with asyncio.timeout(READY_SECONDS):
            while (self._data / "postmaster.pid").exists():
                await asyncio.sleep(0.02)
        if self._restarted is not None:
            await asyncio.to_thread(self._restarted.wait)
        await asyncio.sleep(away)
        uid = self._uid if os.geteuid() == 0 and self._uid else None
        with (self._data.parent / "log").open("ab") as out:
            self._restarted = subprocess.Popen(
                self._command,
                executable=self._binary,
                cwd=self._data.parent,
                env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "TZ": "UTC"},
                user=uid,
                group=uid,
                extra_groups=[] if uid else None,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
                preexec_fn=die_with_parent(signal.SIGINT),
            )
        async with asyncio.timeout(READY_SECONDS):
            while not await asyncio.to_thread(self._answers):
                await asyncio.sleep(0.02)

    def _answers(self) -> bool:
        try:
            with psycopg.connect(self.direct, connect_timeout=2) as connection:
                connection.execute("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

    def terminate_connections(self) -> int:
        """Ends every session but our own; how many there were."""
        with psycopg.connect(self.direct, autocommit=True) as connection:
            found = connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE pid <> pg_backend_pid() AND backend_type = 'client backend' AND application_name <> 'chaos'"
            ).fetchall()
        return len(found)

    @contextlib.contextmanager
    def full(self) -> Iterator[None]:
        """Refuses every row of the product's own tables, with the error of a full disk."""
        with psycopg.connect(self.direct, autocommit=True) as connection:
            connection.execute(DISK_FULL)
            found = connection.execute(
                "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
            ).fetchall()
            tables = sorted(name for (name,) in found if name.split("_")[0] in ("conversations", "billing"))
            for table in tables:
                connection.execute(
                    f'CREATE TRIGGER chaos_full BEFORE INSERT OR UPDATE ON "{table}" EXECUTE FUNCTION chaos_full()'
                )
            try:
                yield
            finally:
                for table in tables:
                    connection.execute(f'DROP TRIGGER chaos_full ON "{table}"')

    def stop(self) -> None:
        if self._restarted is not None:
            end(self._restarted, signal.SIGINT)
        self._service.stop()


class Redis:
    """`url` is the address through the proxy; behind it the server may be another one from time to time."""

    def __init__(self) -> None:
        _own("Redis", "REDIS_URL")
        self._service: Service = start_redis()
        self.direct = self._service.value
        self.proxy = FaultProxy(self._address())

    def _address(self) -> tuple[str, int]:
        parts = urlsplit(self._service.value)
        assert parts.hostname is not None
        assert parts.port is not None
        return parts.hostname, parts.port

    @property
    def url(self) -> str:
        return _through(self.direct, self.proxy.port)

    @property
    def _pid(self) -> int:
        with redis.Redis.from_url(self.direct) as client:
            return int(client.info("server")["process_id"])

    def kill(self) -> None:
        os.kill(self._pid, signal.SIGKILL)
        self._service.stop()
        self.proxy.cut()

    def start_empty(self) -> None:
        self._service = start_redis()
        self.direct = self._service.value
        self.proxy.target = self._address()

    def limit(self, size: int) -> None:
        """Bytes of memory that it may use; 0: as many as it likes."""
        with redis.Redis.from_url(self.direct) as client:
            client.config_set("maxmemory-policy", "noeviction")
            client.config_set("maxmemory", size)

    async def freeze(self, seconds: float) -> None:
        pid = self._pid
        os.kill(pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(seconds)
        finally:
            os.kill(pid, signal.SIGCONT)

    def stop(self) -> None:
        self._service.stop()
