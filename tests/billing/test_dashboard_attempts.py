"""The requests behind the numbers: page by page, one in full, as CSV and JSON; who sees what of them."""

from __future__ import annotations

import csv
import io
import json
from datetime import timedelta
from decimal import Decimal
from random import Random
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.test import AsyncClient, Client
from django.utils import timezone

from billing.attempts import attempt_in_full, attempts_page
from billing.dashboard import Chosen, scope_of, usage_overview
from billing.measures import TOKENS
from billing.models import Attempt
from billing.reliability import usage_reliability
from conversations.models import Conversation, Message, Run, ToolCall
from workspaces.access import Actor, Invalid, NotFound
from workspaces.cursors import place_of
from workspaces.database import in_database
from workspaces.models import AuditEvent
from workspaces.tokens import token_create

from .test_dashboard import made, scattered

pytestmark = pytest.mark.usefixtures("within_a_day")

BACKEND = "django.contrib.auth.backends.ModelBackend"


def test_pages_have_every_request_of_the_numbers_once_newest_first(alice: Actor) -> None:
    rows = scattered(alice, 120, 12)
    moment = rows[0].reserved_at
    Attempt.objects.filter(pk__in=[row.pk for row in rows[:40]]).update(
        reserved_at=moment
    )  # a crowd of one moment
    chosen = Chosen("all", filters={"model": "gpt-6-luna"})
    scope = scope_of(alice, chosen)
    seen: list[dict[str, Any]] = []
    cursor = ""
    while True:
        page = attempts_page(alice, scope, limit=7, cursor=cursor)
        seen += page["items"]
        cursor = page["nextCursor"]
        if cursor is None:
            break
    totals = usage_overview(alice, chosen)["totals"]
    assert len({item["id"] for item in seen}) == len(seen) == totals["requests"]
    assert [item["startedAt"] for item in seen] == sorted((item["startedAt"] for item in seen), reverse=True)
    assert sum(Decimal(item["cost"] or 0) for item in seen) == Decimal(totals["cost"])


def test_every_filter_lists_what_it_counts(alice: Actor) -> None:
    scattered(alice, 150, 12, seed=2)
    for filters in (
        {"user": "~"}, {"agent": "~"}, {"conversation": "~"}, {"purpose": "chat"}, {"purpose": "title"}, {"purpose": "other"},
        {"purpose": "nothing"}, {"provider": "openai", "purpose": "chat"}, {"user": str(alice.user_id)},
    ):  # fmt: skip
        chosen = Chosen("all", filters=filters)
        listed = attempts_page(alice, scope_of(alice, chosen), limit=200)["items"]
        assert len(listed) == usage_overview(alice, chosen)["totals"]["requests"], filters


def test_a_cursor_of_somebody_else_is_refused() -> None:
    for wrong in ("x", "////", "MjAyNi0wMS0wMXx4", "é", "MHww"):
        with pytest.raises(Invalid):
            place_of(wrong, UUID)


def test_one_request_tells_what_each_bucket_cost_to_the_last_decimal(alice: Actor) -> None:
    for row in scattered(alice, 40, 3):
        if row.status == Attempt.Status.RELEASED:
            with pytest.raises(NotFound):
                attempt_in_full(alice, row.pk)
            continue
        found = attempt_in_full(alice, row.pk)
        buckets = found["buckets"]
        assert [one["count"] for one in buckets[: len(TOKENS)]] == [
            getattr(row, column) for column in TOKENS.values()
        ]
        if row.cost_total is None:
            assert found["cost"] is None and all(one["costPico"] is None for one in buckets)
            continue
        assert sum(int(one["costPico"]) for one in buckets) == row.cost_total
        assert all(int(one["costPico"]) == one["count"] * one["pricePico"] for one in buckets)
        assert found["price"]["id"] == str(row.price_id)


