"""What the usage page shows: totals, costs by bucket, groups, and the same over time. Money is exact everywhere.

Everybody in a workspace sees its usage; of a conversation they may not read they see the numbers without its
title. All of it is made of sums by `billing.reading`, so that what is shown here, in an export and in the
API is one and the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from django.db.models import F
from django.utils import timezone

from agents.models import Agent
from billing.measures import KEYS, MEASURES, PURPOSES, TOKENS
from billing.models import PriceVersion
from billing.reading import Key, Scope, Top, read
from billing.sealing import first_attempt, usage_seal
from billing.selectors import conversation_names, zone_of
from billing.spans import Span, span_of
from nexus_core.usage import pico_to_usd
from workspaces.access import Actor, Invalid
from workspaces.models import User

GroupBy = Literal["agent", "model", "provider", "user", "conversation", "purpose"]
GROUPS: tuple[GroupBy, ...] = ("agent", "model", "provider", "user", "conversation", "purpose")
NOBODY = "~"
"""How a filter says: of no agent, of no person, of no conversation."""
MOST_GROUPS = 50
MOST_STACKED = 4
SEALING = timedelta(milliseconds=300)
"""How long one look at the page may add up hours that are over."""
SHARES = (50, 95, 99)

Wire = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Chosen:
    """What a person chose to see. Filters are names of `GROUPS` with the value, `~` for none."""

    range: str = "month"
    since: date | None = None
    until: date | None = None
    filters: Mapping[str, str] = field(default_factory=dict)


def scope_of(actor: Actor, chosen: Chosen, now: datetime | None = None) -> Scope:
    """Of the actor's workspace, in the actor's own days. Raises `Invalid`."""
    first = first_attempt(actor.workspace_id) if chosen.range == "all" else None
    span = span_of(
        chosen.range,
        zone_of(actor.user),
        since=chosen.since,
        until=chosen.until,
        first=first,
        now=now or timezone.now(),
    )
    filters = tuple((name, _value(name, value)) for name, value in chosen.filters.items() if value)
    return Scope(actor.workspace_id, span, filters)


def usage_overview(
    actor: Actor, chosen: Chosen, group_by: str = "agent", now: datetime | None = None
) -> Wire:
    """Everything that is a sum: totals, what each bucket cost, the groups by their cost, and all of it over time."""
    if group_by not in GROUPS:
        raise Invalid(f"groupBy must be one of {', '.join(GROUPS)}, not {group_by!r}.")
    usage_seal(workspace_id=actor.workspace_id, within=SEALING)
    scope = scope_of(actor, chosen, now)
    by_price, found, totals = _sums(scope, group_by)
    shown = found[:MOST_GROUPS]
    names = names_of(actor, group_by, [row["k0"] for row in shown])
    return {
        "span": span_wire(scope.span),
        "groupBy": group_by,
        "totals": line_wire(totals),
        "before": _before(scope),
        "costByBucket": _cost_by_bucket(by_price, totals),
        "groups": [
            {"key": key_wire(row["k0"]), "name": names.get(row["k0"]), **line_wire(row)} for row in shown
        ],
        "rest": line_wire(_less(totals, shown)) if len(found) > MOST_GROUPS else None,
        "overTime": _over_time(scope, group_by, shown[:MOST_STACKED], names, totals),
    }


def usage_latencies(
    actor: Actor, chosen: Chosen, group_by: str = "model", now: datetime | None = None
) -> Wire:
    """p50, p95 and p99 (nearest rank) of the time to the first token and of the whole request: of all, of each group
    (those with the most requests), and of all over time."""
    if group_by not in GROUPS:
        raise Invalid(f"groupBy must be one of {', '.join(GROUPS)}, not {group_by!r}.")
    scope = scope_of(actor, chosen, now)
    most = read(scope, [group_by], measures=("requests", "errors", "tokens_output", "tokens_reasoning"),
                order_by=("requests",), limit=MOST_GROUPS)  # fmt: skip
    names = names_of(actor, group_by, [row["k0"] for row in most])
    top = Top(group_by, [row["k0"] for row in most])
    rows = read(scope, ["part", top], measures=("requests",), times=("first_tokens", "durations"))
    parts = scope.span.parts()
    groups = [
        {
            "key": key_wire(row["k0"]),
            "name": names.get(row["k0"]),
            "requests": row["requests"],
            "errors": row["errors"],
            **_times([found for found in rows if found["k1"] == place]),
        }
        for place, row in enumerate(most)
    ]
    first = [percentiles(counted(rows, "first_tokens", part)) for part in range(len(parts))]
    return {
        "span": span_wire(scope.span),
        "groupBy": group_by,
        **_times(rows),
        "groups": groups,
        "overTime": {"starts": [instant(part) for part in parts], "timeToFirstTokenMs": first},
    }


def line_wire(row: Mapping[str, int]) -> Wire:
    """A line of all `MEASURES`."""
    return {**sums_wire(row), **{name: row[name] for name in ("retries", "fallbacks", "lost")}}


def sums_wire(row: Mapping[str, int]) -> Wire:
    """A line of sums. Cost is null where requests were made and none of them has a price."""
    unknown = row["unpriced"] > 0 and row["priced"] == 0
    tokens = {name: row[column] for name, column in TOKENS.items()}
    return {
        "requests": row["requests"],
        "errors": row["errors"],
        "estimated": row["estimated"],
        "unpriced": row["unpriced"],
        "cost": None if unknown else pico_to_usd(row["cost_total"]),
        "inputCost": None if unknown else pico_to_usd(row["cost_input"]),
        "outputCost": None if unknown else pico_to_usd(row["cost_output"]),
        "currency": "USD",
        "tokenUsage": tokens_wire(tokens),
    }


def tokens_wire(tokens: Mapping[str, int]) -> Wire:
    return {
        "input": tokens["input"],
        "output": tokens["output"],
        "cacheRead": tokens["cache_read"],
        "cacheWrite": tokens["cache_write_5m"] + tokens["cache_write_1h"],
        "reasoning": tokens["reasoning"],
        "total": sum(tokens.values()),
    }


def span_wire(span: Span) -> Wire:
    return {
        "range": span.name,
        "from": span.first.isoformat(),
        "to": span.last.isoformat(),
        "timeZone": span.zone.key,
        "unit": span.unit,
    }


def instant(value: datetime) -> str:
    return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def key_wire(key: Key) -> str | None:
    return str(key) if key not in (None, "") else None


def names_of(actor: Actor, group_by: str, keys: Iterable[Key]) -> dict[Key, str]:
    """Names for people; of conversations only those that the actor may read."""
    known = [key for key in keys if key not in (None, "")]
    ids = [key for key in known if isinstance(key, UUID)]
    match group_by:
        case "agent":
            rows = Agent.objects.filter(workspace_id=actor.workspace_id, slug__in=known)
            # A slug may have been given again: whoever has it now comes last, on every database.
            rows = rows.order_by(F("deleted_at").asc(nulls_last=True))
            return {row.slug: row.name for row in rows}
        case "user":
            return {user.pk: user.display_name for user in User.objects.filter(pk__in=ids)}
        case "conversation":
            return {key: title or "New conversation" for key, title in conversation_names(actor, ids).items()}
        case "purpose":
            return {str(key): PURPOSES[str(key)] for key in known}
        case _:
            return {key: str(key) for key in known}


def _value(name: str, text: str) -> Key:
    if name not in GROUPS:
        raise Invalid(f"{name} is nothing to filter by.")
    if text == NOBODY:
        return None
    if name not in ("user", "conversation"):
        return text
    try:
        return UUID(text)
    except ValueError:
        raise Invalid(f"{name} must be an id.") from None


def _sums(
    scope: Scope, group_by: str
) -> tuple[dict[Key, Counter[str]], list[dict[str, Any]], Mapping[str, int]]:
    """By price, by group (the dearest first, at most one more than is shown), and in all: in as few readings as can be.

    There are few agents, people and models, so that one reading by both gives all three; there may be more
    conversations than anybody wants to fetch.
    """
    order = ("cost_total", *TOKENS.values())
    many = group_by == "conversation"
    rows = read(scope, ["price"] if many else ["price", group_by])
    by_price: dict[Key, Counter[str]] = {}
    groups: dict[Key, Counter[str]] = {}
    for row in rows:
        numbers = Counter({name: row[name] for name in MEASURES})
        for key, sums in ((row["k0"], by_price), (row.get("k1"), groups)):
            sums[key] = sums[key] + numbers if key in sums else numbers
    totals: Counter[str] = sum(by_price.values(), Counter())
    if many:
        found = read(scope, [group_by], order_by=order, limit=MOST_GROUPS + 1) if rows else []
    else:
        found = [{"k0": key, **{name: sums[name] for name in MEASURES}} for key, sums in groups.items()]
        found.sort(key=lambda row: ([-row[name] for name in order], str(row["k0"])))
    return by_price, found, {name: totals[name] for name in MEASURES}


def _sum(rows: list[dict[str, Any]]) -> dict[str, int]:
    return rows[0] if rows else Counter()


def _less(totals: Mapping[str, int], rows: list[dict[str, Any]]) -> dict[str, int]:
    """What is left of the totals behind those rows."""
    return {name: value - sum(row[name] for row in rows) for name, value in totals.items()}


def _before(scope: Scope) -> Wire | None:
    """The days before, to compare with; of "all" there are none."""
    if scope.span.name == "all":
        return None
    span = scope.span.before()
    row = _sum(read(Scope(scope.workspace_id, span, scope.filters)))
    line = line_wire(row)
    return {"from": span.first.isoformat(), "to": span.last.isoformat()} | {
        name: line[name] for name in ("requests", "errors", "cost", "unpriced")
    }


def _cost_by_bucket(rows: Mapping[Key, Mapping[str, int]], totals: Mapping[str, int]) -> list[Wire]:
    """Tokens by price, exactly; fees by the request or the search are what the tokens leave of the cost."""
    prices = PriceVersion.objects.in_bulk([key for key in rows if isinstance(key, UUID)])
    tokens: Counter[str] = Counter()
    unpriced: Counter[str] = Counter()
    costs: Counter[str] = Counter()
    for key, row in rows.items():
        price = prices.get(key) if isinstance(key, UUID) else None
        for name, column in TOKENS.items():
            tokens[name] += row[column]
            if price is None:
                unpriced[name] += row[column]
            else:
                costs[name] += row[column] * price_of(price, name)
    lines = [
        {
            "bucket": name,
            "tokens": tokens[name],
            "unpricedTokens": unpriced[name],
            "cost": None if tokens[name] and unpriced[name] == tokens[name] else pico_to_usd(costs[name]),
        }
        for name in TOKENS
    ]
    fees = totals["cost_total"] - sum(costs.values())
    return [*lines, {"bucket": "fees", "tokens": None, "unpricedTokens": 0, "cost": pico_to_usd(fees)}]


def price_of(price: PriceVersion, bucket: str) -> int:
    """pico-USD per token of a bucket; thinking without a price of its own costs what output does."""
    value: int | None = getattr(price, bucket)
    return price.output if value is None else value


def _over_time(
    scope: Scope,
    group_by: str,
    top: list[dict[str, Any]],
    names: Mapping[Key, str],
    totals: Mapping[str, int],
) -> Wire:
    """Columns, one number per part of the span: costs of the first groups and of all others, tokens, requests, errors."""
    parts = scope.span.parts()
    size = len(parts)
    keys = Top(group_by, [row["k0"] for row in top])
    wanted = ("requests", "errors", "unpriced", "priced", "cost_total", *TOKENS.values())
    rows = read(scope, ["part", keys], measures=wanted) if totals["requests"] else []
    columns = {name: [0] * size for name in ("requests", "errors", *TOKENS)}
    stacks: list[list[str | None]] = [["0"] * size for _ in range(len(top) + 1)]
    used = set()
    for row in rows:
        part = row["k0"]
        used.add(row["k1"])
        unknown = row["unpriced"] > 0 and row["priced"] == 0
        stacks[row["k1"]][part] = None if unknown else pico_to_usd(row["cost_total"])
        for name in ("requests", "errors"):
            columns[name][part] += row[name]
        for name, column in TOKENS.items():
            columns[name][part] += row[column]
    series = [
        {"key": key_wire(row["k0"]), "name": names.get(row["k0"]), "isRest": False, "cost": stacks[place]}
        for place, row in enumerate(top)
    ]
    if len(top) in used:
        series.append({"key": None, "name": None, "isRest": True, "cost": stacks[-1]})
    return {
        "starts": [instant(part) for part in parts],
        "series": series,
        "tokens": {
            "input": columns["input"],
            "cacheRead": columns["cache_read"],
            "cacheWrite": [
                a + b for a, b in zip(columns["cache_write_5m"], columns["cache_write_1h"], strict=True)
            ],
            "output": columns["output"],
            "reasoning": columns["reasoning"],
        },
        "requests": columns["requests"],
        "errors": columns["errors"],
    }


def _times(rows: list[dict[str, Any]]) -> Wire:
    return {
        "timeToFirstTokenMs": percentiles(counted(rows, "first_tokens")),
        "durationMs": percentiles(counted(rows, "durations")),
    }


def counted(rows: list[dict[str, Any]], name: str, part: int | None = None) -> Counter[str]:
    texts = (row[name] or "" for row in rows if part is None or row["k0"] == part)
    return Counter(" ".join(texts).split())


def percentiles(counts: Counter[str], shares: Sequence[int] = SHARES) -> Wire:
    """Nearest rank: the smallest value with at least that share of all at or below it."""
    size = counts.total()
    told: Wire = {f"p{share}": None for share in shares}
    wanted = [(f"p{share}", max(1, -(-size * share // 100))) for share in shares] if size else []
    seen = 0
    for value, count in sorted((int(text), count) for text, count in counts.items()):
        seen += count
        while wanted and seen >= wanted[0][1]:
            told[wanted.pop(0)[0]] = value
    return told


assert set(GROUPS) < set(KEYS)
