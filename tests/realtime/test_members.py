"""Who is a member, and as what, is told to the workspace when it changes, and to no other."""

from __future__ import annotations

import pytest

from workspaces.access import Actor
from workspaces.database import in_database
from workspaces.models import Membership, Role, User
from workspaces.services import membership_remove, membership_set

from .conftest import Connect

pytestmark = pytest.mark.django_db(transaction=True)


async def test_it_tells_the_workspace_who_came_changed_and_left(
    connect: Connect, alice: Actor, vera: Actor, charlie: Actor
) -> None:
    watcher, viewer, stranger = await connect(alice), await connect(vera), await connect(charlie)
    dora = await in_database(User.objects.create, username="dora")
    for role in (Role.MEMBER, Role.ADMIN):
        await in_database(membership_set, workspace=alice.workspace, user=dora, role=role)
    await in_database(membership_remove, workspace=alice.workspace, user=dora)
    for socket in (watcher, viewer):
        for role in ("member", "admin", None):
            assert (await socket.next("members.changed"))["role"] == role
        told = [frame for frame in await socket.settled() if frame["type"] == "members.changed"]
        assert {frame["userId"] for frame in told} == {str(dora.pk)} and len(told) == 3
    assert "members.changed" not in str(await stranger.settled())


async def test_it_says_nothing_where_nothing_changed_or_nothing_was_kept(
    connect: Connect, alice: Actor, bob: Actor
) -> None:
    watcher = await connect(alice)
    await in_database(membership_set, workspace=alice.workspace, user=bob.user, role=Role.MEMBER)
    member = await in_database(Membership.objects.get, user=bob.user)
    await in_database(lambda: member.save(update_fields=["created_at"]))
    assert "members.changed" not in str(await watcher.settled())
