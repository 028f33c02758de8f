"""The ledger as rows for an invoice: one for each line, oldest first, money as decimal US dollars.

Exact and complete: the rows of a workspace add up to what its budgets and its usage page say, and each names the
numbers it was multiplied from, so that an invoice needs no other table.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID

import orjson

from billing.budget_models import LedgerEntry
from billing.models import BUCKETS
from nexus_core.usage import pico_to_usd
from workspaces.models import User, Workspace

AT_ONCE = 2000
COUNTED = (*BUCKETS, "per_request", "per_search")
COLUMNS = (
    "id", "kind", "workspace", "person", "agentId", "provider", "model", "conversationId", "runId", "attemptId", "toolId",
    "reservedAt", "createdAt", "amount", "currency", "priceId", "estimated", "atCeiling", "note",
    *(f"{name}{part}" for name in COUNTED for part in ("", "Price")),
)  # fmt: skip
"""`input` is a number of tokens, `inputPrice` what one of them cost; `amount` is empty where no price is known."""


def ledger_rows(
    *, workspace: str = "", first: date | None = None, last: date | None = None
) -> Iterator[dict[str, Any]]:
    """The lines of a workspace by its slug (of all: ""), of whole days of UTC, both included; by when they were spent.

    Raises `ValueError` for a workspace that there is not.
    """
    found = LedgerEntry.objects.order_by("id")
    if workspace:
        house = Workspace.objects.filter(slug=workspace).first()
        if house is None:
            raise ValueError(f"There is no workspace {workspace!r}.")
        found = found.filter(workspace_id=house.pk)
    if first is not None:
        found = found.filter(reserved_at__gte=datetime.combine(first, time(), UTC))
    if last is not None:
        found = found.filter(reserved_at__lt=datetime.combine(last + timedelta(days=1), time(), UTC))
    slugs = dict(Workspace.objects.values_list("pk", "slug"))
    after = 0
    while page := list(found.filter(id__gt=after)[:AT_ONCE]):
        people = User.objects.filter(pk__in={row.user_id for row in page if row.user_id})
        names = dict(people.values_list("pk", "username"))
        for row in page:
            yield _row(row, slugs, names)
        after = page[-1].pk


def _row(row: LedgerEntry, slugs: dict[UUID, str], names: dict[UUID, str]) -> dict[str, Any]:
    counted = orjson.loads(row.numbers) if row.numbers else {}
    told: dict[str, Any] = {
        "id": row.pk,
        "kind": row.kind,
        "workspace": slugs.get(row.workspace_id, str(row.workspace_id)),
        "person": names.get(row.user_id, str(row.user_id)) if row.user_id else None,
        "agentId": row.agent_slug or None,
        "provider": row.provider or None,
        "model": row.model or None,
        "conversationId": _text(row.conversation_id),
        "runId": _text(row.run_id),
        "attemptId": _text(row.attempt_id),
        "toolId": _text(row.tool_id),
        "reservedAt": row.reserved_at.isoformat(),
        "createdAt": row.created_at.isoformat(),
        "amount": pico_to_usd(row.amount),
        "currency": "USD",
        "priceId": _text(row.price_id),
        "estimated": row.estimated,
        "atCeiling": row.at_ceiling,
        "note": row.note,
    }
    for name in COUNTED:
        count, each = counted.get(name, (None, None))
        told |= {name: count, f"{name}Price": pico_to_usd(each)}
    return told


def _text(key: UUID | None) -> str | None:
    return str(key) if key is not None else None
