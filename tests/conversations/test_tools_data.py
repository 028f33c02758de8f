"""Tools over conversations: real numbers of what the person may read, in the person's own days."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone

from agents import toolbox
from billing.models import Attempt
from conversations.database import in_database
from conversations.models import Conversation, Message, Task
from nexus_core.context import ExecutionContext
from nexus_core.errors import NexusError, ToolInputInvalid
from workspaces.access import Actor, Forbidden, NotFound

pytestmark = pytest.mark.django_db(transaction=True)

NOW = datetime.now(UTC)


@pytest.fixture(autouse=True)
def _now(within_a_day: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test's own moment: this file may have been read on the day before."""
    monkeypatch.setattr(sys.modules[__name__], "NOW", datetime.now(UTC))


def context(actor: Actor | None, conversation: Conversation | None = None) -> ExecutionContext:
    services = {} if actor is None else {"actor": actor}
    return ExecutionContext(conversation_id=str(conversation.pk) if conversation else "", services=services)


async def call(
    name: str, actor: Actor | None, conversation: Conversation | None = None, **given: object
) -> dict:
    return await toolbox.get(name).call(given, context(actor, conversation))


def talk(
    actor: Actor, *texts: str, ago: timedelta = timedelta(), length: float = 60, **more: object
) -> Conversation:
    """A conversation begun that long ago, whose messages alternate between person and agent."""
    begun = NOW - ago
    conversation = Conversation.objects.create(
        workspace=actor.workspace, created_by=actor.user, title=texts[0] if texts else "", created_at=begun,
        last_active_at=begun + timedelta(seconds=length), **more,
    )  # fmt: skip
    for number, text in enumerate(texts, 1):
        role = "user" if number % 2 else "assistant"
        slug = "" if role == "user" else "demo-agent"
        Message.objects.create(
            conversation=conversation,
            number=number,
            role=role,
            content=text,
            agent_slug=slug,
            created_at=begun,
        )
    return conversation


async def test_it_counts_sessions_as_the_documents_define_them(alice, bob, charlie):
    def build() -> None:
        talk(alice, "q", "a", "q", "a", length=100)
        talk(bob, "q", "a", length=300, status="archived")
        talk(alice, "old", "a", ago=timedelta(days=100), length=50)
        talk(bob, "his own", visibility="private")
        talk(charlie, "elsewhere", "a", "b")

    await in_database(build)
    week = await call("analyze_session_metrics", alice, timeRange="week")
    assert week == {
        "totalSessions": 2,
        "activeSessions": 1,
        "averageSessionLength": 200.0,
        "totalMessages": 6,
        "userEngagement": 0.5,
    }
    everything = await call("analyze_session_metrics", alice, timeRange="all")
    assert (everything["totalSessions"], everything["averageSessionLength"]) == (3, 150.0)
    his = await call("analyze_session_metrics", bob, time_range="all")
    assert his["totalSessions"] == 4, "his private one too"
    nothing = await call("analyze_session_metrics", charlie, timeRange="today")
    assert nothing["totalSessions"] in (0, 1)


async def test_it_knows_no_other_ranges_and_no_other_people(alice):
    with pytest.raises(ToolInputInvalid):
        await call("analyze_session_metrics", alice, timeRange="year")
    with pytest.raises(ToolInputInvalid):
        await call("analyze_session_metrics", alice, timeRange="all", sql="DROP TABLE")
    with pytest.raises(NexusError):
        await call("analyze_session_metrics", None, timeRange="all")


async def test_it_counts_days_where_the_person_lives(alice):
    zone = ZoneInfo("Pacific/Kiritimati")  # UTC+14

    def build() -> None:
        alice.user.timezone = zone.key
        alice.user.save()
        midnight = timezone.now().astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
        for moment in (midnight + timedelta(seconds=1), midnight - timedelta(seconds=1)):
            conversation = talk(alice)
            Conversation.objects.filter(pk=conversation.pk).update(created_at=moment)

    await in_database(build)
    assert (await call("analyze_session_metrics", alice, timeRange="today"))["totalSessions"] == 1
    assert (await call("analyze_session_metrics", alice, timeRange="week"))["totalSessions"] == 2


async def test_it_shows_activity_by_day_hour_agent_and_session(alice, bob):
    def build() -> None:
        talk(alice, "q", "a", "q", "a")
        talk(bob, "q", "a")
        talk(bob, "private", visibility="private")

    await in_database(build)
    seen = await call("get_session_activity", alice)
    assert seen["totalMessages"] == 6 and seen["timeZone"] == "UTC"
    assert seen["days"] == [{"day": NOW.date().isoformat(), "messages": 6, "sessions": 2}]
    assert seen["busiestHours"][0] == {"hour": NOW.hour, "messages": 6}
    assert seen["agents"] == [{"agentId": "demo-agent", "answers": 3}]
    assert [row["messages"] for row in seen["mostActiveSessions"]] == [4, 2]


async def test_it_adds_up_tokens_and_cost(alice, charlie):
    def build() -> Conversation:
        conversation = talk(alice, "q", "a")
        for tokens in (100, 40):
            Attempt.objects.create(
                workspace_id=alice.workspace_id, user_id=alice.user_id, provider="scripted", model="demo",
                conversation_id=conversation.pk, status="SETTLED", success=True, reserved_at=NOW,
                tokens_input=tokens, tokens_output=tokens // 2,
            )  # fmt: skip
        Attempt.objects.create(
            workspace_id=alice.workspace_id, provider="scripted", model="demo", status="SETTLED", reserved_at=NOW,
            tokens_input=1000,
        )  # fmt: skip
        return conversation

    conversation = await in_database(build)
    whole = await call("get_token_usage", alice, timeRange="today")
    assert (whole["requests"], whole["totalTokens"]) == (3, 1210)
    one = await call("get_token_usage", alice, timeRange="today", sessionId=str(conversation.pk))
    assert (one["requests"], one["totalTokens"], one["tokenUsage"]["input"]) == (2, 210, 140)
    empty = await in_database(talk, alice)
    assert (await call("get_token_usage", alice, sessionId=str(empty.pk)))["totalTokens"] == 0
    with pytest.raises(NotFound):
        await call("get_token_usage", charlie, sessionId=str(conversation.pk))
    with pytest.raises(NotFound):
        await call("get_token_usage", alice, sessionId="' OR 1=1 --")


async def test_it_searches_and_notes_tasks_for_the_person(alice, vera, charlie):
    conversation = await in_database(talk, alice, "the quarterly walrus report")
    found = await call("search_messages", alice, query="walrus")
    assert [hit["snippet"] for hit in found["hits"]] == ["the quarterly walrus report"]
    assert (await call("search_messages", charlie, query="walrus"))["hits"] == []
    task = await call("create_task", alice, conversation, title=" Write  it ", dueOn="2026-12-01")
    row = await in_database(Task.objects.select_related("workspace").get)
    assert (row.title, str(row.due_on), row.conversation_id) == ("Write it", "2026-12-01", conversation.pk)
    assert task["id"] == str(row.pk) and row.workspace == alice.workspace
    assert not toolbox.get("create_task").idempotent
    with pytest.raises(Forbidden):
        await call("create_task", vera, title="no")
    with pytest.raises(NexusError, match="no title"):
        await call("create_task", alice, title="  ")
    assert await in_database(Task.objects.count) == 1
