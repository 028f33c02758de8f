"""Usage: totals, groups and CSV say the same, and nothing of another workspace."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
from django.test import AsyncClient, Client
from django.utils import timezone

from billing.models import Attempt
from billing.sealing import usage_seal
from billing.selectors import range_start, register_conversation_names
from billing.usage import GROUPS, usage_lines
from nexus_core.usage import Usage
from workspaces.access import Actor, Invalid
from workspaces.sheets import cell

from .conftest import outcome_of

Spend = Callable[..., Any]


@pytest.fixture
def mixed(alice: Actor, bob: Actor, charlie: Actor, spend: Spend) -> None:
    """Six requests of two people, one of them failed, one unpriced, one released; and a stranger's."""
    talk = uuid4()
    spend(
        alice,
        usage=Usage(input=1000, output=100, cache_read=50, cache_write_1h=3),
        agent_slug="my-agent",
        conversation_id=talk,
    )
    spend(
        alice,
        "gpt-6-luna",
        Usage(input=333, output=77, reasoning=5),
        provider="openai",
        agent_slug="my-agent",
    )
    spend(bob, usage=Usage(input=10, output=1), agent_slug="news-agent", conversation_id=talk)
    spend(bob, "no-such-model", Usage(input=9, output=9), provider="openai", agent_slug="news-agent")
    spend(bob, outcome=outcome_of(Usage(), "failed", error_code="rate_limit_exceeded", duration_ms=50))
    spend(bob, outcome=outcome_of(None, "failed", sent=False, error_code="key_missing"))
    spend(charlie, usage=Usage(input=10**6))


def test_it_adds_up_whatever_it_is_grouped_by(alice: Actor, mixed: None) -> None:
    totals = usage_lines(alice, "all")["totals"]
    assert totals["requests"] == 5
    assert totals["errors"] == 1
    assert totals["unpriced"] == 1
    # 1000×2 + 100×10 + 50×0.1 + 3×4 + 10×2 + 1×10 micro-dollars, and 333×0.1 + 82×0.5
    assert totals["cost"] == "0.0031213"
    assert (
        totals["totalTokens"]
        == totals["promptTokens"] + totals["completionTokens"]
        == totals["tokenUsage"]["total"]
    )
    for group in GROUPS:
        lines = usage_lines(alice, "all", group)["items"]
        assert sum(Decimal(line["cost"] or 0) for line in lines) == Decimal(totals["cost"]), group
        for name in ("requests", "errors", "unpriced", "totalTokens"):
            assert sum(line[name] for line in lines) == totals[name], (group, name)


def test_a_group_with_no_price_at_all_costs_null(alice: Actor, mixed: None) -> None:
    lines = {line["key"]: line for line in usage_lines(alice, "all", "model")["items"]}
    assert lines["no-such-model"]["cost"] is None
    assert lines["no-such-model"]["unpriced"] == 1
    assert lines["gpt-6-luna"]["cost"] == "0.0000743"


def test_it_names_what_it_groups(alice: Actor, mixed: None) -> None:
    assert {line["name"] for line in usage_lines(alice, "all", "user")["items"]} == {"Alice", "Bob"}
    agents = {line["key"]: line["name"] for line in usage_lines(alice, "all", "agent")["items"]}
    assert agents["my-agent"] == "MyAgent"


def test_it_shows_no_title_that_may_not_be_read(alice: Actor, mixed: None) -> None:
    from billing import selectors

    before = list(selectors._name_conversations)
    try:
        talk = (
            Attempt.objects.filter(agent_slug="news-agent", model="claude-sonnet-5-5").get().conversation_id
        )
        register_conversation_names(lambda actor, ids: {talk: "Ours"} if actor == alice else {})
        names = {line["key"]: line["name"] for line in usage_lines(alice, "all", "conversation")["items"]}
        assert names[str(talk)] == "Ours"
        assert [name for name in names.values() if name] == ["Ours"]
    finally:
        selectors._name_conversations[:] = before


def test_it_tells_latencies_by_nearest_rank(alice: Actor, spend: Spend) -> None:
    for ms in range(1, 101):
        outcome = outcome_of(
            Usage(input=1), duration_ms=ms * 10, time_to_first_token_ms=ms, status="complete"
        )
        spend(alice, outcome=outcome, agent_slug="a" if ms % 2 else "b")
    assert usage_lines(alice, "all")["totals"]["timeToFirstTokenMs"] == {"p50": 50, "p95": 95}
    assert usage_lines(alice, "all")["totals"]["durationMs"] == {"p50": 500, "p95": 950}
    by_agent = {
        line["key"]: line["timeToFirstTokenMs"] for line in usage_lines(alice, "all", "agent")["items"]
    }
    assert by_agent == {"a": {"p50": 49, "p95": 95}, "b": {"p50": 50, "p95": 96}}


