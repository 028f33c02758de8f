"""Settling: what a provider request consumed and cost goes into the books, once, whoever comes first.

A settlement is one line of the ledger, unique per attempt: only whoever wrote it moves anything, so a second one,
or that of an owner which lost its run, changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import F, Sum
from django.utils import timezone

from billing.budget_models import MOST_PICO, LedgerEntry, Reservation
from billing.instruments import attempt_settled
from billing.ledger import ledger_close, reservation_move
from billing.models import Attempt as AttemptRow
from billing.prices import PriceSheet, price_sheet_of
from nexus_core.estimate import count_tokens, estimate_usage
from nexus_core.ports import Attempt, AttemptOutcome, Settled
from nexus_core.providers.base import ModelRequest
from nexus_core.usage import Cost, Usage
from workspaces.statements import Table, as_id

_ATTEMPTS = Table(AttemptRow)

MOST_TOKENS = 10**9
"""More in one bucket of one request is no count but a fault of the provider's."""
CHARS_PER_TOKEN = 4


@dataclass(frozen=True, slots=True)
class PricedAttempt(Attempt):
    """A reserved request with what is needed to price it without a database."""

    request: ModelRequest | None = None
    sheet: PriceSheet | None = None
    held: bool = False
    """Budgets hold something for it."""
    ceiling: int | None = None
    """What a token counts for where there is no price."""


def settlement(attempt: Attempt, outcome: AttemptOutcome) -> Settled:
    """What the outcome consumed and costs, at the price of its reservation. No I/O.

    What never left consumed nothing. Where the provider did not say, or said what cannot be
    (negative, absurd), the prompt and what streamed are counted here, marked `estimated`.
    """
    request, sheet = (attempt.request, attempt.sheet) if isinstance(attempt, PricedAttempt) else (None, None)
    usage = _usage(outcome, request)
    if usage.total == 0:
        return Settled(usage, Cost(0, 0))
    if sheet is None:
        return Settled(usage, Cost(None, None))
    cost = sheet.cost(usage)
    if (cost.total or 0) > MOST_PICO:  # no such sum fits into the books: what the provider said cannot be
        usage = _estimated(request, outcome.streamed_text)
        cost = sheet.cost(usage)
    return Settled(usage, cost)


def attempt_settle_in_transaction(attempt: Attempt, outcome: AttemptOutcome, settled: Settled) -> bool:
    """Settles the attempt inside the caller's transaction; False when it was settled before."""
    usage = settled.usage
    priced = attempt if isinstance(attempt, PricedAttempt) else None
    tier = priced.sheet.tier_for(usage) if priced is not None and priced.sheet is not None else None
    amount, at_ceiling = settled.cost.total, False
    if amount is None and priced is not None and priced.ceiling is not None:
        amount, at_ceiling = usage.total * priced.ceiling, True
    closed = ledger_close(
        attempt.id,
        kind=LedgerEntry.Kind.SETTLEMENT if outcome.sent else LedgerEntry.Kind.RELEASE,
        usage=usage,
        amount=amount,
        cost_input=settled.cost.input,
        cost_output=settled.cost.output,
        price=tier,
        at_ceiling=at_ceiling,
    )
    if not closed:
        return False
    fields: dict[str, Any] = {
        "status": AttemptRow.Status.SETTLED if outcome.sent else AttemptRow.Status.RELEASED,
        **_token_fields(usage),
        "answered_model": outcome.model[:160],
        "success": outcome.status in ("complete", "cancelled"),
        "error_code": (outcome.error_code or "")[:64],
        "stop_reason": (outcome.stop_reason or ("cancelled" if outcome.status == "cancelled" else ""))[:32],
        "request_id": outcome.request_id[:200],
        "first_token_ms": outcome.time_to_first_token_ms,
        "duration_ms": outcome.duration_ms,
        "settled_at": timezone.now(),
    }
    if tier is not None:
        fields |= {
            "price_id": tier[0],
            "cost_input": settled.cost.input,
            "cost_output": settled.cost.output,
            "cost_total": settled.cost.total,
        }
    told, params = _ATTEMPTS.assign(**fields)
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {_ATTEMPTS.name} SET {told} WHERE id = %s",  # noqa: S608
            [*params, as_id(attempt.id)],
        )
    if priced is None or priced.held:
        reservation_move(attempt.id, amount or 0)
    transaction.on_commit(lambda: attempt_settled(attempt.provider, outcome, settled))
    return True


