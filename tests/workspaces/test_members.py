"""Who is in a workspace and as what: the rules of roles, removal, leaving, and what ends with a workspace."""

from __future__ import annotations

from dataclasses import replace

import pytest

from billing.budgets import budget_create
from conversations.models import Run
from conversations.services.conversations import conversation_create
from conversations.services.run_start import run_start
from tests.people import person
from workspaces.access import Actor, Forbidden, NotFound, Unauthorized, actor_for
from workspaces.auth import token_actor
from workspaces.invitations import invitation_create
from workspaces.members import LastOwner, member_change_role, member_remove
from workspaces.models import Membership, ProviderKey, Role, User, Workspace
from workspaces.provider_keys import provider_key_set
from workspaces.selectors import workspaces_of
from workspaces.services import workspace_create
from workspaces.tenancy import may_create_workspaces, workspace_create_by, workspace_delete, workspace_update
from workspaces.tokens import token_create, token_create_by

pytestmark = pytest.mark.django_db


@pytest.fixture
def adam(workspace: Workspace) -> Actor:
    return person("adam", workspace, Role.ADMIN)


def role_of(actor: Actor) -> str:
    return Membership.objects.get(workspace=actor.workspace, user=actor.user).role


def test_it_lets_owners_give_every_role(alice: Actor, bob: Actor, adam: Actor) -> None:
    for role in Role.values:
        assert member_change_role(actor=alice, user_id=bob.user_id, role=role).role == role
    member_change_role(actor=alice, user_id=adam.user_id, role=Role.OWNER)
    member_change_role(actor=alice, user_id=alice.user_id, role=Role.VIEWER)
    assert role_of(alice) == Role.VIEWER


def test_it_lets_admins_reach_everybody_but_owners(
    alice: Actor, bob: Actor, vera: Actor, adam: Actor
) -> None:
    member_change_role(actor=adam, user_id=bob.user_id, role=Role.ADMIN)
    member_change_role(actor=adam, user_id=bob.user_id, role=Role.VIEWER)
    with pytest.raises(Forbidden):
        member_change_role(actor=adam, user_id=bob.user_id, role=Role.OWNER)
    with pytest.raises(Forbidden):
        member_change_role(actor=adam, user_id=adam.user_id, role=Role.OWNER)
    with pytest.raises(Forbidden):
        member_change_role(actor=adam, user_id=alice.user_id, role=Role.MEMBER)
    with pytest.raises(Forbidden):
        member_remove(actor=adam, user_id=alice.user_id)
    member_remove(actor=adam, user_id=vera.user_id)
    assert role_of(alice) == Role.OWNER and not Membership.objects.filter(user=vera.user).exists()


@pytest.mark.parametrize("who", ["bob", "vera"])
def test_it_lets_others_only_leave(who: str, alice: Actor, bob: Actor, vera: Actor) -> None:
    actor, other = (bob, vera) if who == "bob" else (vera, bob)
    for user_id in (alice.user_id, other.user_id, actor.user_id):
        with pytest.raises(Forbidden):
            member_change_role(actor=actor, user_id=user_id, role=Role.ADMIN)
    with pytest.raises(Forbidden):
        member_remove(actor=actor, user_id=other.user_id)
    member_remove(actor=actor, user_id=actor.user_id)
    assert not Membership.objects.filter(user=actor.user).exists()


def test_it_asks_what_the_actor_is_now_not_what_they_were(alice: Actor, bob: Actor, adam: Actor) -> None:
    member_change_role(actor=alice, user_id=adam.user_id, role=Role.MEMBER)
    with pytest.raises(Forbidden):
        member_change_role(actor=adam, user_id=bob.user_id, role=Role.VIEWER)


def test_it_keeps_an_owner(alice: Actor, bob: Actor) -> None:
    for attempt in (
        lambda: member_change_role(actor=alice, user_id=alice.user_id, role=Role.ADMIN),
        lambda: member_remove(actor=alice, user_id=alice.user_id),
    ):
        with pytest.raises(LastOwner):
            attempt()
    member_change_role(actor=alice, user_id=bob.user_id, role=Role.OWNER)
    User.objects.filter(pk=bob.user_id).update(is_active=False)
    with pytest.raises(LastOwner):  # somebody who cannot log in is no owner to rely on
        member_remove(actor=alice, user_id=alice.user_id)
    User.objects.filter(pk=bob.user_id).update(is_active=True)
    member_remove(actor=alice, user_id=alice.user_id)


def test_it_knows_nobody_of_another_workspace(alice: Actor, charlie: Actor) -> None:
    with pytest.raises(NotFound):
        member_change_role(actor=alice, user_id=charlie.user_id, role=Role.MEMBER)
    with pytest.raises(NotFound):
        member_remove(actor=alice, user_id=charlie.user_id)


