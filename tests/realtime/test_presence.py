"""Who is here: people and agents, told to everyone, at most once a second, never more than one may know."""

from __future__ import annotations

import asyncio
import time
from typing import Any
from uuid import UUID, uuid4

import pytest

from conversations.models import Conversation
from realtime import presence_news
from realtime.models import Activity
from realtime.presence import (
    CURSOR_SECONDS,
    agent_done,
    agent_working,
    list_presence,
    presence_in_conversation,
)
from realtime.publish import publish
from realtime.rooms import conversation_room
from workspaces.access import Actor
from workspaces.database import in_database

from .conftest import Connect, Socket

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
async def talk(alice: Actor) -> Conversation:
    """A conversation that everyone in Acme may read."""
    return await in_database(Conversation.objects.create, workspace=alice.workspace, created_by=alice.user)


@pytest.fixture
async def secret(alice: Actor) -> Conversation:
    """Alice's alone."""
    return await in_database(
        Conversation.objects.create, workspace=alice.workspace, created_by=alice.user, visibility="private"
    )


async def sees(socket: Socket, *names: str) -> list[dict[str, Any]]:
    """Waits for a list with exactly these people and agents."""
    while True:
        users = (await socket.next("presence.changed"))["users"]
        if [user["name"] for user in users] == list(names):
            return users


async def shows(socket: Socket, name: str, **fields: Any) -> dict[str, Any]:
    """Waits for a list in which that one has these fields."""
    while True:
        for user in (await socket.next("presence.changed"))["users"]:
            if user["name"] == name and all(user.get(k) == v for k, v in fields.items()):
                return user


async def test_it_shows_everyone_who_is_connected(
    connect: Connect, alice: Actor, bob: Actor, vera: Actor
) -> None:
    socket = await connect(alice)
    (me,) = await sees(socket, "Alice")
    assert me == {
        "userId": str(alice.user_id),
        "name": "Alice",
        "kind": "person",
        "activity": "viewing",
        "since": me["since"],
    }
    await connect(bob)
    watcher = await connect(vera)
    await sees(watcher, "Alice", "Bob", "Vera")
    await sees(socket, "Alice", "Bob", "Vera")


async def test_it_forgets_who_left(connect: Connect, alice: Actor, bob: Actor) -> None:
    socket, other = await connect(alice), await connect(bob)
    await sees(socket, "Alice", "Bob")
    await other.end()
    await sees(socket, "Alice")


async def test_it_takes_several_tabs_for_one_person(connect: Connect, alice: Actor, bob: Actor) -> None:
    first, second, watcher = await connect(alice), await connect(alice), await connect(bob)
    await sees(watcher, "Alice", "Bob")
    await first.end()
    await watcher.send({"type": "presence.update", "activity": "typing"})
    users = (await watcher.next("presence.changed"))["users"]
    assert [user["name"] for user in users] == ["Alice", "Bob"]
    await second.end()
    await sees(watcher, "Bob")


async def test_it_never_shows_another_workspace(connect: Connect, alice: Actor, charlie: Actor) -> None:
    stranger = await connect(charlie)
    await connect(alice)
    await sees(stranger, "Charlie")
    assert "Alice" not in str(await stranger.settled())
    assert [u["name"] for u in await in_database(list_presence, charlie.workspace_id, charlie)] == ["Charlie"]


async def test_it_tells_what_a_person_does(
    connect: Connect, alice: Actor, bob: Actor, talk: Conversation
) -> None:
    socket, watcher = await connect(alice), await connect(bob)
    await socket.send(
        {
            "type": "presence.update",
            "conversationId": str(talk.pk),
            "activity": "editing-file",
            "cursor": {"x": 1.5, "y": 2},
            "selection": {"start": 3, "end": 9, "filePath": "a.py"},
        }
    )
    shown = await shows(watcher, "Alice", activity="editing-file")
    assert shown["conversationId"] == str(talk.pk)
    assert shown["cursor"] == {"x": 1.5, "y": 2.0}
    assert shown["selection"] == {"start": 3, "end": 9, "filePath": "a.py"}
    assert [u["name"] for u in presence_in_conversation(alice.workspace_id, talk.pk)] == ["Alice"]


