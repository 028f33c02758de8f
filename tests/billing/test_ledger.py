"""Settling once, a ledger that only grows, periods that stay closed (M5, M6, M7, M10), and what it costs those without budgets."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from billing import meter as meter_module
from billing.budget_models import BudgetPeriod, LedgerEntry, LedgerIsAppendOnly
from billing.ledger import ledger_correct
from billing.meter import DbMeter
from billing.models import Attempt
from billing.prices import TierPrices, price_version_add
from billing.reserving import period_key
from billing.settling import attempt_settle_lost
from nexus_core.usage import Usage
from tests.contracts.providers.transcripts import TRANSCRIPTS, Transcript

from .booking import period, reserve, settle
from .conftest import request_to
from .money import IN, LONG_AGO, OUT, budget_of, holds, price_of, somewhere


@pytest.mark.django_db
def test_m7_everything_told_five_times_changes_nothing() -> None:
    price_of()
    where = somewhere()
    budget_of(where, 10**15)
    attempt = reserve(DbMeter(workspace_id=where))
    assert [settle(attempt, Usage(input=10, output=5)) for _ in range(5)] == [True, *[False] * 4]
    assert not attempt_settle_lost(Attempt.objects.get(), 9)
    assert (period().spent, LedgerEntry.objects.count()) == (10 * IN + 5 * OUT, 1)
    row = Attempt.objects.get()
    assert (row.status, row.tokens_input) == ("SETTLED", 10)
    entry = LedgerEntry.objects.get()
    assert (entry.cost_input, entry.cost_output, entry.price_id) == (10 * IN, 5 * OUT, row.price_id)
    assert entry.numbers == f'{{"input":[10,{IN}],"output":[5,{OUT}]}}'


@pytest.mark.django_db
def test_the_database_closes_an_attempt_once_whoever_writes() -> None:
    settle(reserve(DbMeter(workspace_id=somewhere())), Usage(input=1))
    entry = LedgerEntry.objects.get()
    entry.pk, entry.kind = None, LedgerEntry.Kind.RELEASE
    entry._state.adding = True
    with pytest.raises(IntegrityError), transaction.atomic():
        entry.save(force_insert=True)


@pytest.mark.django_db
def test_the_ledger_is_never_changed_nor_deleted() -> None:
    settle(reserve(DbMeter(workspace_id=somewhere())), Usage(input=1))
    entry = LedgerEntry.objects.get()
    with pytest.raises(LedgerIsAppendOnly):
        entry.save()
    with pytest.raises(LedgerIsAppendOnly):
        entry.delete()
    for change in (
        lambda: LedgerEntry.objects.update(amount=0),
        lambda: LedgerEntry.objects.all()._raw_delete("default"),
    ):
        with pytest.raises(IntegrityError), transaction.atomic():
            change()
    assert LedgerEntry.objects.get().amount == entry.amount


@pytest.mark.django_db
def test_a_correction_is_a_new_signed_line_in_the_period_of_its_attempt() -> None:
    price_of()
    where = somewhere()
    budget_of(where, 10**15)
    attempt = reserve(DbMeter(workspace_id=where))
    settle(attempt, Usage(input=10))
    ledger_correct(attempt_id=attempt.id, amount=-4 * IN, note="refund")
    ledger_correct(attempt_id=attempt.id, amount=IN, note="too much of it")
    assert (period().spent, LedgerEntry.objects.count()) == (7 * IN, 3)
    holds(quiet=True)
    with pytest.raises(ValueError, match="note"):
        ledger_correct(attempt_id=attempt.id, amount=5, note=" ")


@pytest.mark.django_db
def test_m10_a_call_over_midnight_belongs_to_the_day_of_its_reservation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    price_of()
    where = somewhere()
    budget_of(where, 10**15, period="day")
    budget_of(where, 10**15, period="month")
    midnight = datetime(2027, 1, 1, tzinfo=UTC)
    monkeypatch.setattr(meter_module.timezone, "now", lambda: midnight - timedelta(milliseconds=1))
    before = reserve(DbMeter(workspace_id=where))
    monkeypatch.setattr(meter_module.timezone, "now", lambda: midnight)
    after = reserve(DbMeter(workspace_id=where))
    settle(before, Usage(input=3))
    settle(after, Usage(input=5))
    spent = dict(BudgetPeriod.objects.values_list("key", "spent"))
    assert spent == {"2026-12-31": 3 * IN, "2026-12": 3 * IN, "2027-01-01": 5 * IN, "2027-01": 5 * IN}
    holds(quiet=True)


@pytest.mark.django_db
@pytest.mark.parametrize("transcript", TRANSCRIPTS, ids=lambda one: one.id)
def test_m5_what_every_providers_answer_tells_is_booked_to_the_last_pico(transcript: Transcript) -> None:
    """The usage that its adapter reads from the recorded answer (tests/contracts/providers), with cache and thinking."""
    each = TierPrices(3_000_001, 15_000_002, 300_003, 3_750_004, 6_000_005, reasoning=11_000_006)
    price_version_add(provider="recorded", model="m5", at=LONG_AGO, tiers=[each])
    where, usage = somewhere(), transcript.usage
    budget_of(where, 10**17)
    attempt = reserve(DbMeter(workspace_id=where), request_to("m5", max_tokens=1000), "recorded")
    settle(attempt, usage, model=transcript.model)
    due = (
        usage.input * 3_000_001
        + usage.output * 15_000_002
        + usage.cache_read * 300_003
        + usage.cache_write_5m * 3_750_004
        + usage.cache_write_1h * 6_000_005
        + usage.reasoning * 11_000_006
    )
    assert (LedgerEntry.objects.get().amount, period().spent) == (due, due)
    assert due > 0 or not usage.total
    row = Attempt.objects.get()
    told = (row.tokens_input, row.tokens_output, row.tokens_cache_read, row.tokens_reasoning, row.estimated)
    assert told == (usage.input, usage.output, usage.cache_read, usage.reasoning, usage.estimated)
    holds(quiet=True)


def test_m5_there_are_recorded_answers_with_a_cache_and_with_thinking() -> None:
    with_cache = {one.provider for one in TRANSCRIPTS if one.usage.cache_read}
    thinking = {one.provider for one in TRANSCRIPTS if one.usage.reasoning or one.reasoning}
    assert {"anthropic", "openai", "google"} <= with_cache & thinking


@pytest.mark.usefixtures("within_a_day")
@pytest.mark.django_db
def test_m6_a_price_that_changes_mid_month_moves_no_closed_period() -> None:
    from django.utils import timezone

    price_of()
    where = somewhere()
    budget_of(where, 10**15, period="month")
    meter = DbMeter(workspace_id=where)
    early = reserve(meter)
    price_version_add(
        provider="openai", model="m1", at=timezone.now(), tiers=[TierPrices(*[7 * IN] * 5)], source="dearer"
    )
    late = reserve(meter)
    settle(late, Usage(input=10))
    settle(early, Usage(input=10))  # at the price of its reservation
    assert period().spent == 10 * IN + 70 * IN
    holds(quiet=True)


def test_periods_are_days_and_months_of_utc() -> None:
    at = datetime(2026, 11, 21, 23, 30, tzinfo=UTC).astimezone(tz=None)
    assert [period_key(p, at) for p in ("day", "month", "total")] == ["2026-11-21", "2026-11", "total"]


@pytest.mark.django_db
def test_a_workspace_without_budgets_pays_for_no_statement_more(
    django_assert_num_queries: Callable[[int], Any],
) -> None:
    price_of()
    budget_of(somewhere(), 5)
    meter = DbMeter(workspace_id=somewhere())
    settle(reserve(meter), Usage(input=1))
    with django_assert_num_queries(4):  # the savepoint's two, the price, the row
        attempt = reserve(meter)
    with django_assert_num_queries(4):  # the savepoint's two, the ledger, the row
        settle(attempt, Usage(input=1))


@pytest.mark.django_db
def test_attempts_from_before_the_ledger_get_their_entry_once() -> None:
    from importlib import import_module

    price_of()
    now = datetime(2026, 1, 1, tzinfo=UTC)
    where = somewhere()
    for status, cost in (("SETTLED", 7), ("RELEASED", None), ("UNKNOWN", None), ("RESERVED", None)):
        Attempt.objects.create(
            workspace_id=where, provider="openai", model="m1", status=status, reserved_at=now,
            settled_at=None if status == "RESERVED" else now, price=price_row() if cost else None,
            cost_input=cost, cost_output=cost and 0, cost_total=cost,
        )  # fmt: skip
    migration = import_module("billing.migrations.0007_ledger_backfill")
    for _ in range(2):
        with connection.schema_editor() if connection.vendor == "postgresql" else Editor() as editor:
            migration.fill(None, editor)
    told = LedgerEntry.objects.order_by("amount", "kind").values_list("kind", "amount", "workspace_id")
    assert sorted(told, key=str) == sorted(
        [("settlement", 7, where), ("release", 0, where), ("settlement", None, where)], key=str
    )


class Editor:
    """SQLite's own schema editor wants no transaction around it; the migration asks it for the connection alone."""

    connection = connection

    def __enter__(self) -> Editor:
        return self

    def __exit__(self, *_: object) -> None: ...


def price_row() -> Any:
    from billing.models import PriceVersion

    return PriceVersion.objects.first()
