"""One attempt after the other: the list behind every number of the usage page, each attempt in full, and as files.

Newest first, by keyset. A conversation's title and link are told to those who may read it, and to nobody else.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from django.db.models import Q, QuerySet

from billing.dashboard import Wire, instant, names_of, price_of, tokens_wire
from billing.export import COLUMNS, values
from billing.measures import IDS, KEYS, TOKENS
from billing.models import FEES, Attempt
from billing.reading import Scope
from nexus_core.usage import pico_to_usd
from workspaces.access import Actor, NotFound
from workspaces.cursors import cursor_of, place_of
from workspaces.sheets import lines

Place = tuple[datetime, UUID]
PAGE = 50
MOST_LISTED = 200
EXPORT_PAGE = 2000


def attempts_in(scope: Scope) -> QuerySet[Attempt]:
    """The attempts that the sums of this scope are made of, newest first."""
    found = Attempt.objects.filter(
        workspace_id=scope.workspace_id, reserved_at__gte=scope.span.start, reserved_at__lt=scope.span.end
    ).exclude(status=Attempt.Status.RELEASED)
    for name, value in scope.filters:
        found = found.filter(_of_purpose(str(value)) if name == "purpose" else _of(name, value))
    return found.order_by("-reserved_at", "-id")


def attempts_page(actor: Actor, scope: Scope, *, limit: int = PAGE, cursor: str = "") -> Wire:
    """One page as `{items, nextCursor}`. Raises `Invalid` for a cursor that is none of ours."""
    rows, place = attempts_after(
        scope, place_of(cursor, UUID) if cursor else None, max(1, min(limit, MOST_LISTED))
    )
    return {"items": _wires(actor, rows), "nextCursor": cursor_of(*place) if place is not None else None}


def attempts_after(scope: Scope, after: Place | None, limit: int) -> tuple[list[Attempt], Place | None]:
    """The next rows, and the place behind them where there are more."""
    found = attempts_in(scope)
    if after is not None:
        moment, last = after
        # The first condition lets the index begin there; the second leaves out what shares the moment.
        found = found.filter(reserved_at__lte=moment).filter(
            Q(reserved_at__lt=moment) | Q(reserved_at=moment, id__lt=last)
        )
    rows = list(found[: limit + 1])
    more, rows = len(rows) > limit, rows[:limit]
    return rows, (rows[-1].reserved_at, rows[-1].pk) if more else None


def attempts_of_run(run_id: UUID) -> list[Wire]:
    """The provider requests of a run in their order, as a run tells them; access is the caller's matter."""
    return [
        {
            "provider": row.provider,
            "model": row.model,
            "step": row.step,
            "number": row.number,
            "status": row.status,
            "tokenUsage": tokens_wire(_tokens(row)),
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
            "startedAt": instant(row.reserved_at),
        }
        for row in Attempt.objects.filter(run_id=run_id).order_by("reserved_at", "step", "number")
    ]


def attempt_in_full(actor: Actor, attempt_id: UUID) -> Wire:
    """One attempt with what each bucket cost at which price. Raises `NotFound` for another workspace's."""
    row = (
        Attempt.objects.select_related("price").filter(pk=attempt_id, workspace_id=actor.workspace_id).first()
    )
    if row is None or row.status == Attempt.Status.RELEASED:
        raise NotFound()
    return {
        **_wires(actor, [row])[0],
        "answeredModel": row.answered_model or None,
        "maxTokens": row.max_tokens,
        "epoch": row.epoch,
        "searches": row.searches or 0,
        "stopReason": row.stop_reason or None,
        "providerRequestId": row.request_id or None,
        "settledAt": instant(row.settled_at) if row.settled_at else None,
        "price": _price_wire(row),
        "buckets": _buckets(row),
    }


def csv_header() -> str:
    return lines([COLUMNS])


