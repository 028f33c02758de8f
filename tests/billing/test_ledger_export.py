"""The ledger as rows for an invoice: whole, exact, multiplied out, and safe in a spreadsheet."""

from __future__ import annotations

import csv
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import StringIO
from typing import Any

import orjson
import pytest
from django.core.management import CommandError, call_command
from django.db.models import Sum

from billing.budget_models import LedgerEntry
from billing.ledger import ledger_correct
from billing.ledger_export import COLUMNS, COUNTED
from nexus_core.usage import pico_to_usd
from workspaces.access import Actor

from .money import price_of
from .test_books import spend

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("within_a_day")]


def exported(**how: Any) -> str:
    out = StringIO()
    call_command("ledger_export", stdout=out, **how)
    return out.getvalue()


def sheet(**how: Any) -> list[dict[str, str]]:
    return list(csv.DictReader(StringIO(exported(**how), newline="")))


def test_its_rows_add_up_and_each_is_its_own_numbers_multiplied(alice: Actor, bob: Actor) -> None:
    price_of("m1")
    where = alice.workspace_id
    attempts = [spend(where, tokens, user_id=alice.user_id) for tokens in (100, 7)]
    ledger_correct(attempt_id=attempts[0].pk, amount=-40, note="=refund")
    rows = sheet(workspace=alice.workspace.slug)
    assert list(rows[0]) == list(COLUMNS)
    assert [row["kind"] for row in rows] == ["settlement", "settlement", "correction"]
    assert [row["attemptId"] for row in rows] == [str(attempts[n].pk) for n in (0, 1, 0)]
    total = LedgerEntry.objects.filter(workspace_id=where).aggregate(sum=Sum("amount"))["sum"]
    assert sum(Decimal(row["amount"]) for row in rows) == Decimal(pico_to_usd(total) or "")
    for row in rows[:2]:
        told = sum(Decimal(row[name]) * Decimal(row[f"{name}Price"]) for name in COUNTED if row[name])
        assert told == Decimal(row["amount"]) > 0
        assert row["person"] == alice.user.username
    assert rows[2]["note"] == "'=refund"
    told_as_json = [orjson.loads(line) for line in exported(format="json").splitlines()]
    assert [row["amount"] for row in told_as_json] == [row["amount"] for row in rows]
    assert told_as_json[2]["note"] == "=refund"


def test_it_is_of_one_workspace_and_of_whole_days(alice: Actor) -> None:
    price_of("m1")
    spend(alice.workspace_id, 5)
    today = datetime.now(UTC).date()
    assert len(sheet(workspace=alice.workspace.slug, first=today, last=today)) == 1
    assert sheet(first=today + timedelta(days=1)) == sheet(last=today - timedelta(days=1)) == []
    with pytest.raises(CommandError, match="no workspace 'nowhere'"):
        exported(workspace="nowhere")
