"""After logout, revocation, removal and role changes an open socket follows within seconds."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest
from channels.db import database_sync_to_async
from django.contrib.auth import logout
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.http import HttpRequest
from django.utils import timezone

from realtime import rights
from workspaces.access import Actor
from workspaces.database import in_database
from workspaces.members import member_remove
from workspaces.models import ApiToken, Membership, User
from workspaces.services import membership_remove, membership_set
from workspaces.tenancy import workspace_delete
from workspaces.tickets import ticket_create
from workspaces.tokens import token_create, token_revoke_text

from .conftest import PATIENCE, Connect, log_in

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _only_doorbells(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The round every few seconds is switched off here: the doorbell alone must do it (except in the slow one)."""
    if "slow" not in request.keywords:
        monkeypatch.setattr(rights, "EVERY_SECONDS", 1000.0)


def log_out(session_key: str, user: User) -> None:
    request = HttpRequest()
    request.session = SessionStore(session_key)
    request.user = user
    logout(request)


async def test_it_ends_at_logout(connect: Connect, alice: Actor) -> None:
    session = await in_database(log_in, alice)
    socket, other = await connect(session=session), await connect(alice)
    await in_database(log_out, session, alice.user)
    assert await socket.closes() == 4401
    await other.ask({"type": "ping"}, "pong")


async def test_it_ends_with_its_token(connect: Connect, alice: Actor) -> None:
    token = (await in_database(token_create, user=alice.user, workspace=alice.workspace, name="t")).text
    socket, other = await connect(token=token), await connect(alice)
    await in_database(token_revoke_text, text=token)
    assert await socket.closes() == 4401
    await other.ask({"type": "ping"}, "pong")


@pytest.mark.parametrize("what", ["token", "session"])
async def test_it_ends_when_its_time_is_over(
    connect: Connect, alice: Actor, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """No bell rings then: the round finds out."""
    monkeypatch.setattr(rights, "EVERY_SECONDS", 0.05)
    token = (await in_database(token_create, user=alice.user, workspace=alice.workspace, name="t")).text
    session = await in_database(log_in, alice)
    socket, other = await connect(token=token), await connect(session=session)
    past = timezone.now() - timedelta(seconds=1)
    if what == "session":
        socket, other = other, socket
        await in_database(Session.objects.filter(pk=session).update, expire_date=past)
    else:
        await in_database(ApiToken.objects.filter(user=alice.user).update, expires_at=past)
    assert await socket.closes() == 4401
    await other.ask({"type": "ping"}, "pong")


async def test_it_ends_with_the_session_that_asked_for_its_ticket(connect: Connect, alice: Actor) -> None:
    from dataclasses import replace

    session = await in_database(log_in, alice)
    ticket = (await in_database(ticket_create, actor=replace(alice, session_key=session))).text
    socket = await connect(ticket=ticket)
    await in_database(log_out, session, alice.user)
    assert await socket.closes() == 4401


async def test_it_ends_with_the_membership(connect: Connect, bob: Actor, alice: Actor) -> None:
    socket, other = await connect(bob), await connect(alice)
    await in_database(membership_remove, workspace=bob.workspace, user=bob.user)
    assert await socket.closes() == 4403
    await other.ask({"type": "ping"}, "pong")


async def test_it_ends_for_who_is_removed_or_leaves(
    connect: Connect, bob: Actor, vera: Actor, alice: Actor
) -> None:
    removed, left, other = await connect(bob), await connect(vera), await connect(alice)
    await in_database(member_remove, actor=alice, user_id=bob.user_id)
    await in_database(member_remove, actor=vera, user_id=vera.user_id)
    assert await removed.closes() == await left.closes() == 4403
    await other.ask({"type": "ping"}, "pong")


async def test_it_ends_with_the_workspace(connect: Connect, bob: Actor, alice: Actor, charlie: Actor) -> None:
    sockets, other = [await connect(bob), await connect(alice)], await connect(charlie)
    await in_database(workspace_delete, actor=alice, confirm=alice.workspace.name)
    assert [await socket.closes() for socket in sockets] == [4403, 4403]
    await other.ask({"type": "ping"}, "pong")


async def test_it_ends_with_the_account(connect: Connect, bob: Actor) -> None:
    socket = await connect(bob)

    def switch_off() -> None:
        user = User.objects.get(pk=bob.user_id)
        user.is_active = False
        user.save()

    await in_database(switch_off)
    assert await socket.closes() == 4403


async def test_it_ends_when_the_password_changes(connect: Connect, bob: Actor) -> None:
    socket = await connect(bob)

    def change() -> None:
        user = User.objects.get(pk=bob.user_id)
        user.set_password("another one entirely")
        user.save()

    await in_database(change)
    assert await socket.closes() == 4401


async def test_it_follows_a_change_of_role(connect: Connect, bob: Actor) -> None:
    socket = await connect(bob)
    await socket.send({"type": "activity.broadcast", "activityType": "before", "metadata": {}})
    await socket.next("activity.recorded", activityType="before")
    await in_database(membership_set, workspace=bob.workspace, user=bob.user, role="viewer")
    for _ in range(200):
        await socket.send({"type": "activity.broadcast", "activityType": "after", "metadata": {}, "id": "w"})
        frame = None
        while frame is None:
            frame = await _either(socket)
        if frame["type"] == "error":
            assert frame["code"] == "forbidden"
            return
    pytest.fail("still allowed to write")


async def _either(socket) -> dict | None:
    """The next answer to the broadcast: an error, or its activity."""
    while socket._looked < len(socket.seen):
        frame = socket.seen[socket._looked]
        socket._looked += 1
        if frame["type"] == "error" or frame.get("activityType") == "after":
            return frame
    await socket._pull(PATIENCE)
    return None


@pytest.mark.slow
async def test_it_finds_out_without_a_doorbell_within_five_seconds(connect: Connect, bob: Actor) -> None:
    membership = await in_database(Membership.objects.get, user=bob.user)
    took: list[float] = []
    for _ in range(3):  # the best of three: a machine that stands still for a moment is not slow
        socket = await connect(bob)
        began = time.monotonic()
        await database_sync_to_async(
            lambda: Membership.objects.filter(user=bob.user)._raw_delete("default")
        )()
        assert await socket.closes() == 4403
        took.append(time.monotonic() - began)
        if took[-1] <= 5:
            return
        await in_database(Membership.objects.bulk_create, [membership])
    pytest.fail(f"it took {took} seconds")
