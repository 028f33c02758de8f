"""Sums over a span, from the hours where they are sealed and from the attempts where they are not: one statement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection

from billing.measures import (
    IDS,
    IS_REQUEST,
    KEYS,
    MEASURES,
    attempt_key,
    attempt_sum,
    attempt_times,
    hour_key,
    hour_sum,
    hour_times,
)
from billing.sealing import EARLIEST, sealed_until
from billing.spans import Piece, Span, pieces
from workspaces.statements import as_id, from_id

Key = str | UUID | None


@dataclass(frozen=True, slots=True)
class Scope:
    """What is added up: a workspace's attempts in a span, narrowed by what they are of.

    `filters` are (name of `KEYS`, value); a value of None is "of nobody". An attempt belongs to the moment of its
    reservation.
    """

    workspace_id: UUID
    span: Span
    filters: tuple[tuple[str, Key], ...] = ()


@dataclass(frozen=True, slots=True)
class Top:
    """A group by its place in a list of values, all others together behind them."""

    key: str
    values: Sequence[Key]

    def sql(self, column: str) -> tuple[str, list[Any]]:
        cases, parameters = [], []
        for place, value in enumerate(self.values):
            told, values = equals(self.key, column, value)
            cases.append(f"WHEN {told} THEN {place}")
            parameters += values
        # Numbers only; the values are parameters.
        return (f"CASE {' '.join(cases)} ELSE {len(self.values)} END" if cases else "0"), parameters


Group = str | Top
"""A key of `KEYS`, `part` or `day` (the number of the chart's part, or of the span's day), or `Top`."""


@dataclass(slots=True)
class _Select:
    text: list[str] = field(default_factory=list)
    parameters: list[Any] = field(default_factory=list)


def read(
    scope: Scope,
    groups: Sequence[Group] = (),
    *,
    measures: Sequence[str] = MEASURES,
    times: Sequence[str] = (),
    order_by: Sequence[str] = (),
    limit: int | None = None,
) -> list[dict[str, Any]]:
    """A row per group that has attempts: its keys as `k0`, `k1` …, its sums and its joined times by name.

    `order_by` takes names of measures, the most first, ties by the keys. Without groups: one row, or none.
    """
    select = _union(scope, groups, measures, times)
    if select is None:
        return []
    keys = [f"k{place}" for place in range(len(groups))]
    aggregate = "group_concat" if connection.vendor == "sqlite" else "string_agg"
    columns = [
        *keys,
        *(f"SUM({measure}) AS {measure}" for measure in measures),
        *(f"{aggregate}({name}, ' ') AS {name}" for name in times),
    ]
    text = f"SELECT {', '.join(columns)} FROM ({select.text[0]}) u"  # noqa: S608
    if keys:
        text += f" GROUP BY {', '.join(keys)}"
    if order_by:
        text += f" ORDER BY {', '.join([*(f'SUM({name}) DESC' for name in order_by), *keys])}"
    if limit is not None:
        text += f" LIMIT {int(limit)}"
    with connection.cursor() as cursor:
        cursor.execute(text, select.parameters)
        rows = cursor.fetchall()
    names = [*keys, *measures, *times]
    ids = [place for place, group in enumerate(groups) if isinstance(group, str) and group in IDS]
    found = []
    for values in rows:
        row = dict(zip(names, values, strict=True))
        for place in ids:
            row[f"k{place}"] = from_id(row[f"k{place}"])
        for measure in measures:
            row[measure] = int(row[measure] or 0)
        found.append(row)
    if not keys and found and "requests" in measures and not found[0]["requests"]:
        return []
    return found


def _union(
    scope: Scope, groups: Sequence[Group], measures: Sequence[str], times: Sequence[str]
) -> _Select | None:
    by_conversation = any(name == "conversation" for name, _ in scope.filters)
    sealed = EARLIEST if by_conversation else sealed_until(scope.workspace_id)
    span = scope.span
    parts = span.parts() if "part" in groups else span.midnights() if "day" in groups else [span.start]
    from_hours, from_attempts = pieces(parts, span.end, sealed)
    halves = []
    if from_hours:
        columns = [
            *(f"{hour_sum(measure)} AS {measure}" for measure in measures),
            *(f"{hour_times(name)} AS {name}" for name in times),
        ]
        halves.append(
            _half("billing_usagehour h", "h.hour", from_hours, scope, groups, columns, hour_key, "")
        )
    if from_attempts:
        columns = [
            *(f"{attempt_sum(measure)} AS {measure}" for measure in measures),
            *(f"{attempt_times(name)} AS {name}" for name in times),
        ]
        halves.append(
            _half(
                "billing_attempt a",
                "a.reserved_at",
                from_attempts,
                scope,
                groups,
                columns,
                attempt_key,
                f" AND {IS_REQUEST}",
                by_conversation=by_conversation,
            )
        )
    if not halves:
        return None
    return _Select(
        [" UNION ALL ".join(half.text[0] for half in halves)],
        [value for half in halves for value in half.parameters],
    )


def _half(
    table: str,
    moment: str,
    stretches: Sequence[Piece],
    scope: Scope,
    groups: Sequence[Group],
    columns: Sequence[str],
    key: Any,
    more: str,
    *,
    by_conversation: bool = False,
) -> _Select:
    chosen: list[str] = []
    parameters: list[Any] = []
    joined = len(stretches) > 1
    for place, group in enumerate(groups):
        if isinstance(group, Top):
            told, values = group.sql(key(group.key))
            chosen.append(f"{told} AS k{place}")
            parameters += values
        elif group in ("part", "day"):
            chosen.append(f"{'s.column1' if joined else stretches[0].part} AS k{place}")
        else:
            chosen.append(f"{key(group)} AS k{place}")
    alias = table.rsplit(" ", 1)[1]
    # An index by the workspace would be taken before the one by the conversation.
    held = (
        f"+{alias}.workspace_id"
        if by_conversation and connection.vendor == "sqlite"
        else f"{alias}.workspace_id"
    )
    if joined:
        source = f"(VALUES {', '.join(['(%s, %s, %s)'] * len(stretches))}) AS s CROSS JOIN {table}"
        where = f"{moment} >= s.column2 AND {moment} < s.column3"
        for one in stretches:
            parameters += [one.part, _moment(one.start), _moment(one.end)]
        parameters.append(as_id(scope.workspace_id))
        if connection.vendor == "postgresql":
            # All of them together once more: its planner sees no bounds in a list of values, and would read every row.
            where += f" AND {moment} >= %s AND {moment} < %s"
            parameters += [
                _moment(min(one.start for one in stretches)),
                _moment(max(one.end for one in stretches)),
            ]
    else:
        source, where = table, f"{moment} >= %s AND {moment} < %s"
        parameters += [as_id(scope.workspace_id), _moment(stretches[0].start), _moment(stretches[0].end)]
    text = f"SELECT {', '.join([*chosen, *columns])} FROM {source} WHERE {held} = %s AND {where}{more}"  # noqa: S608
    for name, value in scope.filters:
        told, values = equals(name, key(name), value)
        text += f" AND {told}"
        parameters += values
    if groups:
        text += f" GROUP BY {', '.join(str(place + 1) for place in range(len(groups)))}"
    return _Select([text], parameters)


def equals(name: str, column: str, value: Key) -> tuple[str, list[Any]]:
    """A condition on a column of `KEYS`; None is what has no such thing."""
    if name not in KEYS:
        raise ValueError(name)
    if value is None:
        return (f"{column} IS NULL", []) if name in IDS else (f"{column} = ''", [])
    return f"{column} = %s", [as_id(value) if isinstance(value, UUID) else value]


def _moment(value: datetime) -> Any:
    return connection.ops.adapt_datetimefield_value(value)
