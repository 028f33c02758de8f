"""The commands that scripts use."""

from __future__ import annotations

import io

import pytest
from django.core.management import CommandError, call_command

from workspaces.access import Actor, Unauthorized, actor_for
from workspaces.auth import token_actor
from workspaces.models import ApiToken, User, Workspace

pytestmark = pytest.mark.django_db


def said(*args: str) -> str:
    out = io.StringIO()
    call_command(*args, stdout=out)
    return out.getvalue()


def test_it_makes_a_person_with_a_role_in_a_workspace_that_was_missing() -> None:
    said("create_user", "dora", "--password", "x", "--workspace", "lab", "--role", "owner")
    user = User.objects.get(username="dora")
    assert user.check_password("x")
    assert actor_for(user).workspace.slug == "lab"
    assert actor_for(user).role == "owner"


def test_it_sets_password_and_role_of_somebody_who_is_there() -> None:
    said("create_user", "dora", "--password", "x", "--workspace", "lab")
    said("create_user", "dora", "--password", "y", "--workspace", "lab", "--role", "viewer")
    user = User.objects.get(username="dora")
    assert user.check_password("y")
    assert actor_for(user).role == "viewer"
    assert User.objects.count() == 1


def test_it_uses_the_seeded_workspace_without_a_name() -> None:
    said("create_user", "dora", "--password", "x")
    assert Workspace.objects.get().slug == "demo"


def test_it_prints_the_token_alone_on_the_last_line() -> None:
    said("create_user", "dora", "--password", "x", "--workspace", "lab")
    out = said("create_token", "dora", "--workspace", "lab")
    assert out.endswith("\n")
    token = out.splitlines()[-1]
    assert token.startswith("nxs_")
    assert token == token.strip()
    actor = token_actor(f"Bearer {token}")
    assert (actor.user.username, actor.workspace.slug, actor.can_write) == ("dora", "lab", True)
    read_only = said("create_token", "dora", "--workspace", "lab", "--read-only").splitlines()[-1]
    assert not token_actor(f"Bearer {read_only}").can_write


def test_it_makes_the_workspace_of_a_token() -> None:
    said("create_user", "dora", "--password", "x", "--workspace", "lab")
    token = said("create_token", "dora", "--workspace", "annex").splitlines()[-1]
    assert token_actor(f"Bearer {token}").workspace.slug == "annex"


def test_it_revokes_a_token() -> None:
    said("create_user", "dora", "--password", "x")
    token = said("create_token", "dora").splitlines()[-1]
    said("revoke_token", token)
    assert ApiToken.objects.get().revoked_at is not None
    with pytest.raises(Unauthorized):
        token_actor(f"Bearer {token}")
    said("revoke_token", token)


def test_it_says_what_is_wrong(alice: Actor) -> None:
    for args, message in (
        (("create_token", "nobody"), "no person"),
        (("revoke_token", "nxs_wrong"), "no such token"),
        (("create_user", "x", "--password", "x", "--workspace", "Bad Slug"), "no address"),
    ):
        with pytest.raises(CommandError, match=message):
            said(*args)