def test_a_strangers_request_is_not_there(alice: Actor, charlie: Actor) -> None:
    row = made(alice, Random(1), timezone.now(), status="SETTLED")
    row.save()
    for wrong in (row.pk, uuid4()):
        with pytest.raises(NotFound):
            attempt_in_full(charlie, wrong)


def talk_of(actor: Actor, visibility: str) -> Conversation:
    return Conversation.objects.create(
        workspace=actor.workspace, created_by=actor.user, title="Salaries", visibility=visibility
    )


def test_a_title_is_told_to_who_may_read_it_and_to_nobody_else(alice: Actor, bob: Actor, vera: Actor) -> None:
    private, open_ = talk_of(alice, "private"), talk_of(alice, "workspace")
    for talk in (private, open_):
        made(alice, Random(1), timezone.now(), status="SETTLED", conversation_id=talk.pk).save()
    for actor, wanted in ((alice, ["Salaries", "Salaries"]), (bob, ["Salaries"]), (vera, ["Salaries"])):
        listed = attempts_page(actor, scope_of(actor, Chosen("today")))["items"]
        assert len(listed) == 2, "the numbers are everybody's"
        assert [item["conversationTitle"] for item in listed if item["conversationTitle"]] == wanted
        groups = usage_overview(actor, Chosen("today"), "conversation")["groups"]
        assert [line["name"] for line in groups if line["name"]] == wanted


def test_tools_and_recoveries_are_those_of_the_span_and_its_filters(alice: Actor, charlie: Actor) -> None:
    talk = talk_of(alice, "workspace")
    question = Message.objects.create(conversation=talk, number=1, role="user")
    now = timezone.now()

    def run(slug: str, **more: Any) -> Run:
        return Run.objects.create(
            workspace=alice.workspace, conversation=talk, message=question, agent_slug=slug, status="complete",
            created_at=now, requested_by=alice.user, **more,
        )  # fmt: skip

    first = run("a", epoch=4, handovers=1)
    resumed = run("a", epoch=1, resumed_from=first)
    run("b", epoch=1)
    for place in range(1, 101):
        ToolCall.objects.create(
            run=first if place % 2 else resumed, conversation=talk, message_id=uuid4(), call_id=str(place), tool_name="search",
            status="FAILED" if place > 97 else "COMPLETED", duration_ms=place, created_at=now,
        )  # fmt: skip
    ToolCall.objects.create(
        run=first, conversation=talk, message_id=uuid4(), call_id="x", tool_name="old", status="UNKNOWN",
        created_at=now - timedelta(days=50),
    )  # fmt: skip
    found = usage_reliability(alice, Chosen("month"))
    assert found["recovery"] == {"takeovers": 2, "handovers": 1, "resumed": 1}
    assert found["tools"] == [
        {
            "name": "search",
            "calls": 100,
            "errors": 3,
            "unknown": 0,
            "durationMs": {"p50": 50, "p95": 95, "p99": 99},
        }
    ]
    filtered = usage_reliability(alice, Chosen("month", filters={"agent": "b"}))
    assert (filtered["tools"], filtered["recovery"]["takeovers"]) == ([], 0)
    mine = usage_reliability(alice, Chosen("month", filters={"user": str(alice.user_id), "agent": "a"}))
    assert mine["tools"][0]["calls"] == 100
    assert usage_reliability(alice, Chosen("month", filters={"purpose": "title"}))["tools"] == []
    everything = usage_reliability(alice, Chosen(since=(now - timedelta(days=60)).date()))
    assert {line["name"]: line["unknown"] for line in everything["tools"]} == {"search": 0, "old": 1}
    theirs = usage_reliability(charlie, Chosen("month"))
    assert theirs["tools"] == [] and not any(theirs["recovery"].values())


async def body_of(actor: Actor, path: str) -> tuple[Any, str]:
    client = AsyncClient()
    await client.aforce_login(actor.user, backend=BACKEND)
    response = await client.get(path)
    assert response.status_code == 200
    return response, b"".join([part async for part in response.streaming_content]).decode()


