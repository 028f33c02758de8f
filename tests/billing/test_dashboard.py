"""The usage page's numbers against sums made by hand over the very attempts, sealed or not, in any zone."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone

from agents.services import agent_create, agent_delete
from billing.dashboard import GROUPS, Chosen, names_of, usage_latencies, usage_overview
from billing.measures import TOKENS
from billing.models import Attempt, PriceVersion, UsageHour, UsageSeal
from billing.prices import price_for
from billing.sealing import MARGIN, hour_of, usage_seal
from billing.spans import pieces, span_of
from nexus_core.usage import PICO_PER_USD, Usage
from workspaces.access import Actor, Invalid

pytestmark = pytest.mark.usefixtures("within_a_day")

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


ZONES = ("UTC", "Europe/Berlin", "Asia/Kolkata", "Asia/Kathmandu", "America/St_Johns")


@pytest.mark.parametrize(
    ("zone", "sealed"),
    [*((zone, True) for zone in ZONES), ("Europe/Berlin", False), ("Asia/Kathmandu", False)],
)
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
        for group in GROUPS if days == 30 else GROUPS[:1]:
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


@pytest.fixture
def no_sealing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("billing.dashboard.usage_seal", lambda **_: True)


def test_each_bucket_costs_its_tokens_by_their_prices_and_fees_are_the_rest(alice: Actor) -> None:
    rows = scattered(alice, 200, 20, seed=3)
    found = usage_overview(alice, Chosen("all"))
    wanted: dict[str, int] = defaultdict(int)
    for row in rows:
        if row.cost_total is not None:
            price = PriceVersion.objects.get(pk=row.price_id)
            for name, column in TOKENS.items():
                per = getattr(price, name)
                wanted[name] += getattr(row, column) * (price.output if per is None else per)
    told_costs = {line["bucket"]: Decimal(line["cost"] or 0) for line in found["costByBucket"]}
    assert {name: told_costs[name] for name in TOKENS} == {name: usd(wanted[name]) for name in TOKENS}
    assert told_costs["fees"] == 0
    assert sum(told_costs.values()) == Decimal(found["totals"]["cost"])


def test_fees_by_the_request_are_told_beside_the_tokens(alice: Actor) -> None:
    price = PriceVersion.objects.create(
        provider="p", model="m", valid_from=timezone.now() - timedelta(days=9), input=5, output=7, cache_read=0,
        cache_write_5m=0, cache_write_1h=0, per_request=1_000, content_hash="x",
    )  # fmt: skip
    now = timezone.now()
    row = made(alice, random.Random(1), now, provider="p", model="m", price_id=price.pk, status="SETTLED")
    for column in TOKENS.values():
        setattr(row, column, 0)
    row.tokens_input, row.tokens_output = 10, 2
    row.cost_input, row.cost_output, row.cost_total = 1_050, 14, 1_064
    row.save()
    found = {line["bucket"]: line["cost"] for line in usage_overview(alice, Chosen("today"))["costByBucket"]}
    assert (found["input"], found["output"], found["fees"]) == (
        "0.00000000005",
        "0.000000000014",
        "0.000000001",
    )


def test_what_is_unpriced_is_null_and_never_0(alice: Actor) -> None:
    made(alice, random.Random(2), timezone.now(), status="SETTLED", cost_input=None, cost_output=None, cost_total=None,
         tokens_input=5, agent_slug="a", model="x").save()  # fmt: skip
    found = usage_overview(alice, Chosen("today"))
    assert found["totals"]["cost"] is None
    assert found["groups"][0]["cost"] is None
    assert {line["bucket"]: line["cost"] for line in found["costByBucket"]}["input"] is None
    assert None in found["overTime"]["series"][0]["cost"]


def test_an_empty_workspace_has_zeros_and_no_groups(alice: Actor) -> None:
    found = usage_overview(alice, Chosen("all"))
    assert (found["totals"]["requests"], found["totals"]["cost"], found["groups"]) == (0, "0", [])
    assert len(found["overTime"]["starts"]) == len(found["overTime"]["requests"])
    assert usage_latencies(alice, Chosen("all"))["durationMs"] == {"p50": None, "p95": None, "p99": None}


@pytest.mark.parametrize("sealed", [True, False], ids=["sealed", "unsealed"])
def test_percentiles_are_those_of_every_request(alice: Actor, sealed: bool) -> None:
    rows = [row for row in scattered(alice, 400, 25, seed=5) if row.status != Attempt.Status.RELEASED]
    if sealed:
        usage_seal(workspace_id=alice.workspace_id)
    found = usage_latencies(alice, Chosen("all"), "model")

    def nearest(values: list[int]) -> dict[str, int]:
        values = sorted(values)
        return {f"p{share}": values[max(1, -(-len(values) * share // 100)) - 1] for share in (50, 95, 99)}

    assert found["durationMs"] == nearest([row.duration_ms for row in rows])
    assert found["timeToFirstTokenMs"] == nearest([row.first_token_ms for row in rows if row.first_token_ms])
    for line in found["groups"]:
        some = [row for row in rows if row.model == line["key"]]
        assert line["requests"] == len(some)
        assert line["durationMs"] == nearest([row.duration_ms for row in some])


def test_filters_narrow_all_numbers_alike(alice: Actor) -> None:
    rows = scattered(alice, 300, 20, seed=8)
    usage_seal(workspace_id=alice.workspace_id)
    nobody = {"user": "~", "model": "gpt-6-luna"}
    wanted = [row for row in rows if row.user_id is None and row.model == "gpt-6-luna"]
    assert told(usage_overview(alice, Chosen("all", filters=nobody))["totals"]) == by_hand(wanted)
    talk = {"conversation": str(UUID(int=901))}
    wanted = [row for row in rows if row.conversation_id == UUID(int=901)]
    assert told(usage_overview(alice, Chosen("all", filters=talk))["totals"]) == by_hand(wanted)
    titles = {"purpose": "title", "agent": "~"}
    wanted = [row for row in rows if not row.run_id and row.conversation_id and not row.agent_slug]
    assert told(usage_overview(alice, Chosen("all", filters=titles))["totals"]) == by_hand(wanted)
    for wrong in ({"user": "x"}, {"conversation": "1"}, {"price": "x"}):
        with pytest.raises(Invalid):
            usage_overview(alice, Chosen("all", filters=wrong))


def test_a_fallback_is_another_model_after_the_one_before(alice: Actor) -> None:
    run = uuid4()
    now = timezone.now() - timedelta(days=1)
    for number, (provider, model) in enumerate([MODELS[0], MODELS[0], MODELS[1]], start=1):
        made(
            alice,
            random.Random(1),
            now,
            run_id=run,
            number=number,
            provider=provider,
            model=model,
            status="SETTLED",
        ).save()
    for seal in (False, True):
        if seal:
            usage_seal(workspace_id=alice.workspace_id)
        totals = usage_overview(alice, Chosen("week"))["totals"]
        assert (totals["retries"], totals["fallbacks"]) == (2, 1)


def test_another_workspace_is_in_no_number(alice: Actor, charlie: Actor) -> None:
    scattered(charlie, 50, 5)
    assert usage_overview(alice, Chosen("all"))["totals"]["requests"] == 0
    assert usage_overview(charlie, Chosen("all"))["totals"]["requests"] > 0


# --- sealing -------------------------------------------------------------------------------------------------


def seal_of(actor: Actor) -> datetime:
    return UsageSeal.objects.get(pk=actor.workspace_id).until


def test_it_never_seals_what_is_young_or_open(alice: Actor) -> None:
    now = timezone.now()
    made(alice, random.Random(1), now - timedelta(hours=30)).save()
    waits = made(alice, random.Random(1), now - timedelta(hours=20), status=Attempt.Status.SENT)
    waits.save()
    assert usage_seal(workspace_id=alice.workspace_id)
    assert seal_of(alice) == hour_of(waits.reserved_at)
    Attempt.objects.filter(pk=waits.pk).update(status=Attempt.Status.SETTLED)
    usage_seal(workspace_id=alice.workspace_id)
    assert seal_of(alice) == hour_of(now - MARGIN)


@pytest.mark.parametrize("way", ["insert", "update", "delete", "moved"])
def test_whoever_changes_the_past_draws_the_seal_back(alice: Actor, way: str, no_sealing: None) -> None:
    rows = scattered(alice, 80, 9, seed=4)
    usage_seal(workspace_id=alice.workspace_id)
    before = seal_of(alice)
    old = min((row for row in rows if row.status != Attempt.Status.RELEASED), key=lambda row: row.reserved_at)
    match way:
        case "insert":
            rows.append(made(alice, random.Random(9), old.reserved_at + timedelta(hours=30)))
            rows[-1].save()
        case "update":
            Attempt.objects.filter(pk=old.pk).update(tokens_input=77)
            old.tokens_input = 77
        case "delete":
            Attempt.objects.filter(pk=old.pk).delete()
            rows.remove(old)
        case "moved":
            old.reserved_at += timedelta(days=3)
            Attempt.objects.filter(pk=old.pk).update(reserved_at=old.reserved_at)
    assert seal_of(alice) < before
    assert told(usage_overview(alice, Chosen("all"))["totals"]) == by_hand(rows)
    usage_seal(workspace_id=alice.workspace_id)
    assert seal_of(alice) == before
    assert told(usage_overview(alice, Chosen("all"))["totals"]) == by_hand(rows)


def test_it_goes_on_where_its_time_was_up(
    alice: Actor, monkeypatch: pytest.MonkeyPatch, no_sealing: None
) -> None:
    monkeypatch.setattr("billing.sealing.MOST_AT_ONCE", 10)
    rows = scattered(alice, 120, 9, seed=6)
    steps = 0
    while not usage_seal(workspace_id=alice.workspace_id, within=timedelta()):
        steps += 1
        assert told(usage_overview(alice, Chosen("all"))["totals"]) == by_hand(rows)
    assert steps > 3


# --- days ----------------------------------------------------------------------------------------------------


def span(first: date, last: date, zone: str) -> Any:
    now = datetime.combine(last, datetime.min.time(), UTC) + timedelta(hours=12)
    return span_of("month", ZoneInfo(zone), since=first, until=last, now=now)


def test_a_day_has_as_many_hours_as_its_clocks() -> None:
    berlin = "Europe/Berlin"
    assert [
        len(span(day, day, berlin).parts())
        for day in (date(2026, 3, 28), date(2026, 3, 29), date(2026, 10, 25))
    ] == [24, 23, 25]


def test_a_midnight_that_clocks_skip_begins_at_the_first_moment_there_is() -> None:
    # Cairo, 24 April 2026: 00:00 does not exist, the day begins at 01:00 summer time.
    found = span(date(2026, 4, 24), date(2026, 4, 24), "Africa/Cairo")
    assert found.end - found.start == timedelta(hours=23)


@pytest.mark.parametrize(
    "zone", ["Europe/Berlin", "Asia/Kathmandu", "Australia/Lord_Howe", "America/St_Johns", "UTC"]
)
@pytest.mark.parametrize("days", [1, 2, 40, 200, 900])
def test_pieces_cover_every_moment_once(zone: str, days: int) -> None:
    chosen = span(date(2026, 10, 30) - timedelta(days=days - 1), date(2026, 10, 30), zone)
    parts = chosen.parts()
    assert parts == sorted(set(parts))
    assert parts[0] == chosen.start and parts[-1] < chosen.end
    for sealed in (
        chosen.start - timedelta(days=1),
        hour_of(chosen.start + (chosen.end - chosen.start) / 2),
        chosen.end,
    ):
        hours, attempts = pieces(parts, chosen.end, hour_of(sealed))
        assert all(
            piece.start == hour_of(piece.start) and piece.end == hour_of(piece.end) <= sealed
            for piece in hours
        )
        edges = sorted((piece.start, piece.end, piece.part) for piece in hours + attempts)
        assert edges[0][0] == chosen.start and edges[-1][1] == chosen.end
        assert all(before[1] == after[0] for before, after in pairwise(edges))
        for start, end, part in edges:
            assert parts[part] <= start and end <= (parts[part + 1] if part + 1 < len(parts) else chosen.end)


def test_it_refuses_days_that_are_no_span(alice: Actor) -> None:
    for chosen in (
        Chosen(since=date(2026, 2, 1), until=date(2026, 1, 1)),
        Chosen("year"),
        Chosen(since=date(1, 1, 1), until=date(9999, 12, 31)),
    ):
        with pytest.raises(Invalid):
            usage_overview(alice, chosen)


def test_a_name_is_that_of_the_agent_that_has_the_slug_now_or_had_it_last(alice: Actor) -> None:
    for name in ("First", "Second", "Third"):
        agent_create(actor=alice, fields={"name": name, "provider": "scripted", "model": "demo"}, slug="ours")
        assert names_of(alice, "agent", ["ours"]) == {"ours": name}
        agent_delete(actor=alice, slug="ours")
        assert names_of(alice, "agent", ["ours"]) == {"ours": name}
