"""What a budget holds back by the price of the moment: unknown, absurd, dearer at a tier (M8, M11, M12)."""

from __future__ import annotations

import pytest

from billing.budget_models import Budget, LedgerEntry
from billing.meter import DbMeter
from billing.models import Attempt
from billing.prices import TierPrices
from billing.settling import attempt_settle_lost
from billing.worst_case import most_prompt_tokens
from nexus_core.errors import BudgetExceeded, PriceUnknown
from nexus_core.usage import Usage

from .booking import REQUEST, period, reserve, settle
from .conftest import request_to
from .money import IN, PRICE, budget_of, holds, most, price_of, somewhere


@pytest.mark.django_db
def test_an_unknown_price_is_refused_by_a_hard_budget_and_counted_at_its_ceiling() -> None:
    where = somewhere()
    budget = budget_of(where, 10**13, name="Strict")
    request = request_to("nobody-knows", max_tokens=500)
    with pytest.raises(PriceUnknown, match="Strict") as refusal:
        reserve(DbMeter(workspace_id=where), request)
    assert (refusal.value.code, refusal.value.budget) == ("price_unknown", "Strict")
    Budget.objects.filter(pk=budget.pk).update(ceiling=3_000_000)
    attempt = reserve(DbMeter(workspace_id=where), request)
    assert period().reserved == (most_prompt_tokens(request) + 500) * 3_000_000
    settle(attempt, Usage(input=10, output=5))
    entry = LedgerEntry.objects.get()
    assert (entry.amount, entry.at_ceiling, entry.price_id) == (45_000_000, True, None)
    assert Attempt.objects.get().cost_total is None  # unpriced stays unpriced
    lost = reserve(DbMeter(workspace_id=where), request)
    assert attempt_settle_lost(Attempt.objects.get(pk=lost.id), 5)
    holds(quiet=True)


@pytest.mark.django_db
def test_an_unknown_price_passes_a_soft_budget_and_costs_null_not_0() -> None:
    where = somewhere()
    budget_of(where, 1, hard=False)
    settle(reserve(DbMeter(workspace_id=where), request_to("nobody-knows")), Usage(input=10))
    assert LedgerEntry.objects.get().amount is None


@pytest.mark.django_db
def test_own_hardware_runs_where_the_budget_is_at_its_end() -> None:
    where = somewhere()
    budget_of(where, 0)
    attempt = reserve(DbMeter(workspace_id=where), request_to("llama3.2"), "ollama")
    settle(attempt, Usage(input=10, output=10))
    assert LedgerEntry.objects.get().amount == 0
    holds(quiet=True)


@pytest.mark.django_db
def test_m8_an_absurd_price_is_held_whole() -> None:
    dear = TierPrices(*[9 * 10**11] * 5)  # ninety cents a token
    price_of("dear", dear)
    where = somewhere()
    budget_of(where, 9 * 10**18)
    attempt = reserve(DbMeter(workspace_id=where), request_to("dear", max_tokens=4000))
    assert 0 < period().reserved <= 9 * 10**18
    settle(attempt, Usage(input=10, output=10))
    assert period().spent == 20 * 9 * 10**11
    with pytest.raises(BudgetExceeded):  # more than 64 bits hold: refused, not an error
        reserve(DbMeter(workspace_id=where), request_to("dear", "x" * 10**6, max_tokens=10**9))
    with pytest.raises(ValueError, match="no price"):
        TierPrices(*[10**12 + 1] * 5)
    absurd = reserve(DbMeter(workspace_id=where), request_to("dear", max_tokens=10))
    settle(absurd, Usage(input=10**9), text="Hello")  # counted here instead
    assert LedgerEntry.objects.latest("id").estimated
    holds(quiet=True)


@pytest.mark.django_db
def test_m11_a_fallback_reserves_anew_at_its_own_price() -> None:
    price_of()
    price_of("m2", TierPrices(*[100 * IN] * 5))
    where = somewhere()
    budget_of(where, 2 * most(REQUEST), on_end="refuse")
    meter = DbMeter(workspace_id=where)
    cheap = reserve(meter)
    settle(cheap, None, status="failed", sent=False)
    with pytest.raises(BudgetExceeded):
        reserve(meter, request_to("m2", max_tokens=1000))
    assert (period().spent, period().reserved) == (0, 0)


@pytest.mark.django_db
def test_m12_a_request_is_held_at_the_dearest_tier_it_may_fall_into() -> None:
    ten = TierPrices(*[10 * IN] * 5, context_over=2000)
    price_of("tiers", PRICE, ten)
    where = somewhere()
    budget_of(where, 10**15)
    meter = DbMeter(workspace_id=where)
    small = reserve(meter, request_to("tiers", "x", max_tokens=100))
    assert period().reserved < 10 * IN * 1100
    settle(small, Usage(input=1))
    large = reserve(meter, request_to("tiers", "x" * 4000, max_tokens=100))
    assert period().reserved > 10 * IN * 4000
    settle(large, Usage(input=2001, output=100))
    assert period().spent == IN + 2101 * 10 * IN
    holds(quiet=True)
