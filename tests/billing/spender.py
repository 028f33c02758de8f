"""A process of its own that asks the meter, for tests with several of them. One JSON order a line on stdin.

It has its own connections to the test database, whose address `environment` gives. `killed` forks a child for each
place, which dies by SIGKILL right before its n-th statement.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Protocol
from urllib.parse import quote
from uuid import UUID, uuid4

ROOT = Path(__file__).resolve().parents[2]


class _Connected(Protocol):
    settings_dict: dict[str, Any]
    vendor: str

    def cursor(self) -> Any: ...


def environment(connection: _Connected, folder: Path) -> dict[str, str]:
    """For a process that works on the database that this connection is of."""
    found = connection.settings_dict
    if connection.vendor == "sqlite":
        url = f"sqlite:///{found['NAME']}"
    else:
        user, password = (quote(str(found[name] or ""), safe="") for name in ("USER", "PASSWORD"))
        host = found["HOST"] or ""
        where = quote(host, safe="") if host.startswith("/") else host
        url = f"postgresql://{user}:{password}@{where}:{found['PORT'] or 5432}/{found['NAME']}"
    kept = {name: value for name, value in os.environ.items() if name not in ("REDIS_URL", "DATABASE_URL")}
    return kept | {
        "DATABASE_URL": url,
        "DJANGO_SETTINGS_MODULE": "nexus_site.settings",
        "NEXUS_DATA_DIR": str(folder),
        "SECRET_KEY": "only-for-the-tests-9f3c51e07ab24d6888e1",
        "DEBUG": "0",
        "SQLITE_SYNCHRONOUS": "OFF",
    }


class Spender:
    """The other end of such a process."""

    def __init__(self, process: subprocess.Popen[str], name: str, connection: _Connected) -> None:
        self._process, self._name, self._connection = process, name, connection
        self.hear()

    def tell(self, **order: Any) -> None:
        pipe: IO[str] | None = self._process.stdin
        assert pipe is not None
        pipe.write(json.dumps(order) + "\n")
        pipe.flush()

    def hear(self) -> Any:
        pipe: IO[str] | None = self._process.stdout
        assert pipe is not None
        line = pipe.readline()
        assert line, "the spender ended"
        return json.loads(line)

    def kill(self) -> None:
        """SIGKILL, wherever it is; returns when nothing of it can be committed any more."""
        self._process.kill()
        self._process.wait()
        # PostgreSQL goes on with the statement that it was sent last, and that may be a COMMIT.
        while self._connection.vendor == "postgresql" and self._is_connected():
            time.sleep(0.01)

    def _is_connected(self) -> bool:
        with self._connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM pg_stat_activity WHERE application_name = %s", [self._name])
            return cursor.fetchone() is not None


@contextmanager
def spenders(count: int, connection: _Connected, folder: Path) -> Iterator[list[Spender]]:
    """So many processes, ready; they are ended behind it."""
    env = environment(connection, folder)
    names = [f"spender-{uuid4().hex}" for _ in range(count)]
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.billing.spender"],
            cwd=ROOT, env=env | {"PGAPPNAME": name}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for name in names
    ]  # fmt: skip
    try:
        yield [Spender(process, name, connection) for process, name in zip(started, names, strict=True)]
    finally:
        for process in started:
            if process.stdin is not None:
                with suppress(BrokenPipeError):
                    process.stdin.close()
            process.wait(120)
            if process.stdout is not None:
                process.stdout.close()


def _main() -> None:
    import django

    django.setup()
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        print(json.dumps(_DO[order.pop("do")](**order)), flush=True)


def _meter(ids: dict[str, str | None]) -> Any:
    from billing.meter import DbMeter

    agent = ids.pop("agent_slug", "") or ""
    return DbMeter(
        agent_slug=agent,
        **{name: None if value is None else UUID(value) for name, value in ids.items()},  # type: ignore[arg-type]
    )


def _reserve(ids: dict[str, str | None], calls: int, max_tokens: int, model: str = "m1") -> list[str | None]:
    """Asks so many times at once; the attempts that were let in, None for each that was refused."""
    from django.db import connection

    from nexus_core.errors import BudgetExceeded
    from tests.billing.conftest import request_to

    meter = _meter(ids)

    def one(number: int) -> str | None:
        try:
            return str(meter._reserve(request_to(model, max_tokens=max_tokens), "openai", 0, number).id)
        except BudgetExceeded:
            return None
        finally:
            connection.close()

    with ThreadPoolExecutor(calls) as callers:
        return list(callers.map(one, range(calls)))


def _churn(ids: dict[str, str | None], calls: int, threads: int, log: str, seed: int) -> int:
    """Asks and gives back, over and over, with so many at once; every second one as the agent. The log has a line
    before anything may happen and one behind it: `[call, what, monotonic time, as the agent]`."""
    from random import Random

    from django.db import connection, transaction

    from billing.settling import attempt_settle_in_transaction
    from nexus_core.errors import BudgetExceeded
    from tests.billing.conftest import outcome_of, request_to

    file = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    request = request_to("m1", max_tokens=100)

    def note(call: str, what: str, agent: bool) -> None:
        os.write(file, (json.dumps([call, what, time.monotonic(), agent]) + "\n").encode())

    def many(thread: int) -> None:
        dice = Random(f"{seed}.{thread}")
        for number in range(calls // threads):
            call, agent = f"{seed}.{thread}.{number}", bool(number % 2)
            meter = _meter(dict(ids) | ({"agent_slug": "helper"} if agent else {}))
            note(call, "asks", agent)
            try:
                attempt = meter._reserve(request, "openai", 0, 1)
            except BudgetExceeded:
                note(call, "refused", agent)
                continue
            note(call, "holds", agent)
            time.sleep(dice.random() / 500)
            note(call, "ends", agent)
            outcome = outcome_of(None, status="failed", sent=False)
            with transaction.atomic():
                attempt_settle_in_transaction(attempt, outcome, meter.price(attempt, outcome))
            note(call, "free", agent)
        connection.close()

    with ThreadPoolExecutor(threads) as callers:
        list(callers.map(many, range(threads)))
    return calls


def _killed(ids: dict[str, str | None], max_tokens: int, most: int, model: str = "m1") -> list[int]:
    """A reservation and its settlement, each by a child that dies before its 1st, 2nd … statement; the places at
    which one died. The first place that nobody reaches is the end."""
    died: list[int] = []
    for place in range(1, most + 1):
        child = os.fork()
        if not child:
            try:
                _die_at(place, dict(ids), max_tokens, model)
            finally:
                os._exit(0)
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            return died
        died.append(place)
    return died


def _die_at(place: int, ids: dict[str, str | None], max_tokens: int, model: str) -> None:
    from django.db import connection, transaction

    from billing.settling import attempt_settle_in_transaction
    from nexus_core.usage import Usage
    from tests.billing.conftest import outcome_of, request_to

    left = place

    def counted(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        nonlocal left
        left -= 1
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(counted):
        meter = _meter(ids)
        attempt = meter._reserve(request_to(model, max_tokens=max_tokens), "openai", 0, 1)
        outcome = outcome_of(Usage(input=10, output=5))
        with transaction.atomic():
            attempt_settle_in_transaction(attempt, outcome, meter.price(attempt, outcome))
            counted(lambda *_: None, "the end of the transaction", None, False, None)


_DO = {"reserve": _reserve, "churn": _churn, "killed": _killed}

if __name__ == "__main__":
    _main()