@pytest.mark.django_db(transaction=True)
async def test_csv_json_and_page_say_the_same_to_the_last_decimal(
    alice: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("billing.attempts.EXPORT_PAGE", 17)
    await in_database(scattered, alice, 200, 9)  # in the first hour of a day a week has six days of them
    query = "?range=week&model=claude-sonnet-5-5"
    chosen = Chosen("week", filters={"model": "claude-sonnet-5-5"})
    totals = (await in_database(usage_overview, alice, chosen))["totals"]
    response, text = await body_of(alice, f"/api/usage/export.csv{query}")
    assert response["Content-Disposition"].startswith('attachment; filename="nexus-usage-')
    rows = list(csv.DictReader(io.StringIO(text)))
    _, text = await body_of(alice, f"/api/usage/export.json{query}")
    objects = json.loads(text)
    assert len(rows) == len(objects) == totals["requests"] > 17
    assert [row["id"] for row in rows] == [one["id"] for one in objects]
    for found in (rows, objects):
        assert sum(Decimal(one["cost"] or 0) for one in found) == Decimal(totals["cost"])
        assert sum(int(one["total"]) for one in found) == totals["tokenUsage"]["total"]
    assert all(isinstance(one["cost"], str | None) for one in objects)
    _, text = await body_of(alice, "/api/usage/export.json?model=none-such")
    assert json.loads(text) == []
    events = [event async for event in AuditEvent.objects.filter(action="exported").order_by("id")]
    assert [event.metadata["format"] for event in events] == ["csv", "json", "json"]
    assert events[0].metadata["model"] == "claude-sonnet-5-5" and events[0].metadata["range"] == "week"


@pytest.mark.django_db(transaction=True)
async def test_a_name_that_is_a_formula_stays_a_text_in_a_spreadsheet(alice: Actor) -> None:
    named: dict[str, Any] = {"model": '=HYPERLINK("http://x")', "agent_slug": "@sum", "status": "SETTLED"}

    def save() -> None:
        made(alice, Random(1), timezone.now(), **named).save()

    await in_database(save)
    _, text = await body_of(alice, "/api/usage/export.csv")
    (found,) = csv.DictReader(io.StringIO(text))
    assert found["model"] == '\'=HYPERLINK("http://x")'
    assert found["agent"] == "'@sum"


@pytest.mark.django_db(transaction=True)
def test_everybody_in_the_workspace_reads_it_and_a_read_only_token_too(alice: Actor, vera: Actor) -> None:
    token = token_create(user=alice.user, workspace=alice.workspace, name="t", scopes=["read"]).text
    for headers, user in (({"Authorization": f"Bearer {token}"}, None), ({}, vera.user)):
        client = Client(headers=headers)
        if user is not None:
            client.force_login(user, backend=BACKEND)
        for path in ("overview", "latencies", "reliability", "attempts"):
            assert client.get(f"/api/usage/{path}").status_code == 200, path


@pytest.mark.django_db(transaction=True)
def test_what_cannot_be_asked_is_refused_in_words(alice: Actor) -> None:
    client = Client()
    client.force_login(alice.user, backend=BACKEND)
    for query in (
        "range=year",
        "from=2026-02-01&to=2026-01-01",
        "from=yesterday",
        "groupBy=secret",
        "user=x",
        "limit=0",
        "cursor=x",
    ):
        path = "attempts" if query.startswith(("limit", "cursor")) else "overview"
        answer = client.get(f"/api/usage/{path}?{query}")
        assert answer.status_code == 422, query
        assert answer.json()["error"]["message"], query
    assert client.get("/api/usage/overview?from=2026-01-01&to=2026-01-31").json()["span"] == {
        "range": "custom", "from": "2026-01-01", "to": "2026-01-31", "timeZone": "UTC", "unit": "day",
    }  # fmt: skip
    assert client.get("/api/usage/attempts/not-an-id").status_code == 404