async def test_it_tells_the_list_at_most_once_a_second(connect: Connect, alice: Actor, bob: Actor) -> None:
    socket, watcher = await connect(alice), await connect(bob)
    await sees(watcher, "Alice", "Bob")
    await watcher.settled()
    before = len(watcher.seen)
    loop = asyncio.get_running_loop()
    began = loop.time()
    for n in range(40):
        await socket.send({"type": "presence.update", "activity": ("typing", "idle")[n % 2]})
    await socket.send({"type": "presence.update", "activity": "running-command"})
    await shows(watcher, "Alice", activity="running-command")
    lists = [f for f in watcher.seen[before:] if f["type"] == "presence.changed"]
    assert len(lists) <= 2 + (loop.time() - began)


async def test_it_is_quiet_when_nothing_changed(connect: Connect, alice: Actor, monkeypatch) -> None:
    monkeypatch.setattr(presence_news, "TELL_SECONDS", 0.01)
    socket = await connect(alice)
    await socket.send({"type": "presence.update", "activity": "typing"})
    await shows(socket, "Alice", activity="typing")
    before = len(socket.seen)
    for _ in range(5):
        await socket.send({"type": "presence.update", "activity": "typing"})
    # A change after the five repeats is the next list that comes.
    await socket.send({"type": "presence.update", "activity": "idle"})
    await shows(socket, "Alice", activity="idle")
    assert len([f for f in socket.seen[before:] if f["type"] == "presence.changed"]) == 1


async def test_it_hides_a_conversation_from_those_who_may_not_read_it(
    connect: Connect, alice: Actor, bob: Actor, secret: Conversation
) -> None:
    socket, watcher = await connect(alice), await connect(bob)
    agent_working(
        workspace_id=alice.workspace_id,
        agent_slug="scout",
        name="Scout",
        icon="🔭",
        conversation_id=secret.pk,
    )
    assert (await shows(socket, "Scout"))["conversationId"] == str(secret.pk)
    assert "conversationId" not in await shows(watcher, "Scout")
    here = {"conversationId": str(secret.pk), "activity": "typing", "cursor": {"x": 1, "y": 1}}
    await socket.send({"type": "presence.update", **here})
    await shows(socket, "Alice", activity="typing", conversationId=str(secret.pk))
    assert "conversationId" not in await shows(watcher, "Alice", activity="typing")
    assert str(secret.pk) not in str(await watcher.settled())
    assert "cursor" not in str(watcher.seen)
    seen_by_bob = await in_database(list_presence, alice.workspace_id, bob)
    assert str(secret.pk) not in str(seen_by_bob)
    assert str(secret.pk) in str(await in_database(list_presence, alice.workspace_id, alice))


async def test_it_stops_naming_a_conversation_that_turns_private(
    connect: Connect, alice: Actor, bob: Actor, talk: Conversation
) -> None:
    socket, watcher = await connect(alice), await connect(bob)
    where: dict[str, Any] = {
        "workspace_id": alice.workspace_id,
        "agent_slug": "scout",
        "name": "Scout",
        "conversation_id": talk.pk,
    }
    agent_working(**where, activity="thinking")
    assert (await shows(watcher, "Scout", activity="thinking"))["conversationId"] == str(talk.pk)
    await in_database(Conversation.objects.filter(pk=talk.pk).update, visibility="private")
    agent_working(**where, activity="answering")
    assert "conversationId" not in await shows(watcher, "Scout", activity="answering")
    assert (await shows(socket, "Scout", activity="answering"))["conversationId"] == str(talk.pk)


