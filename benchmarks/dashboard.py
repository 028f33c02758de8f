"""How fast the usage page is with a million attempts: `python -m benchmarks.dashboard [--attempts N] [--only sqlite]`.

Fills a fresh SQLite file and a fresh PostgreSQL with a year of traffic (`usage_traffic`, multiplied in the database), adds
up its hours, and times every question that the page, `GET /api/usage` and the tools ask: the first time on a new
connection, and the median of three more; wall-clock, and the processor time of this process (on SQLite that is the
database's too). Then the same with nothing added up, which is what the roll-up saves. Prints a table in Markdown.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from .processes import told_by

ITSELF = "benchmarks.dashboard"
ROOT = Path(__file__).resolve().parent.parent
BASE = 20_000
DAYS = 365
AGAIN = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--attempts", type=int, default=1_000_000)
    parser.add_argument("--only", choices=("sqlite", "postgresql"))
    parser.add_argument("--step", choices=("fill", "ask"), help=argparse.SUPPRESS)
    parser.add_argument("--unsealed", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.step == "fill":
        print(orjson.dumps(fill(given.attempts)).decode())
    elif given.step == "ask":
        print(orjson.dumps(ask(sealed=not given.unsealed)).decode())
    else:
        with tempfile.TemporaryDirectory(prefix="nexus-dashboard-") as folder:
            measure(given.attempts, Path(folder), given.only)


def measure(attempts: int, folder: Path, only: str | None) -> None:
    sys.path.insert(0, str(ROOT))
    from scripts.services.postgres import start_postgres

    plain = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "REDIS_URL")}
    plain |= {"DEBUG": "1", "NEXUS_DATA_DIR": str(folder), "DJANGO_SETTINGS_MODULE": "nexus_site.settings"}
    if only != "postgresql":
        report("SQLite", attempts, plain)
    if only != "sqlite":
        server = start_postgres()
        try:
            report("PostgreSQL", attempts, plain | {"DATABASE_URL": server.value})
        finally:
            server.stop()


def report(name: str, attempts: int, env: dict[str, str]) -> None:
    told = told_by(ITSELF, env, "--step", "fill", "--attempts", str(attempts))
    print(f"\n{name}: {told['attempts']:,} attempts in {told['hours']:,} sums of hours; "
          f"adding them up took {told['sealed']:.1f} s ({told['sealedCpu']:.1f} s of processor)\n")  # fmt: skip
    print("| question | first | again | processor | without sums | processor |\n|---|---|---|---|---|---|")
    sums, raw = told_by(ITSELF, env, "--step", "ask"), told_by(ITSELF, env, "--step", "ask", "--unsealed")
    for question in QUESTIONS:
        with_sums, without = sums[question], raw[question]
        numbers = (with_sums["first"], with_sums["again"], with_sums["cpu"], without["again"], without["cpu"])
        print(f"| {question} | {' | '.join(f'{1000 * value:,.0f} ms' for value in numbers)} |", flush=True)


# --- in a process with Django ----------------------------------------------------------------------------------


def fill(attempts: int) -> dict[str, Any]:
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import connection

    from benchmarks.usage_traffic import fill as traffic
    from billing.models import Attempt, UsageHour
    from billing.sealing import usage_seal
    from workspaces.models import Workspace

    call_command("migrate", verbosity=0, interactive=False)
    call_command("seed", verbosity=0)
    slug = traffic(attempts=min(BASE, attempts), days=DAYS)
    made = Attempt.objects.count()
    for copy in range(1, max(1, round(attempts / made))):
        with connection.cursor() as cursor:
            for statement in copies(copy):
                cursor.execute(statement)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    workspace = Workspace.objects.get(slug=slug)
    wall, cpu = time.perf_counter(), time.process_time()
    usage_seal(workspace_id=workspace.pk)
    sealed, sealed_cpu = time.perf_counter() - wall, time.process_time() - cpu
    with connection.cursor() as cursor:  # what autovacuum does within a minute
        cursor.execute("ANALYZE")
    return {
        "sealed": sealed,
        "sealedCpu": sealed_cpu,
        "attempts": Attempt.objects.count(),
        "hours": UsageHour.objects.count(),
    }


def copies(number: int) -> list[str]:
    """The first traffic once more: other people's days, other conversations, other times."""
    from django.db import connection

    from billing.models import Attempt
    from conversations.models import ToolCall

    sqlite = connection.vendor == "sqlite"
    minutes = number * 173 % (6 * 1440)
    new = "lower(hex(randomblob(16)))" if sqlite else "gen_random_uuid()"
    past = (
        f"strftime('%Y-%m-%d %H:%M:%f000', {{}}, '-{minutes} minutes')"
        if sqlite
        else f"{{}} - interval '{minutes} minutes'"
    )
    other = (
        f"substr({{}}, 1, 28) || '{number:04x}'"
        if sqlite
        else f"(left({{}}::text, 32) || '{number:04x}')::uuid"
    )
    later = f"{{}} + {number * 7 % 61}"
    # One in fifty of the calls of tools is enough to be as many as there are runs.
    statements = [
        (Attempt, {"id": new, "reserved_at": past.format("reserved_at"), "conversation_id": other.format("conversation_id"),
                   "run_id": other.format("run_id"), "first_token_ms": later.format("first_token_ms"),
                   "duration_ms": later.format("duration_ms")}),
        (ToolCall, {"id": new, "created_at": past.format("created_at"), "duration_ms": later.format("duration_ms")}),
    ]  # fmt: skip
    found = []
    for model, changed in statements:
        names = [field.column for field in model._meta.concrete_fields]
        values = ", ".join(changed.get(name, name) for name in names)
        # Of the first traffic only: every copy has its number at the end of its request's id, or of its call's.
        column = "request_id" if model is Attempt else "call_id"
        values = ", ".join(
            f"{column} || '#{number}'" if name == column else changed.get(name, name) for name in names
        )
        found.append(
            f"INSERT INTO {model._meta.db_table} ({', '.join(names)}) SELECT {values} FROM {model._meta.db_table} "
            f"WHERE {column} NOT LIKE '%#%'"
        )
    return found


