"""Reserving: an attempt's worst case is held of every budget in force, or of none.

The UPDATE's WHERE is what holds a budget, whoever asks at the same moment. Periods are touched in the order of their
ids, last of all rows of a transaction, so that nobody waits in a circle.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.db import connection

from billing.alerts import next_alert_of, percentages
from billing.budget_models import Budget, BudgetPeriod, Reservation
from billing.ledger import periods_move
from billing.prices import PriceSheet
from billing.worst_case import LEAST_ANSWER, WorstCase, at_ceiling, worst_case
from nexus_core.errors import BudgetExceeded, PriceUnknown
from nexus_core.providers.base import ModelRequest
from workspaces.statements import as_id

_BUDGETS, _PERIODS = Budget._meta.db_table, BudgetPeriod._meta.db_table
_RESERVATIONS = Reservation._meta.db_table

HAS_BUDGETS = f"EXISTS (SELECT 1 FROM {_BUDGETS} WHERE workspace_id = %s AND deleted_at IS NULL)"  # noqa: S608
"""Asked along with the attempt's INSERT: a workspace without budgets pays for no statement more."""

MOST_HELD = 10**17
"""A hundred thousand dollars; what may cost more is no call but a mistake, and no budget has room for it."""


@dataclass(frozen=True, slots=True)
class InForce:
    """A budget that applies to a call, with the period it falls into (`period_id` None: not begun)."""

    budget_id: UUID
    title: str
    key: str
    limit: int
    hard: bool
    refuse: bool
    ceiling: int | None
    alerts: tuple[int, ...] = ()
    period_id: int | None = None
    spent: int = 0
    reserved: int = 0

    @property
    def room(self) -> int:
        return self.limit - self.spent - self.reserved


@dataclass(frozen=True, slots=True)
class Held:
    """What an attempt may spend. `amount` is held of each of `periods`; without any, nothing applies.

    `ceiling` is what a token counts for where no price is known.
    """

    max_tokens: int
    amount: int = 0
    periods: tuple[int, ...] = ()
    limited_by: str = ""
    ceiling: int | None = None


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose budgets apply."""

    workspace_id: UUID
    user_id: UUID | None = None
    agent_slug: str = ""
    token_id: UUID | None = None
    conversation_id: UUID | None = None

    @property
    def scopes(self) -> list[tuple[str, str]]:
        found = [("workspace", "")]
        for scope, value in (
            ("user", self.user_id),
            ("agent", self.agent_slug),
            ("token", self.token_id),
            ("conversation", self.conversation_id),
        ):
            if value:
                found.append((scope, str(value)))
        return found


def period_key(period: str, at: datetime) -> str:
    """`2026-11-21`, `2026-11` or `total`: the day or month of UTC in which that moment lies."""
    day = at.astimezone(UTC).date().isoformat()
    return {"day": day, "month": day[:7]}.get(period, "total")


def budgets_in_force(caller: Caller, at: datetime, *, locked: bool = False) -> list[InForce]:
    """The budgets that apply to a call at that moment, in the order of their periods' ids.

    `locked`: the periods, which must have begun, stay as they are until the transaction ends.
    """
    scopes = caller.scopes
    keys = [period_key(period, at) for period in ("day", "month", "total")]
    told = " OR ".join(["(b.scope = %s AND b.scope_id = %s)"] * len(scopes))
    join = "JOIN" if locked else "LEFT JOIN"
    lock = " FOR UPDATE OF p" if locked and connection.vendor == "postgresql" else ""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT b.id, b.name, b.scope, b.period, b.limit_pico, b.hard, b.on_end, b.ceiling, b.alert_at, "  # noqa: S608
            f"p.id, p.spent, p.reserved FROM {_BUDGETS} b {join} {_PERIODS} p ON p.budget_id = b.id AND p.key = "
            "CASE b.period WHEN 'day' THEN %s WHEN 'month' THEN %s ELSE %s END "
            f"WHERE b.workspace_id = %s AND b.deleted_at IS NULL AND ({told}) ORDER BY p.id, b.id{lock}",
            [*keys, as_id(caller.workspace_id), *(value for pair in scopes for value in pair)],
        )
        rows = cursor.fetchall()
    return [_in_force(row, at) for row in rows]


def _in_force(row: Sequence[Any], at: datetime) -> InForce:
    budget_id, name, scope, period, limit, hard, on_end, ceiling, alerts, period_id, spent, reserved = row
    budget = Budget(name=name, scope=scope, period=period)
    return InForce(
        budget_id=budget_id if isinstance(budget_id, UUID) else UUID(hex=budget_id),
        title=budget.title,
        key=period_key(period, at),
        limit=limit,
        hard=bool(hard),
        refuse=on_end == Budget.OnEnd.REFUSE,
        ceiling=ceiling,
        alerts=percentages(alerts),
        period_id=period_id,
        spent=spent or 0,
        reserved=reserved or 0,
    )


def budgets_reserve(
    attempt_id: UUID,
    caller: Caller,
    request: ModelRequest,
    provider: str,
    sheet: PriceSheet | None,
    at: datetime,
) -> Held:
    """Holds the worst case of that attempt, in the caller's transaction, as its last locks.

    Raises:
        BudgetExceeded: a hard budget has no room for a useful answer; the error names it.
        PriceUnknown: a hard budget applies, and neither a price nor a ceiling is known.
    """
    found = budgets_in_force(caller, at)
    if not found:
        return Held(request.max_tokens)
    worst, ceiling = worst_of(request, provider, sheet, found)
    if worst is None or not worst.cost(request.max_tokens):
        return Held(request.max_tokens)  # of unknown price where nothing is held by it, or free
    found = _begun(found, caller, at)
    max_tokens, limited_by = request.max_tokens, ""
    amount = worst.cost(max_tokens)
    short = _hold(found, amount)
    if short is not None:
        found = budgets_in_force(caller, at, locked=True)
        max_tokens, limited_by = affordable_now(found, worst, request.max_tokens)
        amount = worst.cost(max_tokens)
        short = _hold(found, amount)
        if short is not None:
            raise _exceeded(short)
    periods = tuple(one.period_id for one in found if one.period_id is not None)
    _write_lines(attempt_id, periods, amount, ceiling)
    return Held(max_tokens, amount, periods, limited_by, ceiling)


def budgets_count(entry_id: UUID, caller: Caller, amount: int, at: datetime) -> None:
    """Counts what was spent without being held before, in the caller's transaction: nobody could refuse it."""
    found = _begun(budgets_in_force(caller, at), caller, at)
    periods = sorted(one.period_id for one in found if one.period_id is not None)
    if periods:
        _write_lines(entry_id, periods, 0, None, open=False)
        periods_move([(period, 0, amount) for period in periods])


