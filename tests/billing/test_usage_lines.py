"""`GET /api/usage` and the tools against lines made by hand over the very attempts: sealed, half sealed or not at all.

Mixed traffic of several people: priced and not, estimated, failed, stopped, refused before it left, still open; on the
borders of hours and of everybody's days, over the change of clocks.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from agents.models import Agent
from billing.models import Attempt, UsageHour, UsageSeal
from billing.sealing import MARGIN, hour_of, usage_seal
from billing.spans import DAYS, midnight
from billing.usage import GROUPS, usage_lines, usage_sums
from conversations.models import Conversation
from nexus_core.usage import pico_to_usd
from workspaces.access import Actor, Invalid

from .test_dashboard import COLUMN, in_days, made

NOW = datetime(2026, 11, 20, 15, 40, 12, 345678, tzinfo=UTC)
ZONES = ("Europe/Berlin", "Asia/Kathmandu", "America/St_Johns")
OPEN, ALICES, BOBS, UNTITLED = (UUID(int=900 + n) for n in range(4))
Titles = dict[UUID, str | None]


@pytest.fixture(autouse=True)
def at_one_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("django.utils.timezone.now", lambda: NOW)


def moments(rng: random.Random) -> list[datetime]:
    """Anywhere in six weeks, and right before and at the beginnings of hours and of everybody's days."""
    found = [NOW - timedelta(seconds=rng.uniform(0, 45 * 86_400)) for _ in range(150)]
    borders = [hour_of(NOW) - timedelta(hours=n) for n in (0, 1, 2, 3, 30)]
    for zone in map(ZoneInfo, ZONES):
        today = NOW.astimezone(zone).date()
        borders += [midnight(today - timedelta(days=n), zone) for n in (0, 1, 6, 7, 26, 29, 30)]
    return found + borders + [border - timedelta(microseconds=1) for border in borders]


def mixed(actor: Actor, other: Actor, waits: timedelta, seed: int = 1) -> list[Attempt]:
    """The attempts of two people, a few of them still open, the oldest since that long."""
    rng = random.Random(seed)
    rows = [made(actor, rng, at) for at in moments(rng)]
    for row in rows:
        row.user_id = rng.choice([actor.user_id, other.user_id, None])
        if rng.random() < 0.1:
            row.success, row.error_code, row.stop_reason = False, "run_cancelled", "cancelled"
    for status in Attempt.OPEN:
        for ago in (timedelta(minutes=5), waits):
            row = made(actor, rng, NOW - ago, status=status, success=None, error_code="", estimated=False)
            row.settled_at = row.first_token_ms = row.duration_ms = row.price_id = None
            row.cost_input = row.cost_output = row.cost_total = None
            rows.append(row)
    return Attempt.objects.bulk_create(rows)


