"""The meter: committed before bytes leave, settled once after, never silently free."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection

from agents.models import ProviderEndpoint
from billing.meter import DbMeter
from billing.models import Attempt, PriceVersion
from billing.settling import attempt_settle_in_transaction, attempts_settle_orphans, settlement
from nexus_core.estimate import count_tokens
from nexus_core.usage import Cost, Usage
from workspaces.access import Actor
from workspaces.database import in_database

from .conftest import outcome_of, request_to

Meters = Callable[..., DbMeter]
Spend = Callable[..., Any]


@pytest.mark.django_db(transaction=True)
async def test_it_commits_before_and_settles_after(alice: Actor, meter_of: Meters) -> None:
    meter = meter_of(alice, agent_slug="helper")
    attempt = await meter.reserve(
        request_to("claude-sonnet-5-5", max_tokens=77), provider="anthropic", step=2, attempt=3
    )
    row = await Attempt.objects.aget(pk=attempt.id)
    assert (row.status, row.step, row.number, row.max_tokens, row.agent_slug) == (
        "RESERVED",
        2,
        3,
        77,
        "helper",
    )
    assert row.cost_total is None

    outcome = outcome_of(
        Usage(input=1000, output=10), stop_reason="end", request_id="req_1", model="claude-sonnet-5-5-x"
    )
    settled = meter.price(attempt, outcome)
    assert settled.cost == Cost(2_000_000_000, 100_000_000)
    await meter.settle(attempt, outcome, settled)
    row = await Attempt.objects.select_related("price").aget(pk=attempt.id)
    assert (row.status, row.success, row.request_id, row.answered_model) == (
        "SETTLED",
        True,
        "req_1",
        "claude-sonnet-5-5-x",
    )
    assert (row.cost_input, row.cost_output, row.cost_total) == (2_000_000_000, 100_000_000, 2_100_000_000)
    assert row.price is not None
    assert row.price.input == 2_000_000


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("asked", ["the same", "something else", "nothing"])
async def test_it_takes_what_was_reserved_ahead_or_gives_it_back(
    alice: Actor, meter_of: Meters, asked: str
) -> None:
    meter = meter_of(alice)
    foreseen = request_to("gpt-6-luna", max_tokens=77)
    await in_database(meter.reserve_ahead, foreseen, "openai")
    ahead = await Attempt.objects.aget()
    if asked != "nothing":
        request = foreseen if asked == "the same" else replace(foreseen, system="Somebody said more.")
        attempt = await meter.reserve(request, provider="openai", step=0, attempt=1)
        assert (attempt.id == ahead.pk) == (asked == "the same")
        await meter.settle(attempt, outcome := outcome_of(Usage(input=1)), meter.price(attempt, outcome))
    await meter.give_back()
    assert (
        sorted([row.status async for row in Attempt.objects.all()])
        == {
            "the same": ["SETTLED"],
            "something else": ["RELEASED", "SETTLED"],
            "nothing": ["RELEASED"],
        }[asked]
    )


@pytest.mark.django_db
def test_it_settles_once(alice: Actor, meter_of: Meters) -> None:
    meter = meter_of(alice)
    attempt = meter._reserve(request_to("claude-sonnet-5-5"), "anthropic", 0, 1)
    first, second = outcome_of(Usage(input=10)), outcome_of(Usage(input=99_999))
    assert attempt_settle_in_transaction(attempt, first, settlement(attempt, first))
    assert not attempt_settle_in_transaction(attempt, second, settlement(attempt, second))
    assert Attempt.objects.get().tokens_input == 10


@pytest.mark.django_db
def test_it_keeps_the_price_of_the_reservation(alice: Actor, meter_of: Meters) -> None:
    meter = meter_of(alice)
    attempt = meter._reserve(request_to("gpt-6-luna"), "openai", 0, 1)
    PriceVersion.objects.update(valid_to=Attempt.objects.get().reserved_at + timedelta(days=1000))
    outcome = outcome_of(Usage(input=1))
    settled = meter.price(attempt, outcome)
    attempt_settle_in_transaction(attempt, outcome, settled)
    assert Attempt.objects.get().cost_total == 100_000


@pytest.mark.django_db
def test_it_names_the_tier_that_was_charged(alice: Actor, spend: Spend) -> None:
    spend(alice, "claude-haiku-5-5", Usage(input=100_001))
    row = Attempt.objects.select_related("price").get()
    assert row.price is not None
    assert (row.price.context_over, row.cost_total) == (100_000, 100_001 * 500_000)


@pytest.mark.django_db
def test_an_unpriced_request_costs_null_not_0(alice: Actor, spend: Spend) -> None:
    attempt = spend(alice, "no-such-model", Usage(input=5, output=5), provider="openai")
    row = Attempt.objects.get()
    assert (row.status, row.cost_total, row.price_id, row.tokens_total) == ("SETTLED", None, None, 10)
    assert settlement(attempt, outcome_of(Usage(input=1))).cost == Cost(None, None)


@pytest.mark.django_db
def test_own_hardware_costs_0(alice: Actor, spend: Spend) -> None:
    spend(alice, "llama3.2", Usage(input=5, output=5), provider="ollama")
    row = Attempt.objects.get()
    assert row.cost_total == 0
    assert row.price_id is not None


@pytest.mark.django_db
def test_a_free_endpoint_of_the_operator_costs_0(alice: Actor, spend: Spend) -> None:
    ProviderEndpoint.objects.create(
        name="garage", label="Garage", wire="openai-chat", base_url="http://gpu/v1", free=True
    )
    spend(alice, "big", Usage(input=5), provider="garage")
    assert Attempt.objects.get().cost_total == 0


@pytest.mark.django_db
def test_what_never_left_is_released(alice: Actor, spend: Spend) -> None:
    spend(alice, outcome=outcome_of(None, "failed", sent=False, error_code="key_missing"))
    row = Attempt.objects.get()
    assert (row.status, row.success, row.tokens_total, row.cost_total) == ("RELEASED", False, 0, 0)


@pytest.mark.django_db
def test_a_cut_answer_without_usage_is_counted_here(alice: Actor, spend: Spend) -> None:
    text = "The quick brown fox jumps over the lazy dog. " * 20
    spend(alice, outcome=outcome_of(None, "cut", text, error_code="stream_broken"))
    row = Attempt.objects.get()
    assert row.estimated
    assert row.tokens_output == count_tokens(text) > 100
    assert row.tokens_input > 0
    assert row.cost_total == row.tokens_input * 2_000_000 + row.tokens_output * 10_000_000


@pytest.mark.django_db
@pytest.mark.parametrize("absurd", [Usage(input=-5, output=2), Usage(input=1, output=10**15)])
def test_impossible_usage_is_counted_here_instead(alice: Actor, spend: Spend, absurd: Usage) -> None:
    spend(alice, outcome=outcome_of(absurd, "complete", "Hello there"))
    row = Attempt.objects.get()
    assert row.estimated
    assert 0 < row.tokens_total < 100


@pytest.mark.django_db
def test_a_stop_by_a_person_is_no_error(alice: Actor, spend: Spend) -> None:
    spend(alice, outcome=outcome_of(Usage(input=3, output=1), "cancelled"))
    row = Attempt.objects.get()
    assert (row.success, row.stop_reason) == (True, "cancelled")


@pytest.mark.django_db
def test_what_a_dead_owner_left_is_settled_at_what_the_log_shows(
    alice: Actor, meter_of: Meters, spend: Spend
) -> None:
    run_id = uuid4()
    spend(alice, usage=Usage(input=10, output=7), run_id=run_id)
    left = meter_of(alice, run_id=run_id)._reserve(
        request_to("claude-sonnet-5-5", "x" * 4000), "anthropic", 1, 1
    )
    shown = "word " * 50
    assert attempts_settle_orphans(run_id, shown) == 1
    row = Attempt.objects.get(pk=left.id)
    assert (row.status, row.estimated, row.success) == ("UNKNOWN", True, False)
    assert row.tokens_output == count_tokens(shown) - 7
    assert row.tokens_input == 1000
    assert row.cost_total == 1000 * 2_000_000 + row.tokens_output * 10_000_000
    assert attempts_settle_orphans(run_id, shown) == 0
    outcome = outcome_of(Usage(input=1))
    assert not attempt_settle_in_transaction(left, outcome, settlement(left, outcome))


@pytest.mark.django_db
def test_an_orphan_of_unknown_price_stays_unpriced(alice: Actor, meter_of: Meters) -> None:
    run_id = uuid4()
    meter_of(alice, run_id=run_id)._reserve(request_to("no-such-model"), "openai", 0, 1)
    assert attempts_settle_orphans(run_id, "text") == 1
    assert Attempt.objects.get().cost_total is None


@pytest.mark.django_db
def test_ten_thousand_mixed_tokens_add_up(alice: Actor, spend: Spend) -> None:
    sold = [
        Usage(input=i * 7 % 113, output=i * 3 % 31, cache_read=i % 5, reasoning=i % 3) for i in range(200)
    ]
    for usage in sold:
        spend(alice, usage=usage)
    total = sum(sold, Usage())
    rows = list(Attempt.objects.all())
    assert sum(row.tokens_total for row in rows) == total.total
    assert sum(row.cost_total or 0 for row in rows) == (
        total.input * 2_000_000 + total.cache_read * 100_000 + (total.output + total.reasoning) * 10_000_000
    )


@pytest.mark.django_db(transaction=True)
def test_many_first_uses_at_once_make_one_price(alice: Actor, meter_of: Meters) -> None:
    meter = meter_of(alice)

    def reserve(number: int) -> None:
        try:
            meter._reserve(request_to("claude-opus-5-5"), "anthropic", 0, number)
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as callers:
        list(callers.map(reserve, range(24)))
    assert Attempt.objects.count() == 24
    assert PriceVersion.objects.filter(model="claude-opus-5-5").count() == 1
