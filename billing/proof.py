"""The proof that the books are right: for every period, Σ ledger == spent and Σ open reservations == reserved.

What a dead process left is repaired: reservations of attempts that are closed, and attempts without a run that
nobody will ever settle. A sum that differs is told, and set right only where somebody asks for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet, Sum
from django.utils import timezone

from billing.budget_models import BudgetPeriod, LedgerEntry, Reservation
from billing.ledger import ledger_close
from billing.models import Attempt
from billing.reserving import period_key
from billing.settling import attempt_settle_lost
from nexus_core.usage import Usage

LOST_AFTER = timedelta(hours=1)
"""An open attempt that old has no process any more: providers are given up after ten silent minutes."""


@dataclass(frozen=True, slots=True)
class Difference:
    """What a period says, and what the lines behind it add up to; pico-USD."""

    period_id: int
    title: str
    key: str
    spent: int
    ledger: int
    reserved: int
    held: int
    repaired: bool

    def __str__(self) -> str:
        told = "repaired" if self.repaired else "left as it is"
        return (
            f"{self.title} ({self.key}): spent {self.spent}, ledger {self.ledger}; "
            f"reserved {self.reserved}, held {self.held} pico-USD; {told}"
        )


def budgets_prove(*, repair: bool = False, current: bool = False) -> Iterator[Difference]:
    """Every period whose sums differ from its lines. `current`: only periods that are under way."""
    periods = BudgetPeriod.objects.order_by("id")
    if current:
        now = timezone.now()
        periods = periods.filter(key__in=[period_key(name, now) for name in ("day", "month", "total")])
    for period_id in periods.values_list("pk", flat=True):
        found = _prove(period_id, repair)
        if found is not None:
            yield found


@transaction.atomic
def _prove(period_id: int, repair: bool) -> Difference | None:
    """Under the period's lock nobody is half way: who reserves and who settles writes lines and sums together."""
    period = BudgetPeriod.objects.select_for_update(of=("self",)).select_related("budget").get(pk=period_id)
    lines = Reservation.objects.filter(period_id=period_id)
    held = lines.filter(open=True).aggregate(sum=Sum("amount"))["sum"] or 0
    counted = lines.values("attempt_id")
    entries = LedgerEntry.objects.filter(Q(attempt_id__in=counted) | Q(tool_id__in=counted))
    ledger = entries.aggregate(sum=Sum("amount"))["sum"] or 0
    if (period.spent, period.reserved) == (ledger, held):
        return None
    if repair:
        BudgetPeriod.objects.filter(pk=period_id).update(spent=ledger, reserved=held)
    return Difference(
        period_id,
        period.budget.title,
        period.key,
        period.spent,
        int(ledger),
        period.reserved,
        int(held),
        repair,
    )


def reservations_repair() -> int:
    """Gives back what closed attempts still hold; how many lines. A settlement does both at once, so there are none
    unless somebody wrote past it."""
    closing = LedgerEntry.objects.filter(attempt_id=OuterRef("attempt_id"), kind__in=LedgerEntry.CLOSING)
    leaked = Reservation.objects.filter(Exists(closing), open=True).order_by("period_id")
    given_back = 0
    for key in list(leaked.values_list("pk", flat=True)):
        with transaction.atomic():
            line = Reservation.objects.filter(pk=key, open=True).select_for_update().first()
            if line is None:
                continue
            Reservation.objects.filter(pk=key).update(open=False)
            period = BudgetPeriod.objects.select_for_update().get(pk=line.period_id)
            period.reserved -= line.amount
            period.save(update_fields=["reserved"])
            given_back += 1
    return given_back


def attempts_lost(*, with_run: bool) -> QuerySet[Attempt]:
    """Open attempts whose process is gone; whoever takes a run over settles those of its run."""
    return Attempt.objects.filter(
        status__in=Attempt.OPEN, reserved_at__lt=timezone.now() - LOST_AFTER, run_id__isnull=not with_run
    ).select_related("price")


def attempts_settle_lost() -> int:
    """Settles those without a run (titles, trials): nobody takes them over."""
    settled = 0
    for row in attempts_lost(with_run=False):
        with transaction.atomic():
            settled += attempt_settle_lost(row)
    return settled


def ledger_complete() -> int:
    """Closes in the ledger what was settled past it, by a server of an older version; how many attempts."""
    closing = LedgerEntry.objects.filter(attempt_id=OuterRef("pk"), kind__in=LedgerEntry.CLOSING)
    closed = 0
    for row in Attempt.objects.filter(~Exists(closing), settled_at__isnull=False).iterator():
        released = row.status == Attempt.Status.RELEASED
        with transaction.atomic():
            closed += ledger_close(
                row.pk,
                kind=LedgerEntry.Kind.RELEASE if released else LedgerEntry.Kind.SETTLEMENT,
                usage=Usage(estimated=row.estimated),
                amount=0 if released else row.cost_total,
                cost_input=row.cost_input,
                cost_output=row.cost_output,
                note="settled by an older version",
            )
    return closed
