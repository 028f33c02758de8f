"""The ledger: what closes an attempt, what a tool cost, corrections. Written here only, never changed.

The entry that closes an attempt is its settlement: unique, and only whoever wrote it moves the sums of the budgets.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import orjson
from django.db import connection, transaction
from django.utils import timezone

from billing.alerts import alerts_tell
from billing.budget_models import BudgetPeriod, LedgerEntry, Reservation
from billing.models import BUCKETS, Attempt
from billing.prices import TierPrices
from nexus_core.usage import Usage
from workspaces.access import NotFound
from workspaces.statements import as_id

COPIED = (
    "workspace_id", "user_id", "token_id", "agent_slug", "conversation_id", "run_id", "provider", "model",
    "reserved_at",
)  # fmt: skip
"""What an entry takes over from its attempt."""

_LEDGER, _ATTEMPTS = LedgerEntry._meta.db_table, Attempt._meta.db_table
_PERIODS, _RESERVATIONS = BudgetPeriod._meta.db_table, Reservation._meta.db_table


def ledger_close(
    attempt_id: UUID,
    *,
    kind: str,
    usage: Usage,
    amount: int | None,
    cost_input: int | None = None,
    cost_output: int | None = None,
    price: tuple[UUID, TierPrices] | None = None,
    at_ceiling: bool = False,
    note: str = "",
) -> bool:
    """Closes the attempt in the ledger, in the caller's transaction. False: it was closed before."""
    values: dict[str, Any] = {
        "kind": kind,
        "attempt_id": as_id(attempt_id),
        "price_id": as_id(price[0] if price is not None and amount is not None else None),
        "cost_input": cost_input,
        "cost_output": cost_output,
        "amount": amount,
        "estimated": usage.estimated,
        "at_ceiling": at_ceiling,
        "numbers": numbers_of(usage, price[1] if price is not None else None),
        "note": note,
        "created_at": connection.ops.adapt_datetimefield_value(timezone.now()),
    }
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {_LEDGER} ({', '.join([*values, *COPIED])}) "  # noqa: S608
            f"SELECT {', '.join(['%s'] * len(values))}, {', '.join(COPIED)} FROM {_ATTEMPTS} WHERE id = %s "
            "ON CONFLICT DO NOTHING",
            [*values.values(), as_id(attempt_id)],
        )
        return bool(cursor.rowcount == 1)


def numbers_of(usage: Usage, price: TierPrices | None) -> str:
    """`{"input":[1000,2000000], …}`: what was counted, and pico-USD each (null: unpriced)."""
    found: dict[str, list[int | None]] = {}
    for bucket in BUCKETS:
        if count := getattr(usage, bucket):
            each = None
            if price is not None:
                each = getattr(price, bucket)
                each = price.output if each is None else each
            found[bucket] = [count, each]
    if price is not None and usage.total:
        if price.per_request:
            found["per_request"] = [1, price.per_request]
        if price.per_search and usage.searches:
            found["per_search"] = [usage.searches, price.per_search]
    return orjson.dumps(found).decode() if found else ""


def reservation_move(attempt_id: UUID, amount: int) -> None:
    """Gives back what the attempt held and counts what it cost, in the periods of its reservation.

    In the transaction that closed it in the ledger, and only there. Periods in the order of their ids.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {_RESERVATIONS} SET open = %s WHERE attempt_id = %s AND open RETURNING period_id, amount",  # noqa: S608
            [False, as_id(attempt_id)],
        )
        held = sorted(cursor.fetchall())
    periods_move([(period_id, -reserved, amount) for period_id, reserved in held])


def periods_move(moves: Sequence[tuple[int, int, int]]) -> None:
    """(period, more reserved, more spent) in the order of their ids; alerts that are due are written."""
    due = []
    with connection.cursor() as cursor:
        for period_id, reserved, spent in moves:
            cursor.execute(
                f"UPDATE {_PERIODS} SET reserved = reserved + %s, spent = spent + %s WHERE id = %s "  # noqa: S608
                "RETURNING spent >= next_alert",
                [reserved, spent, period_id],
            )
            row = cursor.fetchone()
            if row is not None and row[0]:
                due.append(period_id)
    for period_id in due:
        alerts_tell(period_id)


@transaction.atomic
def ledger_correct(*, attempt_id: UUID, amount: int, note: str) -> LedgerEntry:
    """A signed correction or refund of an attempt; counts in the periods of its reservation, closed ones too.

    Raises `NotFound`, and `ValueError` for one that says nothing or corrects nothing.
    """
    if not note.strip() or not amount:
        raise ValueError("A correction has an amount other than 0, and a note that says why.")
    attempt = Attempt.objects.filter(pk=attempt_id).first()
    if attempt is None:
        raise NotFound()
    entry = LedgerEntry(
        kind=LedgerEntry.Kind.CORRECTION,
        attempt_id=attempt.pk,
        amount=amount,
        note=note.strip()[:200],
        created_at=timezone.now(),
        **{name: getattr(attempt, name) for name in COPIED},
    )
    entry.save(force_insert=True)
    periods = Reservation.objects.filter(attempt_id=attempt.pk).values_list("period_id", flat=True)
    periods_move([(period_id, 0, amount) for period_id in sorted(set(periods))])
    return entry
