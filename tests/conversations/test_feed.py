"""The feed of what happened: every kind is there, live and page by page, and never a word of a conversation."""

from __future__ import annotations

from typing import Any

import pytest

from conversations.models import Conversation
from conversations.services.files import upload_create
from conversations.services.run_start import run_start
from nexus_core.providers.scripted import call
from nexus_core.tools import tool
from realtime.activity import activities_page
from workspaces.database import in_database

from ..realtime.conftest import connect
from .conftest import chunks_of
from .test_approvals import PAY, begin, pay, say, until_waiting

__all__ = ["connect"]

pytestmark = pytest.mark.django_db(transaction=True)

PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)


@tool
async def look(at: str) -> str:
    """Looks."""
    return f"canary-result {at}"


@tool
async def fall() -> str:
    """Falls."""
    raise ValueError("canary-fault")


async def kinds(actor: Any) -> list[str]:
    items, _ = await in_database(lambda: activities_page(actor, limit=50))
    return [item["activityType"] for item in items if not item["activityType"].startswith("user-")]


async def test_it_tells_every_kind_of_thing_to_those_who_are_here(
    engine, alice, bob, charlie, plays, connect
) -> None:
    watcher, stranger = await connect(bob), await connect(charlie)
    plays(
        call(("look", {"at": "canary-input"})),
        call(("fall", {})),
        PAY,
        "canary-answer",
        tools=[look, fall, pay],
    )
    run = await begin(alice, "canary-question")
    waiting = await until_waiting(run)
    await say(alice, waiting.pk, "approve", note="canary-note")
    await chunks_of(run.pk)
    await watcher.next("activity.recorded", activityType="answered")
    told = [frame for frame in watcher.seen if frame["type"] == "activity.recorded"]
    said = [one["activityType"] for one in told if not one["activityType"].startswith("user-")]
    assert said == ["asked", "tool-ran", "tool-ran", "waiting", "tool-approved", "tool-ran", "answered"]
    ran = [
        (one["metadata"]["toolName"], one["metadata"]["status"])
        for one in told
        if one["activityType"] == "tool-ran"
    ]
    assert ran == [("look", "COMPLETED"), ("fall", "FAILED"), ("pay", "COMPLETED")]
    assert all(
        one["conversationId"] == str(run.conversation_id) for one in told if one["activityType"] in said
    )
    assert (await kinds(bob))[::-1] == said
    assert "canary" not in str(told) and "canary" not in str(await in_database(lambda: activities_page(bob)))
    assert "tool-ran" not in str(await stranger.settled()) and await kinds(charlie) == []


async def test_it_names_no_conversation_to_who_may_not_read_it(engine, alice, bob, plays, connect) -> None:
    watcher = await connect(bob)
    plays(call(("look", {"at": "here"})), "Done.", tools=[look])
    run = await begin(alice, visibility="private")
    await chunks_of(run.pk)
    await watcher.next("activity.recorded", activityType="answered")
    told = [one for one in watcher.seen if one["type"] == "activity.recorded" and one.get("agentId")]
    assert [one["activityType"] for one in told] == ["asked", "tool-ran", "answered"]
    assert str(run.conversation_id) not in str(watcher.seen)
    items, _ = await in_database(lambda: activities_page(alice))
    assert {one["conversationId"] for one in items if one["agentId"]} == {str(run.conversation_id)}


async def test_it_leaves_no_trace_of_a_temporary_chat(engine, alice, plays):
    plays(call(("look", {"at": "here"})), "Done.", tools=[look])
    run = await begin(alice, temporary=True)
    await chunks_of(run.pk)
    assert await kinds(alice) == []


async def test_it_counts_files_without_their_names(engine, alice, bob, plays, settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path
    plays("Nice.")
    files = [
        await in_database(lambda n=n: upload_create(actor=alice, name=f"canary-{n}.png", data=PNG))
        for n in (1, 2)
    ]
    parts = [{"type": "text", "text": "See"}, *({"type": "image", "fileId": str(one.pk)} for one in files)]
    started = await in_database(run_start, actor=alice, agent_id="demo-agent", input_=parts)
    await chunks_of(started.run.pk)
    items, _ = await in_database(lambda: activities_page(bob))
    (saved,) = [one for one in items if one["activityType"] == "file-saved"]
    assert (saved["userName"], saved["metadata"]) == ("Alice", {"files": 2})
    assert "canary" not in str(items)
    assert await in_database(Conversation.objects.count) == 1