def ask(*, sealed: bool) -> dict[str, dict[str, float]]:
    import django

    django.setup()
    from django.db import connection

    from billing import dashboard, usage
    from billing.models import UsageSeal
    from billing.sealing import EARLIEST
    from workspaces.access import actor_for
    from workspaces.models import User

    actor = actor_for(User.objects.get(username="maya"))
    before = None
    if not sealed:
        dashboard.usage_seal = usage.usage_seal = lambda **_: True  # type: ignore[assignment]
        before = UsageSeal.objects.get(pk=actor.workspace_id).until
        UsageSeal.objects.filter(pk=actor.workspace_id).update(until=EARLIEST)
    found = {}
    try:
        for question, wanted in QUESTIONS.items():
            connection.close()
            first = timed(wanted, actor)
            cpu = time.process_time()
            again = statistics.median(timed(wanted, actor) for _ in range(AGAIN))
            found[question] = {"first": first, "again": again, "cpu": (time.process_time() - cpu) / AGAIN}
    finally:
        if before is not None:
            UsageSeal.objects.filter(pk=actor.workspace_id).update(until=before)
    return found


def timed(fn: Callable[[Any], Any], actor: Any) -> float:
    began = time.perf_counter()
    fn(actor)
    return time.perf_counter() - began


def _overview(chosen: str, group: str) -> Callable[[Any], Any]:
    def asked(actor: Any) -> Any:
        from billing.dashboard import Chosen, usage_overview

        return usage_overview(actor, Chosen(chosen), group)

    return asked


def _usage(chosen: str, group: str | None = None) -> Callable[[Any], Any]:
    def asked(actor: Any) -> Any:
        from billing.usage import usage_lines

        return usage_lines(actor, chosen, group)

    return asked


def _sums(chosen: str) -> Callable[[Any], Any]:
    def asked(actor: Any) -> Any:
        from billing.usage import usage_sums

        return usage_sums(actor, chosen)

    return asked


def _latencies(chosen: str) -> Callable[[Any], Any]:
    def asked(actor: Any) -> Any:
        from billing.dashboard import Chosen, usage_latencies

        return usage_latencies(actor, Chosen(chosen))

    return asked


def _reliability(chosen: str) -> Callable[[Any], Any]:
    def asked(actor: Any) -> Any:
        from billing.dashboard import Chosen
        from billing.reliability import usage_reliability

        return usage_reliability(actor, Chosen(chosen))

    return asked


def _attempts(chosen: str, **filters: str) -> Callable[[Any], Any]:
    def asked(actor: Any) -> Any:
        from billing.attempts import attempts_page
        from billing.dashboard import Chosen, scope_of

        return attempts_page(actor, scope_of(actor, Chosen(chosen, filters=filters)))

    return asked


QUESTIONS: dict[str, Callable[[Any], Any]] = {
    **{
        f"overview, {chosen}, by {group}": _overview(chosen, group)
        for chosen, group in (
            ("today", "agent"),
            ("month", "agent"),
            ("month", "conversation"),
            ("all", "agent"),
            ("all", "conversation"),
        )
    },
    **{f"`GET /api/usage`, {chosen}": _usage(chosen) for chosen in ("today", "week", "month", "all")},
    **{
        f"`GET /api/usage`, {chosen}, by {group}": _usage(chosen, group)
        for chosen, group in (("month", "agent"), ("all", "agent"), ("all", "day"), ("all", "conversation"))
    },
    "`get_token_usage`, all": _sums("all"),
    **{f"latencies, {chosen}, by model": _latencies(chosen) for chosen in ("month", "all")},
    **{f"tools and recoveries, {chosen}": _reliability(chosen) for chosen in ("month", "all")},
    "requests, all, first page": _attempts("all"),
    "requests, all, of the rarest model": _attempts("all", model="fjord-tuned-7"),
}


if __name__ == "__main__":
    main()