def test_it_ends_tokens_and_keys_with_the_membership_for_good(alice: Actor, bob: Actor) -> None:
    token = token_create(user=bob.user, workspace=bob.workspace, name="t").text
    provider_key_set(actor=bob, provider="openai", secret="sk-0123456789abcdef", personal=True)
    member_remove(actor=alice, user_id=bob.user_id)
    with pytest.raises(Unauthorized):
        token_actor(f"Bearer {token}")
    Membership.objects.create(workspace=bob.workspace, user=bob.user, role=Role.MEMBER)
    with pytest.raises(Unauthorized):
        token_actor(f"Bearer {token}")
    assert not ProviderKey.objects.filter(user=bob.user).exists()


# --- workspaces ---


def test_it_creates_a_workspace_with_agents_for_who_may(settings, alice: Actor, bob: Actor) -> None:
    made = workspace_create_by(user=alice.user, name="  Second   house ")
    assert (made.name, made.slug) == ("Second house", "second-house")
    assert made.agents.exists()
    assert actor_for(alice.user, made.slug).role == Role.OWNER
    again = workspace_create_by(user=alice.user, name="Second house")
    assert again.slug.startswith("second-house-") and again.slug != made.slug
    with pytest.raises(Forbidden):
        workspace_create_by(user=bob.user, name="Mine")
    for rule, allowed in (("everyone", True), ("operators", False), ("admins", False)):
        settings.NEXUS_WORKSPACE_CREATION = rule
        assert may_create_workspaces(bob.user) is allowed
    settings.NEXUS_WORKSPACE_CREATION = "operators"
    assert not may_create_workspaces(alice.user)


def test_it_makes_an_address_of_any_name(alice: Actor) -> None:
    for name in ("日本", "_", "A" * 150, "-a-"):
        assert workspace_create_by(user=alice.user, name=name).slug


def test_it_changes_the_workspace_for_admins(alice: Actor, bob: Actor) -> None:
    assert workspace_update(actor=alice, name="Acme & Co", allow_personal_keys=False).name == "Acme & Co"
    assert not Workspace.objects.get(pk=alice.workspace_id).allow_personal_keys
    with pytest.raises(Forbidden):
        workspace_update(actor=bob, name="Bob's")


def test_a_read_only_token_changes_nothing_whoever_is_its_owner(alice: Actor, bob: Actor) -> None:
    """The services refuse it themselves, whatever the API asked before."""
    reader = replace(alice, scopes=("read",))
    assert not (reader.can_write or reader.is_admin or reader.is_owner)
    for change in (
        lambda: member_change_role(actor=reader, user_id=bob.user_id, role=Role.ADMIN),
        lambda: member_remove(actor=reader, user_id=bob.user_id),
        lambda: member_remove(actor=replace(bob, scopes=("read",)), user_id=bob.user_id),
        lambda: token_create_by(actor=reader, name="stronger"),
        lambda: invitation_create(actor=reader),
        lambda: workspace_update(actor=reader, name="Other"),
        lambda: workspace_delete(actor=reader, confirm=alice.workspace.name),
        lambda: provider_key_set(actor=reader, provider="openai", secret="sk-0123456789ab"),
        lambda: budget_create(actor=reader, scope="workspace", period="day", fields={"limit": "1"}),
        lambda: run_start(actor=reader, agent_id="demo-agent", input_="Hello"),
        lambda: conversation_create(actor=reader, title="x"),
    ):
        with pytest.raises(Forbidden):
            change()
    assert role_of(bob) == Role.MEMBER and not Run.objects.exists()


def test_it_deletes_for_owners_who_type_the_name(alice: Actor, bob: Actor, adam: Actor) -> None:
    started = run_start(actor=bob, agent_id="demo-agent", input_="Hello")
    token = token_create(user=bob.user, workspace=bob.workspace, name="t").text
    with pytest.raises(Forbidden):
        workspace_delete(actor=adam, confirm="Acme")
    with pytest.raises(Exception, match="exactly"):
        workspace_delete(actor=alice, confirm="acme")
    assert workspaces_of(bob.user)
    workspace_delete(actor=alice, confirm="Acme")
    assert workspaces_of(bob.user) == []
    with pytest.raises(NotFound):
        actor_for(bob.user, "acme")
    with pytest.raises(Forbidden):
        actor_for(alice.user)
    with pytest.raises(Unauthorized):
        token_actor(f"Bearer {token}")
    assert Run.objects.get(pk=started.run.pk).cancel_requested_at is not None
    Workspace.objects.filter(slug="acme").update(deleted_at=None)
    assert actor_for(bob.user, "acme").role == Role.MEMBER


def test_a_deleted_one_leaves_the_others_alone(alice: Actor) -> None:
    other = workspace_create(name="Other house", slug="house", owner=alice.user)
    workspace_delete(actor=alice, confirm="Acme")
    assert [w.slug for w in workspaces_of(alice.user)] == ["house"]
    assert actor_for(alice.user).workspace == other
