"""What `GET /api/usage` and the tools tell: sums of a workspace, in lines. Read as the usage page reads them, never otherwise.

Everybody in a workspace sees its usage; of a conversation they may not read they see the numbers without its
title. An attempt belongs to the moment of its reservation. What was refused before it left is no request.
"""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any, Literal, get_args
from uuid import UUID

from billing.dashboard import SEALING, Chosen, Wire, counted, names_of, percentiles, scope_of, sums_wire
from billing.measures import TIMES, TOKENS
from billing.reading import Key, Scope, read
from billing.sealing import usage_seal
from workspaces.access import Actor, Invalid

GroupBy = Literal["agent", "user", "model", "provider", "conversation", "day"]
GROUPS: tuple[GroupBy, ...] = get_args(GroupBy)
COSTS = ("cost_input", "cost_output", "cost_total")
MEASURED = ("requests", "errors", "estimated", "unpriced", "priced", *COSTS, *TOKENS.values())
SHARES = (50, 95)

Row = dict[str, Any]


def usage_sums(actor: Actor, chosen: str, conversation_id: UUID | None = None) -> Wire:
    """One line without latencies, of one conversation on demand (access is the caller's matter). Raises `Invalid`."""
    rows = read(_scope(actor, chosen, conversation_id), measures=MEASURED)
    return sums_wire(rows[0] if rows else Counter())


def usage_lines(actor: Actor, chosen: str, group_by: str | None = None) -> Wire:
    """The whole range in one line, and a line per agent, user, model, provider, conversation or day.

    Days come in order, else the most tokens first. Each has `key` and `name` (the title, or null where the actor may
    not read it). The sums over all lines are the totals. Raises `Invalid` for another word.
    """
    if group_by is not None and group_by not in GROUPS:
        raise Invalid(f"groupBy must be one of {', '.join(GROUPS)}, not {group_by!r}.")
    scope = _scope(actor, chosen)
    groups = [group_by] if group_by else []
    rows = read(scope, groups, measures=MEASURED, times=tuple(TIMES))
    for row in rows:
        row |= {name: counted([row], name) for name in TIMES}
    return {
        "range": chosen,
        "groupBy": group_by,
        "totals": _line(_added(rows)),
        "items": _items(actor, scope, group_by, rows) if group_by else [],
    }


def _scope(actor: Actor, chosen: str, conversation_id: UUID | None = None) -> Scope:
    if conversation_id is not None:  # its attempts have an index of their own
        return scope_of(actor, Chosen(chosen, filters={"conversation": str(conversation_id)}))
    usage_seal(workspace_id=actor.workspace_id, within=SEALING)
    return scope_of(actor, Chosen(chosen))


def _items(actor: Actor, scope: Scope, group_by: str, rows: list[Row]) -> list[Wire]:
    if group_by == "day":
        rows.sort(key=lambda row: int(row["k0"]))
        for row in rows:
            row["k0"] = (scope.span.first + timedelta(days=row["k0"])).isoformat()
    else:
        rows.sort(key=lambda row: (-sum(row[column] for column in TOKENS.values()), str(row["k0"])))
    names = names_of(actor, group_by, [row["k0"] for row in rows])
    return [{"key": _key(row["k0"]), "name": names.get(row["k0"]), **_line(row)} for row in rows]


def _key(key: Key) -> str | None:
    return None if key is None else str(key)


def _line(row: Row) -> Wire:
    line = sums_wire(row)
    tokens = line["tokenUsage"]
    return {
        **line,
        "promptTokens": tokens["input"] + tokens["cacheRead"] + tokens["cacheWrite"],
        "completionTokens": tokens["output"] + tokens["reasoning"],
        "totalTokens": tokens["total"],
        "timeToFirstTokenMs": percentiles(row["first_tokens"], SHARES),
        "durationMs": percentiles(row["durations"], SHARES),
    }


def _added(rows: list[Row]) -> Row:
    """One row of all: the sums, and how often each time was measured."""
    added: Row = {name: sum(row[name] for row in rows) for name in MEASURED}
    for name in TIMES:
        added[name] = Counter()
        for row in rows:
            added[name].update(row[name])
    return added
