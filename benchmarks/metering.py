"""What metering adds to a run: the time of one reservation and one settlement, without budgets, with one and with five.

The reservation stands between the message and the provider's first byte, so all of it is added to the time to first
token; the settlement comes when the answer has ended and adds nothing to it. Each in a process of its own with a fresh
database, SQLite and PostgreSQL, through the same threads as a run. Wall-clock, and the processor time of this process
(on SQLite that is the database's too).
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson

from scripts.services import ServiceMissing
from scripts.services.postgres import start_postgres

from .processes import told_by
from .stats import percentile

BUDGETS = (0, 1, 5)
WARM = 20
SCOPES = ("workspace", "user", "agent", "token", "conversation")


def metering(folder: Path, calls: int) -> str:
    """Both databases, as a table. A machine without PostgreSQL measures SQLite alone."""
    plain = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "REDIS_URL")}
    plain |= {
        "DEBUG": "0",
        "SECRET_KEY": "only-for-the-benchmark-0b52e0f6c71d4a",
        "NEXUS_DATA_DIR": str(folder),
    }
    plain |= {"DJANGO_SETTINGS_MODULE": "nexus_site.settings"}
    lines = [
        "metering, ms: the reservation is added to the time to first token, the settlement comes behind the answer",
        f"{'':24}{'reserve p50':>12}{'p95':>8}{'CPU':>8}{'settle p50':>13}{'p95':>8}{'CPU':>8}",
    ]
    lines += _lines("SQLite", told_by("benchmarks.metering", plain, str(calls)))
    try:
        server = start_postgres()
    except ServiceMissing as why:
        return "\n".join([*lines, f"PostgreSQL: {why}"])
    try:
        lines += _lines(
            "PostgreSQL", told_by("benchmarks.metering", plain | {"DATABASE_URL": server.value}, str(calls))
        )
    finally:
        server.stop()
    return "\n".join(lines)


def _lines(database: str, found: dict[str, dict[str, list[float]]]) -> list[str]:
    """One for each number of budgets. `found[budgets]` has ms of every call and the mean of the processor's."""
    lines = []
    for budgets, told in found.items():
        words = f"{database}, {'no budget' if budgets == '0' else f'{budgets} in force'}"
        numbers = []
        for name in ("reserve", "settle"):
            numbers += [percentile(told[name], 0.5), percentile(told[name], 0.95), told[f"{name}_cpu"][0]]
        widths = (12, 8, 8, 13, 8, 8)
        lines.append(f"{words:24}" + "".join(f"{n:>{w}.2f}" for n, w in zip(numbers, widths, strict=True)))
    return lines


# --- in a process with Django ----------------------------------------------------------------------------------


def _main(calls: int) -> None:
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0, interactive=False)
    print(orjson.dumps({str(budgets): asyncio.run(_metered(budgets, calls)) for budgets in BUDGETS}).decode())


async def _metered(budgets: int, calls: int) -> dict[str, list[float]]:
    from uuid import uuid4

    from billing.budget_models import Budget
    from billing.meter import DbMeter
    from nexus_core.messages import user
    from nexus_core.ports import AttemptOutcome
    from nexus_core.providers.base import ModelRequest
    from nexus_core.usage import Usage
    from workspaces.database import in_database

    ids: dict[str, Any] = {
        name: uuid4() for name in ("workspace_id", "user_id", "token_id", "conversation_id")
    }
    keys = {"agent": "helper"} | {name.removesuffix("_id"): str(value) for name, value in ids.items()}
    for scope in SCOPES[:budgets]:
        await in_database(
            Budget.objects.create,
            workspace_id=ids["workspace_id"],
            scope=scope,
            scope_id="" if scope == "workspace" else keys[scope],
            limit=10**17,
        )
    meter = DbMeter(**ids, agent_slug="helper", crossing=in_database)
    request = ModelRequest(model="gpt-4o-mini", messages=(user("What is new?"),), max_tokens=2000)
    outcome = AttemptOutcome("complete", Usage(input=12, output=40), "An answer.")
    found: dict[str, list[float]] = {"reserve": [], "settle": [], "reserve_cpu": [0.0], "settle_cpu": [0.0]}
    for number in range(WARM + calls):
        marks = [(time.perf_counter(), time.process_time())]
        attempt = await meter.reserve(request, provider="openai", step=0, attempt=1)
        marks.append((time.perf_counter(), time.process_time()))
        await meter.settle(attempt, outcome, meter.price(attempt, outcome))
        marks.append((time.perf_counter(), time.process_time()))
        if number < WARM:
            continue
        for name, (before, after) in zip(("reserve", "settle"), pairwise(marks), strict=True):
            found[name].append(1000 * (after[0] - before[0]))
            found[f"{name}_cpu"][0] += 1000 * (after[1] - before[1]) / calls
    return found


if __name__ == "__main__":
    _main(int(sys.argv[1]))
