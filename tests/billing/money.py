"""What tests about budgets share: a model of a round price, budgets, and the sums that must always hold."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from django.db.models import Count, Q, Sum

from billing.budget_models import Budget, BudgetPeriod, LedgerEntry, Reservation
from billing.models import Attempt
from billing.prices import TierPrices, price_version_add
from billing.settling import attempt_settle_lost
from billing.worst_case import worst_case
from nexus_core.providers.base import ModelRequest

IN, OUT = 1_000_000, 2_000_000
"""pico-USD per token: one and two dollars per million."""
PRICE = TierPrices(input=IN, output=OUT, cache_read=IN, cache_write_5m=IN, cache_write_1h=IN)
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def price_of(model: str = "m1", *tiers: TierPrices) -> Any:
    """Our own price for a model of OpenAI's; the sheet."""
    return price_version_add(provider="openai", model=model, at=LONG_AGO, tiers=tiers or [PRICE])


def most(request: ModelRequest, model: str = "m1") -> int:
    """What is held for that request."""
    return worst_case(request, "openai", price_of(model)).cost(request.max_tokens)


def budget_of(workspace_id: UUID, limit: int, **more: Any) -> Budget:
    more.setdefault("period", "total")
    return Budget.objects.create(workspace_id=workspace_id, limit=limit, **more)


def settle_all_open() -> int:
    """As whoever takes over from the dead does."""
    return sum(attempt_settle_lost(row) for row in Attempt.objects.filter(status__in=Attempt.OPEN))


def holds(*, quiet: bool = False, over: int = 0) -> None:
    """I6 and I7 for every budget there is. `quiet`: nothing runs. `over`: what providers charged beyond the worst
    case, which no budget can refuse any more."""
    for period in BudgetPeriod.objects.select_related("budget"):
        lines = Reservation.objects.filter(period=period)
        reserved = lines.filter(open=True).aggregate(sum=Sum("amount"))["sum"] or 0
        counted = lines.values_list("attempt_id", flat=True)
        entries = LedgerEntry.objects.filter(Q(attempt_id__in=counted) | Q(tool_id__in=counted))
        spent = entries.aggregate(sum=Sum("amount"))["sum"] or 0
        assert (period.spent, period.reserved) == (spent, reserved), period.key
        if period.budget.hard:
            assert period.spent + period.reserved <= period.budget.limit + over, period.key
        if quiet:
            assert period.reserved == 0
    closing = LedgerEntry.objects.filter(kind__in=LedgerEntry.CLOSING).order_by()
    twice = closing.values("attempt_id").annotate(n=Count("pk")).filter(n__gt=1)
    assert not twice.exists()
    closed = Attempt.objects.filter(settled_at__isnull=False).count()
    assert closing.count() == closed
    if quiet:
        assert not Attempt.objects.filter(status__in=Attempt.OPEN).exists()


def somewhere() -> UUID:
    """A workspace by its id alone: money knows no more of it."""
    return uuid4()
