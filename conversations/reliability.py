"""How tools and runs did in a span, for the usage page: timings by tool, and how often a run had to be saved.

Runs and calls belong to the moment they began. Read by the indexes `run_recovered` and `tool_call_times`, which hold
all that is asked: no input and no result of a call is touched.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

from django.db import connection

from billing.dashboard import percentiles
from billing.reading import Key, Scope
from billing.reliability import register_reliability
from workspaces.statements import as_id

from .models import Run, ToolCall

_RUN_COLUMNS = {
    "agent": "agent_slug",
    "user": "requested_by_id",
    "conversation": "conversation_id",
    "provider": "provider",
    "model": "model",
}


def reliability(scope: Scope) -> dict[str, Any]:
    return {"tools": _tools(scope), "recovery": _recovery(scope)}


def _tools(scope: Scope) -> list[dict[str, Any]]:
    """A line per tool, the most called first. Times are those of calls that ended."""
    condition, values = _of_runs(scope)
    sqlite = connection.vendor == "sqlite"
    times = "group_concat(t.duration_ms, ' ')" if sqlite else "string_agg(t.duration_ms::text, ' ')"
    runs = "JOIN conversations_run r ON r.id = t.run_id" if condition else ""
    # Constants and placeholders only.
    text = f"""SELECT t.tool_name, t.status, COUNT(*), {times} FROM conversations_toolcall t
        JOIN conversations_conversation c ON c.id = t.conversation_id {runs}
        WHERE t.created_at >= %s AND t.created_at < %s AND c.workspace_id = %s{condition}
        GROUP BY t.tool_name, t.status"""  # noqa: S608
    with connection.cursor() as cursor:
        cursor.execute(text, [*_moments(scope), as_id(scope.workspace_id), *values])
        rows = cursor.fetchall()
    calls: dict[str, Counter[str]] = defaultdict(Counter)
    spent: dict[str, list[str]] = defaultdict(list)
    for name, status, count, joined in rows:
        calls[name][status] += count
        spent[name].append(joined or "")
    lines = [
        {
            "name": name,
            "calls": counts.total(),
            "errors": counts[ToolCall.Status.FAILED],
            "unknown": counts[ToolCall.Status.UNKNOWN],
            "durationMs": percentiles(Counter(" ".join(spent[name]).split())),
        }
        for name, counts in calls.items()
    ]
    return sorted(lines, key=lambda line: (-line["calls"], line["name"]))


def _recovery(scope: Scope) -> dict[str, int]:
    """Owners that were lost and replaced, owners that gave their run away in good order, runs that went on from another."""
    condition, values = _of_runs(scope)
    # The second condition is the index's own, word by word: so SQLite knows that it may use it.
    text = f"""SELECT SUM(CASE WHEN r.epoch > 1 THEN r.epoch - 1 - r.handovers ELSE 0 END),
            SUM(CASE WHEN r.epoch > 1 THEN r.handovers ELSE 0 END),
            SUM(CASE WHEN r.resumed_from_id IS NOT NULL THEN 1 ELSE 0 END)
        FROM conversations_run r WHERE r.created_at >= %s AND r.created_at < %s AND r.workspace_id = %s
          AND (r.epoch > 1 OR r.resumed_from_id IS NOT NULL){condition}"""  # noqa: S608
    with connection.cursor() as cursor:
        cursor.execute(text, [*_moments(scope), as_id(scope.workspace_id), *values])
        takeovers, handovers, resumed = cursor.fetchone()
    return {"takeovers": takeovers or 0, "handovers": handovers or 0, "resumed": resumed or 0}


def _moments(scope: Scope) -> list[Any]:
    adapt = connection.ops.adapt_datetimefield_value
    return [adapt(scope.span.start), adapt(scope.span.end)]


def _of_runs(scope: Scope) -> tuple[str, list[Any]]:
    """What the scope's filters ask of a run."""
    told: list[str] = []
    values: list[Any] = []
    for name, value in scope.filters:
        if name == "purpose":
            told.append("" if value == "chat" else " AND 1 = 0")
            continue
        condition, more = _equals(name, value)
        told.append(f" AND {condition}")
        values += more
    return "".join(told), values


def _equals(name: str, value: Key) -> tuple[str, list[Any]]:
    column = f"r.{_RUN_COLUMNS[name]}"
    if value is None:
        return (f"{column} IS NULL", []) if name in ("user", "conversation") else (f"{column} = ''", [])
    return f"{column} = %s", [as_id(value) if name in ("user", "conversation") else value]  # type: ignore[arg-type]


assert Run._meta.db_table == "conversations_run" and ToolCall._meta.db_table == "conversations_toolcall"
register_reliability(reliability)
