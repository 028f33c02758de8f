"""`python -m chaos.inspecting`: one JSON question a line, one JSON answer a line; the child behind `inspector`."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import django

django.setup()

from django.db import DatabaseError, close_old_connections, connection  # noqa: E402
from django.db.models import Exists, F, OuterRef  # noqa: E402
from django.db.models.functions import Now  # noqa: E402

from billing.models import Attempt  # noqa: E402
from conversations.log import read_log  # noqa: E402
from conversations.models import Message, Run, Step, ToolCall  # noqa: E402

MOST = 10**6


def run(id: str) -> dict[str, Any]:
    row = Run.objects.values().get(pk=id)
    return {
        "run": row,
        "log": read_log(row["id"], 0, MOST),
        "steps": list(Step.objects.filter(run_id=id).order_by("index").values()),
        "calls": list(ToolCall.objects.filter(run_id=id).order_by("step", "position").values()),
        "attempts": list(Attempt.objects.filter(run_id=id).order_by("reserved_at").values()),
        "answer": Message.objects.filter(pk=row["answer_id"]).values().first(),
        "asked": Message.objects.filter(run_id=id, role="user").count(),
    }


def unfinished() -> list[dict[str, Any]]:
    before = Run.objects.filter(
        conversation=OuterRef("conversation"), agent_slug=OuterRef("agent_slug"), status__in=Run.LIVE
    )
    rows = Run.objects.filter(status__in=("queued", "running")).annotate(now=Now(), blocked=Exists(before))
    found = rows.annotate(since=F("heartbeat_at"))
    return [
        {
            "id": str(row.pk),
            "status": row.status,
            "epoch": row.epoch,
            "last_seq": row.last_seq,
            "lease_age": None if row.since is None else (row.now - row.since).total_seconds(),
            "age": (row.now - row.created_at).total_seconds(),
            "owner": row.owner,
            "waits_for_another": row.status == "queued" and row.blocked,
        }
        for row in found
    ]


def statuses(ids: list[str]) -> dict[str, str]:
    return {str(pk): status for pk, status in Run.objects.filter(pk__in=ids).values_list("pk", "status")}


def runs_of(client_id: str) -> list[str]:
    return [str(pk) for pk in Run.objects.filter(client_id=client_id).values_list("pk", flat=True)]


def base() -> dict[str, int]:
    """What must be 0 when nothing runs and nobody watches; but `connections`, of everybody to PostgreSQL."""
    leased = Run.objects.exclude(status__in=("queued", "running")).exclude(owner="", heartbeat_at=None)
    found = {
        "unfinished runs": Run.objects.filter(status__in=("queued", "running")).count(),
        "leases of ended runs": leased.count(),
        "open reservations": Attempt.objects.filter(status__in=("RESERVED", "SENT", "STREAMING")).count(),
        "open tool calls": ToolCall.objects.filter(status="RUNNING").count(),
    }
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*), count(*) FILTER (WHERE state LIKE 'idle in%%' AND state_change < now() - interval '3 s') "
                "FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
            )
            found["connections"], found["transactions left open"] = cursor.fetchone()
    return found


QUESTIONS: dict[str, Callable[..., Any]] = {
    "run": run,
    "unfinished": unfinished,
    "statuses": statuses,
    "runs_of": runs_of,
    "base": base,
}


def main() -> None:
    for line in sys.stdin:
        question = json.loads(line)
        number = question.pop("number")
        try:
            close_old_connections()
            said: dict[str, Any] = {"answer": QUESTIONS[question.pop("what")](**question)}
        except DatabaseError as fault:
            connection.close()
            said = {"fault": f"{type(fault).__name__}: {fault}"}
        print(json.dumps({"number": number, **said}, default=str), flush=True)


if __name__ == "__main__":
    main()
