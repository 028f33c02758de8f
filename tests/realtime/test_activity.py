"""What happened: recorded, announced, listed, and never more than one may know."""

from __future__ import annotations

from typing import Any

import pytest

from conversations.models import Conversation
from realtime.activity import activities_page, activities_recent, activity_record
from realtime.models import Activity
from workspaces.access import Actor, Invalid
from workspaces.database import in_database

from .conftest import Connect

pytestmark = pytest.mark.django_db(transaction=True)


async def test_it_tells_the_workspace_and_keeps_it(
    connect: Connect, alice: Actor, bob: Actor, charlie: Actor
) -> None:
    socket, watcher, stranger = await connect(alice), await connect(bob), await connect(charlie)
    await socket.send(
        {"type": "activity.broadcast", "activityType": "file-saved", "metadata": {"path": "a.py"}}
    )
    told = await watcher.next("activity.recorded", activityType="file-saved")
    assert told["metadata"] == {"path": "a.py"}
    assert told["userId"] == str(alice.user_id)
    listed = await in_database(activities_recent, bob, limit=10)  # joins may be recorded a moment later
    assert {k: v for k, v in told.items() if k != "type"} in listed
    assert "file-saved" not in str(await stranger.settled())
    assert "file-saved" not in str(await in_database(activities_recent, charlie))


@pytest.mark.parametrize(
    "frame",
    [
        {"activityType": "x" * 65},
        {"activityType": ""},
        {"activityType": "<b>"},
        {"activityType": "x", "metadata": []},
        {"activityType": "x", "metadata": {"a": "b" * 5000}},
        {"activityType": "x", "metadata": {"a": [[[[[[]]]]]], "b": "c" * 4096}},
    ],
)
async def test_it_refuses_what_is_no_activity(connect: Connect, alice: Actor, frame: dict[str, Any]) -> None:
    socket = await connect(alice)
    error = await socket.ask({"type": "activity.broadcast", **frame}, "error")
    assert error["code"] in ("invalid_frame", "invalid_request")


async def test_it_keeps_what_a_database_cannot(connect: Connect, alice: Actor) -> None:
    socket = await connect(alice)
    await socket.send('{"type":"activity.broadcast","activityType":"x","metadata":{"a":"b\\u0000c"}}')
    told = await socket.next("activity.recorded", activityType="x")
    assert told["metadata"] == {"a": "b�c"}


async def test_it_counts_clicks_on_suggestions_in_silence(connect: Connect, alice: Actor) -> None:
    socket = await connect(alice)
    await socket.send({"type": "suggestion.clicked", "suggestion": "What can you do?"})
    assert "suggestion" not in str(await socket.settled())
    rows = await in_database(lambda: list(Activity.objects.filter(activity_type="suggestion-clicked")))
    assert [row.metadata for row in rows] == [{"suggestion": "What can you do?"}]
    assert "suggestion-clicked" not in str(await in_database(activities_recent, alice))


async def test_it_names_a_conversation_only_to_those_who_may_read_it(
    connect: Connect, alice: Actor, bob: Actor
) -> None:
    def conversations() -> tuple[Conversation, Conversation]:
        make = Conversation.objects.create
        return (
            make(workspace=alice.workspace, created_by=alice.user),
            make(workspace=alice.workspace, created_by=alice.user, visibility="private"),
        )

    shared, secret = await in_database(conversations)
    watcher = await connect(bob)
    for conversation, kind in ((shared, "asked"), (secret, "asked-alone")):
        await in_database(
            activity_record,
            workspace_id=alice.workspace_id,
            user_id=alice.user_id,
            activity_type=kind,
            conversation_id=conversation.pk,
        )
    assert (await watcher.next("activity.recorded", activityType="asked"))["conversationId"] == str(shared.pk)
    assert "conversationId" not in await watcher.next("activity.recorded", activityType="asked-alone")
    to_bob = {a["activityType"]: a.get("conversationId") for a in await in_database(activities_recent, bob)}
    to_alice = {
        a["activityType"]: a.get("conversationId") for a in await in_database(activities_recent, alice)
    }
    assert (to_bob["asked"], to_bob["asked-alone"]) == (str(shared.pk), None)
    assert to_alice["asked-alone"] == str(secret.pk)


def test_it_lists_page_by_page_without_hole_or_repeat(alice: Actor, django_assert_num_queries: Any) -> None:
    for n in range(25):
        activity_record(workspace_id=alice.workspace_id, activity_type=f"t{n}", user_id=alice.user_id)
    Activity.objects.update(created_at=Activity.objects.first().created_at)  # all at the same instant
    seen: list[str] = []
    cursor: str | None = None
    while True:
        with django_assert_num_queries(1):
            items, cursor = activities_page(alice, limit=10, cursor=cursor)
        seen += [item["id"] for item in items]
        if cursor is None:
            break
    assert len(seen) == len(set(seen)) == 25


@pytest.mark.parametrize("cursor", ["x", "eA", "fA==", "é", "MjAyNi0wMS0wMXww"])
def test_it_refuses_a_cursor_that_is_not_ours(alice: Actor, cursor: str) -> None:
    with pytest.raises(Invalid):
        activities_page(alice, cursor=cursor)