def test_an_empty_workspace_has_zeros(alice: Actor) -> None:
    totals = usage_lines(alice, "today")["totals"]
    assert (totals["requests"], totals["cost"], totals["timeToFirstTokenMs"]) == (
        0,
        "0",
        {"p50": None, "p95": None},
    )
    assert usage_lines(alice, "week", "day")["items"] == []


def test_days_are_the_persons_own(alice: Actor, spend: Spend) -> None:
    attempt = spend(alice)
    Attempt.objects.filter(pk=attempt.id).update(reserved_at=datetime(2026, 3, 1, 23, 30, tzinfo=UTC))
    alice.user.timezone = "Asia/Tokyo"
    assert [line["key"] for line in usage_lines(alice, "all", "day")["items"]] == ["2026-03-02"]
    alice.user.timezone = "America/New_York"
    assert [line["key"] for line in usage_lines(alice, "all", "day")["items"]] == ["2026-03-01"]


def test_ranges_begin_at_the_persons_midnight() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    now = datetime(2026, 11, 20, 23, 30, tzinfo=UTC)  # the 21st in Berlin
    starts = [range_start(name, berlin, now) for name in ("today", "week", "month", "all")]
    assert [start.astimezone(berlin).date() if start else None for start in starts] == [
        date(2026, 11, 21),
        date(2026, 11, 15),
        date(2026, 10, 23),
        None,
    ]
    with pytest.raises(Invalid):
        range_start("year", berlin)


@pytest.mark.usefixtures("within_a_day")
def test_it_leaves_out_what_is_older(alice: Actor, spend: Spend) -> None:
    spend(alice)
    old = spend(alice)
    Attempt.objects.filter(pk=old.id).update(reserved_at=timezone.now() - timedelta(days=40))
    assert [usage_lines(alice, name)["totals"]["requests"] for name in ("today", "month", "all")] == [1, 1, 2]


def test_it_asks_the_database_a_fixed_number_of_times(
    alice: Actor, mixed: None, django_assert_max_num_queries: Callable[..., Any]
) -> None:
    usage_seal(workspace_id=alice.workspace_id)
    with django_assert_max_num_queries(4):
        usage_lines(alice, "all")
    with django_assert_max_num_queries(5):
        usage_lines(alice, "all", "agent")


@pytest.mark.django_db(transaction=True)
def test_http_says_the_same(alice: Actor, mixed: None) -> None:
    client = Client()
    client.force_login(alice.user, backend="django.contrib.auth.backends.ModelBackend")
    told = client.get("/api/usage", {"range": "all", "groupBy": "model"}).json()
    assert told == usage_lines(alice, "all", "model")
    assert told["totals"]["requests"] == 5
    assert sum(Decimal(item["cost"] or 0) for item in told["items"]) == Decimal(told["totals"]["cost"])
    assert client.get("/api/usage", {"range": "year"}).status_code == 422
    assert client.get("/api/usage", {"groupBy": "secret"}).status_code == 422


@pytest.mark.django_db(transaction=True)
async def test_the_csv_has_a_row_per_request(alice: Actor, mixed: None) -> None:
    client = AsyncClient()
    await client.aforce_login(alice.user, backend="django.contrib.auth.backends.ModelBackend")
    response = await client.get("/api/usage/export.csv")
    assert response["Content-Type"].startswith("text/csv")
    body = b"".join([part async for part in response.streaming_content]).decode()
    rows = list(csv.DictReader(io.StringIO(body)))
    assert len(rows) == 5
    assert sum(Decimal(row["cost"] or 0) for row in rows) == Decimal("0.0031213")
    assert [row["cost"] for row in rows if row["model"] == "no-such-model"] == [""]
    assert all(
        int(row["totalTokens"]) == int(row["promptTokens"]) + int(row["completionTokens"]) for row in rows
    )


@pytest.mark.parametrize("mark", [*"=+-@\t\r\n"])
def test_a_formula_is_defused(mark: str) -> None:
    assert cell(f"{mark}cmd|' /C calc'!A0").startswith("'")
    assert cell("plain") == "plain"


@pytest.mark.django_db(transaction=True)
def test_nobody_sees_it_without_a_login() -> None:
    assert Client().get("/api/usage").status_code == 401