@transaction.atomic
def attempts_settle_orphans(run_id: UUID, streamed_text: str) -> int:
    """Settles what a dead owner of the run left open, at what the log shows; the number of attempts.

    `streamed_text` is all text of the run that was stored. What earlier attempts were settled
    for is taken off; the prompt is estimated from its length. Marked UNKNOWN and `estimated`.
    """
    rows = list(AttemptRow.objects.filter(run_id=run_id, status__in=AttemptRow.OPEN).select_related("price"))
    if not rows:
        return 0
    counted = AttemptRow.objects.filter(run_id=run_id, settled_at__isnull=False).aggregate(
        told=Sum(F("tokens_output") + F("tokens_reasoning"))
    )
    output = max(0, count_tokens(streamed_text) - (counted["told"] or 0))
    settled = 0
    for row in rows:
        settled += attempt_settle_lost(row, output)
        output = 0
    return settled


def attempt_settle_lost(row: AttemptRow, output: int = 0) -> bool:
    """Settles an attempt whose process died, in the caller's transaction: its prompt, and the answer's tokens that
    are known. False when it was settled before."""
    usage = Usage(input=-(-row.prompt_chars // CHARS_PER_TOKEN), output=output, estimated=True)
    tier = price_sheet_of(row.price).tier_for(usage) if row.price is not None else None
    cost = tier[1].cost(usage) if tier is not None else Cost(None, None)
    amount, at_ceiling = cost.total, False
    if amount is None:
        held = Reservation.objects.filter(attempt_id=row.pk, ceiling__isnull=False).first()
        if held is not None and held.ceiling is not None:
            amount, at_ceiling = usage.total * held.ceiling, True
    # The ledger before the row, like every settlement: two of them never wait for each other in a circle.
    closed = ledger_close(
        row.pk,
        kind=LedgerEntry.Kind.SETTLEMENT,
        usage=usage,
        amount=amount,
        cost_input=cost.input,
        cost_output=cost.output,
        price=tier,
        at_ceiling=at_ceiling,
        note="its process died",
    )
    if not closed:
        return False
    AttemptRow.objects.filter(pk=row.pk).update(
        status=AttemptRow.Status.UNKNOWN,
        success=False,
        error_code="owner_died",
        settled_at=timezone.now(),
        **_token_fields(usage),
        **(
            {}
            if tier is None
            else {
                "price_id": tier[0],
                "cost_input": cost.input,
                "cost_output": cost.output,
                "cost_total": cost.total,
            }
        ),
    )
    reservation_move(row.pk, amount or 0)
    return True


def attempts_total(run_id: UUID) -> Settled:
    """What all settled requests of a run consumed and cost, whoever of its owners made them."""
    rows = AttemptRow.objects.filter(run_id=run_id, settled_at__isnull=False)
    usage, cost = Usage(), Cost()
    for row in rows.order_by("reserved_at"):
        spent = Usage(
            input=row.tokens_input,
            output=row.tokens_output,
            cache_read=row.tokens_cache_read,
            cache_write_5m=row.tokens_cache_write_5m,
            cache_write_1h=row.tokens_cache_write_1h,
            reasoning=row.tokens_reasoning,
            estimated=row.estimated,
            searches=row.searches or 0,
        )
        usage += spent
        if spent.total:  # what consumed nothing costs nothing, priced or not
            cost += Cost(row.cost_input, row.cost_output)
    return Settled(usage, cost)


def _usage(outcome: AttemptOutcome, request: ModelRequest | None) -> Usage:
    if not outcome.sent:
        return Usage()
    told = outcome.usage if outcome.usage is not None and _plausible(outcome.usage) else None
    return told if told is not None else _estimated(request, outcome.streamed_text)


def _estimated(request: ModelRequest | None, text: str) -> Usage:
    if request is None:
        return Usage(output=count_tokens(text), estimated=True)
    return estimate_usage(request, text)


def _plausible(usage: Usage) -> bool:
    counts = (
        usage.input,
        usage.output,
        usage.cache_read,
        usage.cache_write_5m,
        usage.cache_write_1h,
        usage.reasoning,
        usage.searches,
    )
    return all(0 <= count <= MOST_TOKENS for count in counts)


def _token_fields(usage: Usage) -> dict[str, Any]:
    return {
        "tokens_input": usage.input,
        "tokens_output": usage.output,
        "tokens_cache_read": usage.cache_read,
        "tokens_cache_write_5m": usage.cache_write_5m,
        "tokens_cache_write_1h": usage.cache_write_1h,
        "tokens_reasoning": usage.reasoning,
        "searches": usage.searches or None,
        "estimated": usage.estimated,
    }