def worst_of(
    request: ModelRequest, provider: str, sheet: PriceSheet | None, found: Sequence[InForce]
) -> tuple[WorstCase | None, int | None]:
    if sheet is not None:
        return worst_case(request, provider, sheet), None
    for one in found:
        if one.hard and one.ceiling is None:
            raise PriceUnknown(
                f"Nobody knows what {request.model} costs, and the budget “{one.title}” is a hard one. "
                "An admin can set a price for the model, or a ceiling price for the budget.",
                budget=one.title,
            )
    ceilings = [one.ceiling for one in found if one.ceiling is not None]
    if not ceilings:
        return None, None
    return at_ceiling(request, max(ceilings)), max(ceilings)


def _begun(found: Sequence[InForce], caller: Caller, at: datetime) -> list[InForce]:
    """Makes the rows of the periods that begin with this call, whoever is first."""
    if all(one.period_id is not None for one in found):
        return list(found)
    with connection.cursor() as cursor:
        for one in sorted(found, key=lambda one: one.budget_id.bytes):
            if one.period_id is None:
                cursor.execute(
                    f"INSERT INTO {_PERIODS} (budget_id, key, spent, reserved, next_alert) "  # noqa: S608
                    "VALUES (%s, %s, 0, 0, %s) ON CONFLICT DO NOTHING",
                    [as_id(one.budget_id), one.key, next_alert_of(one.limit, one.alerts)],
                )
    return [one for one in budgets_in_force(caller, at) if one.period_id is not None]


def _hold(found: Sequence[InForce], amount: int) -> InForce | None:
    """Holds the amount of all of them, or of none: then it is the one that had no room."""
    if amount > MOST_HELD:
        return found[0]
    with connection.cursor() as cursor:
        for place, one in enumerate(found):
            # Beside the limit, not before it: a sum of three may be more than 64 bits hold.
            cursor.execute(
                f"UPDATE {_PERIODS} SET reserved = reserved + %s WHERE id = %s AND (%s OR spent + reserved <= "  # noqa: S608
                f"(SELECT limit_pico FROM {_BUDGETS} b WHERE b.id = budget_id) - %s)",
                [amount, one.period_id, not one.hard, amount],
            )
            if cursor.rowcount != 1:
                for held in found[:place]:
                    cursor.execute(
                        f"UPDATE {_PERIODS} SET reserved = reserved - %s WHERE id = %s",  # noqa: S608
                        [amount, held.period_id],
                    )
                return one
    return None


def affordable_now(found: Sequence[InForce], worst: WorstCase, wanted: int) -> tuple[int, str]:
    """The answer that fits into all of them and who made it so short. Raises `BudgetExceeded` below the floor."""
    max_tokens, limited_by = wanted, ""
    for one in found:
        if not one.hard:
            continue
        fits = worst.affordable(one.room, wanted)
        if fits < (wanted if one.refuse else min(wanted, LEAST_ANSWER)):
            raise _exceeded(one)
        if fits < max_tokens:
            max_tokens, limited_by = fits, one.title
    return max_tokens, limited_by


def _exceeded(one: InForce) -> BudgetExceeded:
    span = {10: "today", 7: "this month"}.get(len(one.key), "in all")
    return BudgetExceeded(
        f"The budget “{one.title}” has no room for this any more ({span}). Nothing was sent.",
        budget=one.title,
    )


def _write_lines(
    attempt_id: UUID, periods: Sequence[int], amount: int, ceiling: int | None, *, open: bool = True
) -> None:
    marks = ", ".join(["(%s, %s, %s, %s, %s)"] * len(periods))
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {_RESERVATIONS} (attempt_id, period_id, amount, ceiling, open) VALUES {marks}",  # noqa: S608
            [value for period in periods for value in (as_id(attempt_id), period, amount, ceiling, open)],
        )
