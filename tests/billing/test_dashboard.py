"""The usage page's numbers against sums made by hand over the very attempts, sealed or not, in any zone."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone

from billing.dashboard import GROUPS, Chosen, usage_overview
from billing.measures import TOKENS
from billing.models import Attempt, UsageHour
from billing.prices import price_for
from billing.sealing import usage_seal
from nexus_core.usage import PICO_PER_USD, Usage
from workspaces.access import Actor

MODELS = [
    ("anthropic", "claude-sonnet-5-5"),
    ("openai", "gpt-6-luna"),
    ("local", "any"),
    ("openai", "no-such-model"),
]


def made(actor: Actor, rng: random.Random, at: datetime, **more: Any) -> Attempt:
    """One random attempt, unsaved: priced or not, failed, released, estimated, of a title or a run."""
    provider, model = rng.choice(MODELS)
    status = rng.choices(
        [Attempt.Status.SETTLED, Attempt.Status.RELEASED, Attempt.Status.UNKNOWN], weights=[90, 4, 6]
    )[0]
    usage = Usage(
        input=rng.randrange(5000),
        output=rng.randrange(900),
        cache_read=rng.choice([0, 3000]),
        cache_write_5m=rng.choice([0, 0, 17]),
        cache_write_1h=rng.choice([0, 0, 5]),
        reasoning=rng.choice([0, 33]),
    )
    if status == Attempt.Status.RELEASED or rng.random() < 0.1:
        usage = Usage()
    priced = price_for(provider, model, at, usage.input + usage.cache_read + usage.cache_write)
    cost = priced[1].cost(usage) if priced and usage.total else None
    row = Attempt(
        workspace_id=actor.workspace_id,
        user_id=rng.choice([actor.user_id, None, UUID(int=rng.randrange(3))]),
        agent_slug=rng.choice(["assistant", "demo-agent", "", "gone"]),
        conversation_id=rng.choice([None, *(UUID(int=900 + n) for n in range(4))]),
        run_id=rng.choice([None, uuid4()]),
        number=rng.choice([1, 1, 1, 2]),
        provider=provider,
        model=model,
        status=status,
        estimated=status == Attempt.Status.UNKNOWN,
        price_id=priced[0] if priced else None,
        success=status == Attempt.Status.SETTLED and rng.random() > 0.1,
        error_code="owner_died" if status == Attempt.Status.UNKNOWN else "",
        reserved_at=at,
        settled_at=at,
        first_token_ms=rng.choice([None, rng.randrange(50, 4000)]),
        duration_ms=rng.randrange(60, 60_000),
        **{column: getattr(usage, name) for name, column in TOKENS.items()},
    )
    if cost is not None:
        row.cost_input, row.cost_output, row.cost_total = (
            cost.input,
            cost.output,
            (cost.input or 0) + (cost.output or 0),
        )
    for name, value in more.items():
        setattr(row, name, value)
    return row


def scattered(actor: Actor, number: int, days: int, seed: int = 1) -> list[Attempt]:
    rng = random.Random(seed)
    now = timezone.now()
    rows = [made(actor, rng, now - timedelta(seconds=rng.uniform(0, days * 86_400))) for _ in range(number)]
    return Attempt.objects.bulk_create(rows)


def usd(pico: int) -> Decimal:
    return Decimal(pico) / PICO_PER_USD


def by_hand(rows: Iterable[Attempt]) -> dict[str, Any]:
    rows = [row for row in rows if row.status != Attempt.Status.RELEASED]
    return {
        "requests": len(rows),
        "errors": sum(row.success is False for row in rows),
        "estimated": sum(row.estimated for row in rows),
        "retries": sum(row.number > 1 for row in rows),
        "lost": sum(row.error_code == "owner_died" for row in rows),
        "unpriced": sum(row.cost_total is None and row.tokens_total > 0 for row in rows),
        "cost": sum(row.cost_total or 0 for row in rows),
        "total": sum(row.tokens_total for row in rows),
        "cacheRead": sum(row.tokens_cache_read for row in rows),
    }


def told(line: dict[str, Any]) -> dict[str, Any]:
    names = ("requests", "errors", "estimated", "retries", "lost", "unpriced")
    return {name: line[name] for name in names} | {
        "cost": int(Decimal(line["cost"] or 0) * PICO_PER_USD),
        "total": line["tokenUsage"]["total"],
        "cacheRead": line["tokenUsage"]["cacheRead"],
    }


COLUMN = {
    "agent": lambda row: row.agent_slug or None,
    "model": lambda row: row.model,
    "provider": lambda row: row.provider,
    "user": lambda row: str(row.user_id) if row.user_id else None,
    "conversation": lambda row: str(row.conversation_id) if row.conversation_id else None,
    "purpose": lambda row: "chat" if row.run_id else "title" if row.conversation_id else "other",
}


def in_days(rows: list[Attempt], zone: ZoneInfo, first: date, last: date) -> list[Attempt]:
    return [row for row in rows if first <= row.reserved_at.astimezone(zone).date() <= last]


@pytest.mark.parametrize(
    "zone", ["UTC", "Europe/Berlin", "Asia/Kolkata", "Asia/Kathmandu", "America/St_Johns"]
)
@pytest.mark.parametrize("sealed", [True, False], ids=["sealed", "unsealed"])
def test_it_is_what_adding_up_by_hand_gives(
    alice: Actor, zone: str, sealed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice.user.timezone = zone
    rows = scattered(alice, 600, 40)
    if sealed:
        assert usage_seal(workspace_id=alice.workspace_id)
        assert UsageHour.objects.exists()
    else:
        monkeypatch.setattr("billing.dashboard.usage_seal", lambda **_: True)
    here = ZoneInfo(zone)
    today = timezone.now().astimezone(here).date()
    for chosen, days in (
        (Chosen("month"), 30),
        (Chosen("week"), 7),
        (Chosen("today"), 1),
        (Chosen("all"), 99),
    ):
        wanted = in_days(rows, here, today - timedelta(days=days - 1), today)
        for group in GROUPS:
            found = usage_overview(alice, chosen, group)
            assert told(found["totals"]) == by_hand(wanted), (chosen, group)
            groups = defaultdict(list)
            for row in wanted:
                groups[COLUMN[group](row)].append(row)
            expected = {key: by_hand(some) for key, some in groups.items() if by_hand(some)["requests"]}
            assert {line["key"]: told(line) for line in found["groups"]} == expected
            check_over_time(found, wanted, here)


def check_over_time(found: dict[str, Any], rows: list[Attempt], zone: ZoneInfo) -> None:
    over = found["overTime"]
    starts = [datetime.fromisoformat(start) for start in over["starts"]]
    for place, start in enumerate(starts):
        end = starts[place + 1] if place + 1 < len(starts) else datetime.max.replace(tzinfo=UTC)
        wanted = by_hand(row for row in rows if start <= row.reserved_at < end)
        assert over["requests"][place] == wanted["requests"]
        assert over["errors"][place] == wanted["errors"]
        assert sum(column[place] for column in over["tokens"].values()) == wanted["total"]
        cost = sum(Decimal(series["cost"][place] or 0) for series in over["series"])
        assert cost == usd(wanted["cost"])
