"""What was consumed and what it cost, for a workspace, in a range of time.

Everybody in a workspace sees its usage; of a conversation they may not read they see
the numbers without its title. An attempt belongs to the moment of its reservation.
What was refused before it left (RELEASED) is no request.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any, Literal
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.db.models import Count, F, Max, Q, QuerySet, Sum, Window
from django.db.models.functions import RowNumber, TruncDate
from django.utils import timezone

from agents.models import Agent
from billing.models import Attempt
from nexus_core.usage import pico_to_usd
from workspaces.access import Actor, Invalid
from workspaces.models import User

Range = Literal["today", "week", "month", "all"]
GroupBy = Literal["agent", "user", "model", "provider", "conversation", "day"]
RANGES: tuple[Range, ...] = ("today", "week", "month", "all")
GROUPS: tuple[GroupBy, ...] = ("agent", "user", "model", "provider", "conversation", "day")

DAYS = {"today": 1, "week": 7, "month": 30}

Namer = Callable[[Actor, Iterable[UUID]], dict[UUID, str]]
"""Titles of those conversations that the actor may read."""

_name_conversations: list[Namer] = []


def register_conversation_names(namer: Namer) -> None:
    """The floor above tells the titles; the last one registered counts."""
    _name_conversations[:] = [namer]


def conversation_names(actor: Actor, ids: Iterable[UUID]) -> dict[UUID, str]:
    """Titles of those conversations that the actor may read."""
    return dict(_name_conversations[0](actor, list(ids))) if _name_conversations else {}


def zone_of(user: User) -> ZoneInfo:
    """The person's time zone; UTC where they named none that exists."""
    try:
        return ZoneInfo(user.timezone or "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo("UTC")


def range_start(chosen: str, zone: ZoneInfo, now: datetime | None = None) -> datetime | None:
    """Where a range of the person's own days begins, today included; `None` for all. Raises `Invalid`."""
    if chosen not in RANGES:
        raise Invalid(f"range must be one of {', '.join(RANGES)}, not {chosen!r}.")
    if chosen == "all":
        return None
    today = (now or timezone.now()).astimezone(zone).date()
    return datetime.combine(today - timedelta(days=DAYS[chosen] - 1), time.min, tzinfo=zone)


def attempts_of(actor: Actor, chosen: str, *, conversation_id: UUID | None = None) -> QuerySet[Attempt]:
    """The provider requests of the actor's workspace in that range of the actor's time, or of one conversation."""
    found = Attempt.objects.filter(workspace_id=actor.workspace_id).exclude(status=Attempt.Status.RELEASED)
    if conversation_id is not None:
        found = found.filter(conversation_id=conversation_id)
    start = range_start(chosen, zone_of(actor.user))
    return found if start is None else found.filter(reserved_at__gte=start)


def usage_totals(actor: Actor, chosen: str, *, conversation_id: UUID | None = None) -> dict[str, Any]:
    """One line for the whole range, on the wire; of one conversation on demand (access is the caller's matter)."""
    attempts = attempts_of(actor, chosen, conversation_id=conversation_id).order_by()
    line = _Line.of(attempts.aggregate(**_SUMS))
    return {
        **line.to_wire(),
        "timeToFirstTokenMs": _percentiles(attempts, "first_token_ms").get(None, _NO_PERCENTILES),
        "durationMs": _percentiles(attempts, "duration_ms").get(None, _NO_PERCENTILES),
    }


def usage_grouped(actor: Actor, chosen: str, group_by: str) -> list[dict[str, Any]]:
    """A line per agent, user, model, provider, conversation or day: days in order, else the most tokens first.

    Each has `key` and `name` (the title, or null where the actor may not read it). The sums
    over all lines are the totals. Raises `Invalid` for another word.
    """
    if group_by not in GROUPS:
        raise Invalid(f"groupBy must be one of {', '.join(GROUPS)}, not {group_by!r}.")
    attempts = attempts_of(actor, chosen).order_by()
    if group_by == "day":
        attempts = attempts.annotate(group=TruncDate("reserved_at", tzinfo=zone_of(actor.user)))
    else:
        attempts = attempts.annotate(group=F(_COLUMNS[group_by]))
    first_token, duration = (
        _percentiles(attempts, name, "group") for name in ("first_token_ms", "duration_ms")
    )
    rows = list(attempts.values("group").annotate(**_SUMS))
    names = _names(actor, group_by, [row["group"] for row in rows])
    lines = [(row["group"], _Line.of(row)) for row in rows]
    if group_by == "day":
        lines.sort(key=lambda line: line[0])
    else:
        lines.sort(key=lambda line: (-line[1].tokens["total"], str(line[0])))
    return [
        {
            "key": _key(group),
            "name": names.get(group),
            **line.to_wire(),
            "timeToFirstTokenMs": first_token.get(group, _NO_PERCENTILES),
            "durationMs": duration.get(group, _NO_PERCENTILES),
        }
        for group, line in lines
    ]


def attempts_of_run(run_id: UUID) -> list[dict[str, Any]]:
    """The provider requests of a run in their order, on the wire; access is the caller's matter."""
    return [
        attempt_wire(row)
        for row in Attempt.objects.filter(run_id=run_id).order_by("reserved_at", "step", "number")
    ]


def agents_last_used(agent_ids: Iterable[UUID]) -> dict[UUID, datetime]:
    """When a model was asked last for each agent."""
    rows = Attempt.objects.filter(agent_id__in=list(agent_ids)).order_by().values("agent_id")
    return {row["agent_id"]: row["at"] for row in rows.annotate(at=Max("reserved_at")) if row["agent_id"]}


def attempt_wire(row: Attempt) -> dict[str, Any]:
    return {
        "provider": row.provider,
        "model": row.model,
        "step": row.step,
        "number": row.number,
        "status": row.status,
        "tokenUsage": _Line.of_attempt(row).tokens,
        "cost": {
            "input": pico_to_usd(row.cost_input),
            "output": pico_to_usd(row.cost_output),
            "total": pico_to_usd(row.cost_total),
            "currency": "USD",
        },
        "estimated": row.estimated,
        "durationMs": row.duration_ms,
        "timeToFirstTokenMs": row.first_token_ms,
        "stopReason": row.stop_reason or None,
        "error": row.error_code or None,
        "startedAt": row.reserved_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }


@dataclass(frozen=True, slots=True)
class _Line:
    requests: int
    errors: int
    estimated: int
    unpriced: int
    priced: int
    cost: int
    cost_input: int
    cost_output: int
    tokens: dict[str, int]

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> _Line:
        def number(name: str) -> int:
            return int(row[name] or 0)

        return cls(
            **{
                name: number(name)
                for name in (
                    "requests",
                    "errors",
                    "estimated",
                    "unpriced",
                    "priced",
                    "cost",
                    "cost_input",
                    "cost_output",
                )
            },
            tokens=_tokens({name: number(name) for name in _TOKENS}),
        )

    @classmethod
    def of_attempt(cls, row: Attempt) -> _Line:
        tokens = _tokens({name: getattr(row, column) for name, column in _TOKENS.items()})
        return cls(1, 0, 0, 0, 0, 0, 0, 0, tokens)

    def to_wire(self) -> dict[str, Any]:
        """Cost is null where requests were made and none of them has a price."""
        unknown = self.unpriced > 0 and self.priced == 0
        return {
            "requests": self.requests,
            "errors": self.errors,
            "estimated": self.estimated,
            "unpriced": self.unpriced,
            "cost": None if unknown else pico_to_usd(self.cost),
            "inputCost": None if unknown else pico_to_usd(self.cost_input),
            "outputCost": None if unknown else pico_to_usd(self.cost_output),
            "currency": "USD",
            "tokenUsage": self.tokens,
            "promptTokens": self.tokens["input"] + self.tokens["cacheRead"] + self.tokens["cacheWrite"],
            "completionTokens": self.tokens["output"] + self.tokens["reasoning"],
            "totalTokens": self.tokens["total"],
        }


_COLUMNS = {
    "agent": "agent_slug",
    "user": "user_id",
    "model": "model",
    "provider": "provider",
    "conversation": "conversation_id",
}
_TOKENS = {
    "input": "tokens_input",
    "output": "tokens_output",
    "cache_read": "tokens_cache_read",
    "cache_write_5m": "tokens_cache_write_5m",
    "cache_write_1h": "tokens_cache_write_1h",
    "reasoning": "tokens_reasoning",
}
_SPENT = sum((F(column) for column in list(_TOKENS.values())[1:]), start=F("tokens_input"))
_ENDED = Q(status__in=[Attempt.Status.SETTLED, Attempt.Status.UNKNOWN])
_SUMS: dict[str, Any] = {
    "requests": Count("pk"),
    "errors": Count("pk", filter=Q(success=False)),
    "estimated": Count("pk", filter=Q(estimated=True)),
    # A refused request used no tokens: whatever their price, it cost nothing.
    "unpriced": Count(
        "pk",
        filter=_ENDED
        & Q(cost_total__isnull=True)
        & ~Q(
            tokens_input=0,
            tokens_output=0,
            tokens_cache_read=0,
            tokens_cache_write_5m=0,
            tokens_cache_write_1h=0,
            tokens_reasoning=0,
        ),
    ),
    "priced": Count("pk", filter=Q(cost_total__isnull=False)),
    "cost": Sum("cost_total"),
    "cost_input": Sum("cost_input"),
    "cost_output": Sum("cost_output"),
    **{name: Sum(column) for name, column in _TOKENS.items()},
}
_NO_PERCENTILES: dict[str, int | None] = {"p50": None, "p95": None}


def _tokens(counts: dict[str, int]) -> dict[str, int]:
    """`tokenUsage` of PROTOCOL: both lifetimes of cache writes in one."""
    return {
        "input": counts["input"],
        "output": counts["output"],
        "cacheRead": counts["cache_read"],
        "cacheWrite": counts["cache_write_5m"] + counts["cache_write_1h"],
        "reasoning": counts["reasoning"],
        "total": sum(counts.values()),
    }


def _percentiles(
    attempts: QuerySet[Attempt], column: str, group: str | None = None
) -> dict[Any, dict[str, int | None]]:
    """p50 and p95 (nearest rank) of a column, per group; in the database, whichever it is."""
    known = attempts.filter(**{f"{column}__isnull": False})
    keys = [group] if group else []
    sizes = (
        {tuple(row[k] for k in keys): row["n"] for row in known.values(*keys).annotate(n=Count("pk"))}
        if keys
        else {(): known.count()}
    )
    ranked = known.annotate(
        rank=Window(RowNumber(), partition_by=[F(group)] if group else None, order_by=F(column).asc())
    )
    wanted = {_rank(size, share) for size in sizes.values() if size for share in (50, 95)}
    if not wanted:
        return {}
    values = {
        (tuple(row[k] for k in keys), row["rank"]): row[column]
        for row in ranked.filter(rank__in=wanted).values(*keys, "rank", column)
    }
    return {
        (key[0] if key else None): {f"p{share}": values.get((key, _rank(size, share))) for share in (50, 95)}
        for key, size in sizes.items()
        if size
    }


def _rank(size: int, share: int) -> int:
    return max(1, -(-size * share // 100))


def _key(group: Any) -> str | None:
    if group is None:
        return None
    return group.isoformat() if isinstance(group, date) else str(group)


def _names(actor: Actor, group_by: str, groups: list[Any]) -> dict[Any, str]:
    known = [group for group in groups if group is not None]
    match group_by:
        case "agent":
            rows = Agent.objects.filter(workspace_id=actor.workspace_id, slug__in=known).order_by(
                "-deleted_at"
            )
            return {row.slug: row.name for row in rows}
        case "user":
            return {user.pk: user.display_name for user in User.objects.filter(pk__in=known)}
        case "conversation":
            return dict(conversation_names(actor, known))
        case _:
            return {group: _key(group) or "" for group in known}