async def test_it_refuses_presence_in_a_conversation_one_may_not_read(
    connect: Connect, bob: Actor, charlie: Actor, secret: Conversation, talk: Conversation
) -> None:
    for actor, conversation in ((bob, secret), (charlie, talk)):
        socket = await connect(actor)
        error = await socket.ask({"type": "presence.update", "conversationId": str(conversation.pk)}, "error")
        assert error["code"] == "not_found"


async def test_it_shows_agents_while_they_work(connect: Connect, alice: Actor, talk: Conversation) -> None:
    socket = await connect(alice)
    where: dict[str, Any] = {
        "workspace_id": alice.workspace_id,
        "agent_slug": "scout",
        "conversation_id": talk.pk,
    }
    await in_database(agent_working, **where, name="Scout", icon="🔭", activity="thinking")
    agent = await shows(socket, "Scout", activity="thinking")
    assert (agent["kind"], agent["userId"], agent["icon"]) == ("agent", "scout", "🔭")
    await in_database(agent_working, **where, name="Scout", icon="🔭", activity="running a tool")
    again = await shows(socket, "Scout", activity="running a tool")
    assert again["since"] == agent["since"]
    await in_database(agent_done, **where)
    await sees(socket, "Alice")


async def test_it_tells_cursors_to_those_in_the_conversation(
    connect: Connect, alice: Actor, bob: Actor, vera: Actor, talk: Conversation
) -> None:
    socket, watcher, elsewhere = await connect(alice), await connect(bob), await connect(vera)
    await watcher.ask({"type": "subscribe", "conversationId": str(talk.pk)}, "subscribed")
    listed = await shows(watcher, "Alice")
    began = time.monotonic()
    for n in range(100):
        await socket.send(
            {
                "type": "presence.update",
                "conversationId": str(talk.pk),
                "activity": "typing",
                "cursor": {"x": n, "y": 0},
            }
        )
    moved = await watcher.next("cursor.moved")
    assert moved["userId"] == str(alice.user_id)
    assert moved["typing"] is True
    assert moved["since"] == listed["since"]
    await watcher.next("cursor.moved", cursor={"x": 99.0, "y": 0.0})
    moves = len([f for f in watcher.seen if f["type"] == "cursor.moved"])
    assert moves <= (time.monotonic() - began) / CURSOR_SECONDS + 2
    assert not [f for f in await elsewhere.settled() if f["type"] == "cursor.moved"]


# --- joined and left ---


async def kinds() -> list[str]:
    rows = await in_database(lambda: list(Activity.objects.order_by("created_at")))
    return [row.activity_type for row in rows]


async def test_it_records_who_joined_and_left(
    connect: Connect, alice: Actor, bob: Actor, monkeypatch
) -> None:
    monkeypatch.setattr(presence_news, "LEAVE_SECONDS", 0.05)
    watcher = await connect(bob)
    await watcher.next("activity.recorded", activityType="user-joined", userId=str(bob.user_id))
    socket = await connect(alice)
    joined = await watcher.next("activity.recorded", activityType="user-joined", userId=str(alice.user_id))
    assert joined["userName"] == "Alice"
    await socket.end()
    await watcher.next("activity.recorded", activityType="user-left", userId=str(alice.user_id))


async def test_it_takes_a_reload_for_no_farewell(
    connect: Connect, alice: Actor, bob: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presence_news, "LEAVE_SECONDS", 100.0)
    watcher = await connect(bob)
    await watcher.next("activity.recorded", activityType="user-joined", userId=str(bob.user_id))
    socket = await connect(alice)
    await watcher.next("activity.recorded", activityType="user-joined")
    await socket.end()
    again = await connect(alice)
    await connect(alice)
    await again.send({"type": "activity.broadcast", "activityType": "mark", "metadata": {}})
    await watcher.next("activity.recorded", activityType="mark")
    assert await kinds() == ["user-joined", "user-joined", "mark"]


async def test_it_gives_an_absent_conversation_no_presence(connect: Connect, alice: Actor) -> None:
    await connect(alice)
    assert presence_in_conversation(alice.workspace_id, uuid4()) == []
    publish(conversation_room(UUID(int=1)))