def csv_page(scope: Scope, after: Place | None) -> tuple[str, Place | None]:
    """The next lines and where to go on (`None`: that was all). An unpriced cost is empty."""
    rows, place = attempts_after(scope, after, EXPORT_PAGE)
    return lines(values(row) for row in rows), place


def json_page(scope: Scope, after: Place | None) -> tuple[list[bytes], Place | None]:
    """The next objects, each by the names of the CSV's columns; an unpriced cost is null."""
    rows, place = attempts_after(scope, after, EXPORT_PAGE)
    return [orjson.dumps(dict(zip(COLUMNS, values(row), strict=True))) for row in rows], place


def _of(name: str, value: Any) -> Q:
    column = KEYS[name]
    if value is None:
        return Q(**{f"{column}__isnull": True}) if name in IDS else Q(**{column: ""})
    return Q(**{column: value})


def _of_purpose(value: str) -> Q:
    match value:
        case "chat":
            return Q(run_id__isnull=False)
        case "title":
            return Q(run_id=None, conversation_id__isnull=False)
        case "other":
            return Q(run_id=None, conversation_id=None)
        case _:
            return Q(pk__in=[])


def _tokens(row: Attempt) -> dict[str, int]:
    return {name: getattr(row, column) for name, column in TOKENS.items()}


def _purpose(row: Attempt) -> str:
    return "chat" if row.run_id else "title" if row.conversation_id else "other"


def _wires(actor: Actor, rows: list[Attempt]) -> list[Wire]:
    titles = names_of(actor, "conversation", {row.conversation_id for row in rows})
    people = names_of(actor, "user", {row.user_id for row in rows})
    agents = names_of(actor, "agent", {row.agent_slug for row in rows})
    return [
        {
            "id": str(row.pk),
            "startedAt": instant(row.reserved_at),
            "status": row.status,
            "success": row.success,
            "error": row.error_code or None,
            "purpose": _purpose(row),
            "agentId": row.agent_slug or None,
            "agentName": agents.get(row.agent_slug),
            "userId": str(row.user_id) if row.user_id else None,
            "userName": people.get(row.user_id),
            "conversationId": str(row.conversation_id) if row.conversation_id else None,
            # The title says that it may be read: without one there is nothing to link to.
            "conversationTitle": titles.get(row.conversation_id),
            "runId": str(row.run_id) if row.run_id else None,
            "step": row.step,
            "number": row.number,
            "provider": row.provider,
            "model": row.model,
            "tokenUsage": tokens_wire(_tokens(row)),
            "estimated": row.estimated,
            "cost": pico_to_usd(row.cost_total),
            "currency": "USD",
            "timeToFirstTokenMs": row.first_token_ms,
            "durationMs": row.duration_ms,
        }
        for row in rows
    ]


def _price_wire(row: Attempt) -> Wire | None:
    if row.price is None:
        return None
    return {
        "id": str(row.price.pk),
        "origin": row.price.origin,
        "model": row.price.model,
        "contextOver": row.price.context_over,
        "validFrom": instant(row.price.valid_from),
        "validTo": instant(row.price.valid_to) if row.price.valid_to else None,
        "source": row.price.source,
    }


def _buckets(row: Attempt) -> list[Wire]:
    """Tokens × price = cost, line by line; the lines add up to the attempt's cost. Prices are null where unpriced."""
    price = row.price if row.cost_total is not None else None
    found = [
        _bucket(name, getattr(row, column), None if price is None else price_of(price, name))
        for name, column in TOKENS.items()
    ]
    if price is not None and row.tokens_total:
        counts = {"per_request": 1, "per_search": row.searches or 0}
        found += [
            _bucket(fee, counts[fee], getattr(price, fee)) for fee in FEES if getattr(price, fee) is not None
        ]
    return found


def _bucket(name: str, count: int, price: int | None) -> Wire:
    cost = None if price is None else count * price
    return {
        "bucket": name,
        "count": count,
        "pricePico": price,
        "costPico": None if cost is None else str(cost),
        "cost": pico_to_usd(cost),
    }