def by_hand(rows: Iterable[Attempt]) -> dict[str, Any]:
    """A whole line as PROTOCOL.md has it."""
    rows = [row for row in rows if row.status != Attempt.Status.RELEASED]
    ended = [row for row in rows if row.status not in Attempt.OPEN]
    priced = [row for row in rows if row.cost_total is not None]
    unpriced = sum(row.cost_total is None and row.tokens_total > 0 for row in ended)

    def tokens(*names: str) -> int:
        return sum(getattr(row, f"tokens_{name}") for row in rows for name in names)

    def usd(name: str) -> str | None:
        return (
            None
            if unpriced and not priced
            else pico_to_usd(sum(getattr(row, f"cost_{name}") for row in priced))
        )

    def times(name: str) -> dict[str, int | None]:
        found = sorted(value for row in rows if (value := getattr(row, name)) is not None)
        return {
            f"p{share}": found[max(1, -(-len(found) * share // 100)) - 1] if found else None
            for share in (50, 95)
        }

    write = tokens("cache_write_5m", "cache_write_1h")
    prompt = tokens("input", "cache_read") + write
    completion = tokens("output", "reasoning")
    return {
        "requests": len(rows),
        "errors": sum(row.success is False for row in rows),
        "estimated": sum(row.estimated for row in rows),
        "unpriced": unpriced,
        "cost": usd("total"),
        "inputCost": usd("input"),
        "outputCost": usd("output"),
        "currency": "USD",
        "tokenUsage": {
            "input": tokens("input"),
            "output": tokens("output"),
            "cacheRead": tokens("cache_read"),
            "cacheWrite": write,
            "reasoning": tokens("reasoning"),
            "total": prompt + completion,
        },
        "promptTokens": prompt,
        "completionTokens": completion,
        "totalTokens": prompt + completion,
        "timeToFirstTokenMs": times("first_token_ms"),
        "durationMs": times("duration_ms"),
    }


def items_by_hand(
    rows: list[Attempt], group: str, zone: ZoneInfo, titles: Titles, people: list[Actor]
) -> list[dict[str, Any]]:
    names: dict[str | None, str | None] = {
        **dict(Agent.objects.values_list("slug", "name")),
        **{str(actor.user_id): actor.user.display_name for actor in people},
        **{str(key): title for key, title in titles.items()},
    }
    groups: dict[str | None, list[Attempt]] = defaultdict(list)
    for row in rows:
        if row.status == Attempt.Status.RELEASED:
            continue
        if group == "agent":
            key: str | None = row.agent_slug
        elif group == "day":
            key = row.reserved_at.astimezone(zone).date().isoformat()
        else:
            key = COLUMN[group](row)
        groups[key].append(row)
    lines = [
        {
            "key": key,
            "name": key if group in ("model", "provider", "day") else names.get(key),
            **by_hand(some),
        }
        for key, some in groups.items()
    ]
    if group == "day":
        return sorted(lines, key=lambda line: str(line["key"]))
    return sorted(lines, key=lambda line: (-line["totalTokens"], str(line["key"])))


def in_range(rows: list[Attempt], chosen: str, zone: ZoneInfo) -> list[Attempt]:
    today = NOW.astimezone(zone).date()
    return in_days(
        rows, zone, today - timedelta(days=DAYS[chosen] - 1) if chosen in DAYS else date.min, today
    )


def talks(alice: Actor, bob: Actor) -> tuple[Titles, Titles]:
    """Conversations of the traffic; what Alice and what Bob may read of their titles."""
    for pk, title, of, visibility in (
        (OPEN, "Ours", alice, "workspace"),
        (ALICES, "Hers", alice, "private"),
        (BOBS, "His", bob, "private"),
        (UNTITLED, "", alice, "workspace"),
    ):
        Conversation.objects.create(
            pk=pk, workspace=alice.workspace, created_by=of.user, title=title, visibility=visibility
        )
    ours: Titles = {OPEN: "Ours", UNTITLED: "New conversation"}
    return {**ours, ALICES: "Hers"}, {**ours, BOBS: "His"}


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("sealed", ["wholly", "half", "never"])
def test_every_line_is_what_adding_up_by_hand_gives(
    alice: Actor, bob: Actor, charlie: Actor, zone: str, sealed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole answer is compared: totals, each group, names, order; of every range, sealed or read from the attempts."""
    of_alice, of_bob = talks(alice, bob)
    waits = timedelta(days=9) if sealed == "half" else timedelta(minutes=50)
    rows = mixed(alice, bob, waits)
    mixed(charlie, charlie, waits, seed=2)
    if sealed == "never":
        monkeypatch.setattr("billing.usage.usage_seal", lambda **_: True)
    here = ZoneInfo(zone)
    for actor, titles in ((alice, of_alice), (bob, of_bob)):
        actor.user.timezone = zone
        for chosen in ("today", "week", "month", "all"):
            wanted = in_range(rows, chosen, here)
            totals = by_hand(wanted)
            for group in GROUPS:
                expected = items_by_hand(wanted, group, here, titles, [alice, bob])
                assert usage_lines(actor, chosen, group) == {
                    "range": chosen, "groupBy": group, "totals": totals, "items": expected
                }, (actor.user.username, chosen, group)  # fmt: skip
            assert usage_lines(actor, chosen) == {
                "range": chosen, "groupBy": None, "totals": totals, "items": []
            }  # fmt: skip
            assert usage_sums(actor, chosen).items() <= totals.items()
            for talk in (OPEN, ALICES, UUID(int=1)):
                of_talk = by_hand(row for row in wanted if row.conversation_id == talk)
                assert usage_sums(actor, chosen, talk).items() <= of_talk.items()
    until = UsageSeal.objects.filter(pk=alice.workspace_id).values_list("until", flat=True).first()
    assert until == {"wholly": hour_of(NOW - MARGIN), "half": hour_of(NOW - waits), "never": None}[sealed]
    assert UsageHour.objects.filter(workspace_id=alice.workspace_id).exists() is (sealed != "never")


@pytest.mark.django_db(transaction=True)
def test_everybody_in_the_workspace_is_told_the_same_numbers_and_their_own_titles(
    alice: Actor, bob: Actor, vera: Actor, charlie: Actor
) -> None:
    of_alice, of_bob = talks(alice, bob)
    rows = mixed(alice, bob, timedelta(minutes=50))
    zone = ZoneInfo("UTC")
    for actor, titles in (
        (alice, of_alice),
        (bob, of_bob),
        (vera, {OPEN: "Ours", UNTITLED: "New conversation"}),
    ):
        told = asked(actor, "all", "conversation")
        assert told["totals"] == by_hand(rows)
        assert told["items"] == items_by_hand(rows, "conversation", zone, titles, [])
    stranger = asked(charlie, "all", "conversation")
    assert (stranger["totals"], stranger["items"]) == (by_hand([]), [])


def asked(actor: Actor, chosen: str, group: str) -> dict[str, Any]:
    client = Client()
    client.force_login(actor.user, backend="django.contrib.auth.backends.ModelBackend")
    found: dict[str, Any] = client.get("/api/usage", {"range": chosen, "groupBy": group}).json()
    return found


def test_a_look_that_finds_nothing_to_add_up_writes_nothing(
    alice: Actor, bob: Actor, django_assert_num_queries: Callable[[int], CaptureQueriesContext]
) -> None:
    mixed(alice, bob, timedelta(minutes=50))
    assert usage_seal(workspace_id=alice.workspace_id)
    with django_assert_num_queries(1):
        assert usage_seal(workspace_id=alice.workspace_id)
    with CaptureQueriesContext(connection) as queries:
        usage_lines(alice, "all", "model")
    assert all(query["sql"].startswith("SELECT") for query in queries)


def test_it_knows_no_other_ranges_and_groups(alice: Actor) -> None:
    for wrong in (("year", None), ("custom", None), ("all", "purpose"), ("all", "price"), ("all", "part")):
        with pytest.raises(Invalid):
            usage_lines(alice, *wrong)
    with pytest.raises(Invalid):
        usage_sums(alice, "year")
