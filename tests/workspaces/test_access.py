"""Actors: who one is where, and what follows from the role."""

from __future__ import annotations

import pytest

from workspaces.access import Actor, Forbidden, NotFound, actor_for, require_admin, require_write
from workspaces.models import Role, User, Workspace
from workspaces.services import (
    Invalid,
    membership_remove,
    membership_set,
    on_workspace_created,
    profile_update,
    workspace_create,
)
from workspaces.tokens import token_create

pytestmark = pytest.mark.django_db


def test_it_knows_the_role_and_what_follows(alice: Actor, bob: Actor, vera: Actor) -> None:
    assert [(a.role, a.can_write, a.is_admin) for a in (alice, bob, vera)] == [
        ("owner", True, True),
        ("member", True, False),
        ("viewer", False, False),
    ]
    require_admin(alice)
    require_write(bob)
    for check, actor in ((require_admin, bob), (require_write, vera), (require_admin, vera)):
        with pytest.raises(Forbidden) as refusal:
            check(actor)
        assert (refusal.value.http_status, refusal.value.code) == (403, "forbidden")


def test_it_tells_a_stranger_the_same_as_for_an_absent_workspace(alice: Actor, charlie: Actor) -> None:
    answers = []
    for slug in ("acme", "nowhere"):
        with pytest.raises(NotFound) as refusal:
            actor_for(charlie.user, slug)
        answers.append((refusal.value.http_status, refusal.value.code, refusal.value.message))
    assert answers[0] == answers[1] == (404, "not_found", "Not found.")


def test_it_takes_the_first_workspace_unless_told(alice: Actor, other_workspace: Workspace) -> None:
    membership_set(workspace=other_workspace, user=alice.user, role=Role.VIEWER)
    assert actor_for(alice.user).workspace.slug == "acme"
    assert actor_for(alice.user, "other").role == "viewer"


def test_it_refuses_who_is_in_no_workspace_or_switched_off(alice: Actor) -> None:
    with pytest.raises(Forbidden):
        actor_for(User.objects.create(username="nobody"))
    alice.user.is_active = False
    with pytest.raises(Forbidden):
        actor_for(alice.user)


def test_it_binds_a_token_to_its_workspace(alice: Actor, other_workspace: Workspace) -> None:
    membership_set(workspace=other_workspace, user=alice.user, role=Role.OWNER)
    token = token_create(user=alice.user, workspace=alice.workspace, name="t", scopes=["read"]).row
    actor = actor_for(alice.user, token=token)
    assert (actor.workspace.slug, actor.token_id, actor.can_write, actor.is_admin) == (
        "acme",
        token.pk,
        False,
        False,
    )
    with pytest.raises(NotFound):
        actor_for(alice.user, "other", token)


def test_it_makes_a_member_once_and_then_changes_the_role(alice: Actor, bob: Actor) -> None:
    assert membership_set(workspace=alice.workspace, user=bob.user, role=Role.ADMIN).role == "admin"
    assert alice.workspace.memberships.filter(user=bob.user).count() == 1
    with pytest.raises(Invalid):
        membership_set(workspace=alice.workspace, user=bob.user, role="king")
    membership_remove(workspace=alice.workspace, user=bob.user)
    with pytest.raises(NotFound):
        actor_for(bob.user, "acme")


def test_it_fills_a_new_workspace_by_what_is_registered(db: None) -> None:
    from workspaces import services

    seen: list[str] = []

    def fill(workspace: Workspace) -> None:
        seen.append(workspace.slug)

    on_workspace_created(fill)
    try:
        workspace_create(name="Brand New")
    finally:
        services._on_workspace_created.remove(fill)
    assert seen == ["brand-new"]


@pytest.mark.parametrize("slug", ["Big", "with space", "-x", "ä", "a/b", "x" * 65])
def test_it_refuses_a_slug_that_is_no_address(db: None, slug: str) -> None:
    with pytest.raises(Invalid):
        workspace_create(name="x", slug=slug)


def test_it_changes_a_profile_and_nothing_else(alice: Actor) -> None:
    user = profile_update(
        actor=alice, name="Alice A.", theme="dark", timezone="Europe/Vienna", is_superuser=True
    )
    user.refresh_from_db()
    assert (user.name, user.theme, user.timezone, user.is_superuser) == (
        "Alice A.",
        "dark",
        "Europe/Vienna",
        False,
    )
    for wrong in ({"theme": "pink"}, {"timezone": "Mars/Olympus"}, {"name": "x" * 151}):
        with pytest.raises(Invalid):
            profile_update(actor=alice, **wrong)
