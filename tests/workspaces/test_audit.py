"""What is recorded, by whom, in which transaction; and that nothing of it can be changed or deleted."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from agents.services import agent_create, agent_delete, agent_update
from conversations.exports import export_conversation
from conversations.services.conversations import (
    conversation_create,
    conversation_delete,
    conversation_restore,
    conversation_update,
)
from conversations.services.run_finish import run_end_unstarted
from conversations.services.run_start import run_start
from tests.people import PASSWORD
from workspaces.access import Actor
from workspaces.audit import record
from workspaces.audit.actions import ACTIONS, GROUPS
from workspaces.invitations import invitation_accept, invitation_create, invitation_revoke
from workspaces.models import AuditEvent, Role, Workspace
from workspaces.provider_keys import provider_key_delete, provider_key_for, provider_key_set
from workspaces.secrets import digest
from workspaces.services import membership_remove, membership_set, workspace_create
from workspaces.tenancy import workspace_delete, workspace_update
from workspaces.tokens import token_create_by, token_revoke

pytestmark = pytest.mark.django_db

IN_THREADS = pytest.mark.django_db(transaction=True)
"""The API reads on threads of its own, which see only what was committed."""
SECRET = "sk-very-secret-0123456789"


def newest(action: str) -> AuditEvent:
    return AuditEvent.objects.filter(action=action).latest("id")


def count(action: str) -> int:
    return AuditEvent.objects.filter(action=action).count()


def log_in(client: Client, name: str, password: str = PASSWORD) -> Any:
    return client.post(reverse("account_login"), {"login": name, "password": password})


# --- the list ---


def test_it_knows_the_group_of_every_action_and_refuses_others(alice: Actor) -> None:
    assert {group for group, _ in ACTIONS.values()} == set(GROUPS)
    assert all(len(action) <= 32 for action in ACTIONS)
    with pytest.raises(ValueError, match="no action of the audit"):
        record("danced", actor=alice)


# --- the guard ---


def test_it_is_never_changed_nor_deleted_by_the_database_itself(alice: Actor) -> None:
    record("exported", actor=alice)
    event = newest("exported")
    rows = AuditEvent.objects.filter(pk=event.pk)
    statements: list[Callable[[], object]] = [
        lambda: rows.update(action="login"),
        rows.delete,
        lambda: AuditEvent.objects.all()._raw_delete("default"),
        event.save,
    ]
    if connection.vendor == "postgresql":
        statements.append(lambda: connection.cursor().execute("TRUNCATE workspaces_auditevent"))
    for statement in statements:
        with pytest.raises(DatabaseError, match="audit events are never"), transaction.atomic():
            statement()
    assert rows.get().action == "exported"


def test_it_outlives_the_workspace_and_the_person(alice: Actor) -> None:
    record("exported", actor=alice)
    workspace, user = alice.workspace_id, alice.user_id
    Workspace.objects.filter(pk=workspace).delete()
    alice.user.delete()
    event = newest("exported")
    assert (event.workspace_id, event.user_id) == (workspace, user)


def test_it_is_written_with_what_it_tells_or_not_at_all(alice: Actor) -> None:
    before = AuditEvent.objects.count()
    with pytest.raises(RuntimeError), transaction.atomic():
        token_create_by(actor=alice, name="t")
        raise RuntimeError
    assert AuditEvent.objects.count() == before


def test_it_is_pruned_by_the_command_alone_which_says_so(alice: Actor, charlie: Actor) -> None:
    old = timezone.now() - timedelta(days=40)
    for actor in (alice, charlie):
        AuditEvent.objects.create(
            workspace_id=actor.workspace_id, who="system", action="login", created_at=old
        )
    kept = AuditEvent.objects.filter(created_at__gt=old).count()
    before = (timezone.now() - timedelta(days=30)).date().isoformat()
    call_command("audit_prune", "--before", before)
    assert not AuditEvent.objects.filter(created_at__lte=old).exists()
    assert AuditEvent.objects.count() == kept + 2
    pruned = AuditEvent.objects.get(action="audit_pruned", workspace_id=alice.workspace_id)
    assert pruned.metadata == {"before": before, "events": 1}
    assert pruned.who == "system"
    with pytest.raises(DatabaseError, match="never deleted"), transaction.atomic():
        AuditEvent.objects.all().delete()
    for wrong in ("soon", "2999-01-01"):
        with pytest.raises(CommandError):
            call_command("audit_prune", "--before", wrong)


# --- sign-in ---


def test_it_records_logins_failures_and_log_outs_where_the_person_is_a_member(alice: Actor) -> None:
    second = workspace_create(name="Second", slug="second", owner=alice.user)
    client = Client(REMOTE_ADDR="198.51.100.7")
    log_in(client, "alice", "not the password")
    failed = AuditEvent.objects.filter(action="login_failed")
    assert {e.workspace_id for e in failed} == {alice.workspace_id, second.pk}
    assert {(e.user_id, e.outcome, e.ip) for e in failed} == {(alice.user_id, "failed", "198.51.100.7")}
    answer = log_in(client, "alice")
    logins = AuditEvent.objects.filter(action="login")
    assert {e.workspace_id for e in logins} == {alice.workspace_id, second.pk}
    assert {e.request_id for e in logins} == {answer["X-Request-Id"]}
    client.post(reverse("account_logout"))
    assert count("logout") == 2


def test_it_keeps_nothing_of_what_a_stranger_typed(alice: Actor) -> None:
    log_in(Client(), "my-password-by-mistake", "x")
    event = newest("login_failed")
    assert (event.workspace_id, event.user_id, event.metadata) == (None, None, {"knownPerson": False})
    assert event.target_name == ""


@pytest.mark.parametrize(
    ("setting", "came", "kept"),
    [
        ("full", "198.51.100.7", "198.51.100.7"),
        ("truncated", "198.51.100.7", "198.51.100.0"),
        ("truncated", "2001:db8:1:2::7", "2001:db8:1::"),
        ("off", "198.51.100.7", ""),
    ],
)
def test_it_keeps_addresses_as_the_setting_says(
    alice: Actor, settings: Any, setting: str, came: str, kept: str
) -> None:
    settings.NEXUS_AUDIT_ADDRESSES = setting
    log_in(Client(REMOTE_ADDR=came), "alice")
    assert newest("login").ip == kept


def test_it_believes_only_the_last_address_of_a_trusted_proxy(alice: Actor, settings: Any) -> None:
    headers = {"X-Forwarded-For": "6.6.6.6, 203.0.113.9"}
    for trusted, kept in ((False, "127.0.0.1"), (True, "203.0.113.9")):
        settings.NEXUS_TRUST_PROXY = trusted
        Client(headers=headers).post(reverse("account_login"), {"login": "alice", "password": PASSWORD})
        assert newest("login").ip == kept


# --- tokens and keys ---


def test_it_records_tokens_without_their_text(alice: Actor) -> None:
    made = token_create_by(actor=alice, name="deploy", scopes=["read"])
    token_revoke(actor=alice, token_id=made.row.pk)
    token_revoke(actor=alice, token_id=made.row.pk)
    assert (count("token_created"), count("token_revoked")) == (1, 1)
    event = newest("token_created")
    assert event.target_name == f"deploy (…{made.text[-4:]})"
    assert event.metadata["scopes"] == ["read"]
    assert made.text not in str(event.__dict__)


@IN_THREADS
def test_it_names_the_person_and_the_token_of_a_request(alice: Actor) -> None:
    made = token_create_by(actor=alice, name="deploy")
    client = Client(headers={"Authorization": f"Bearer {made.text}"})
    answer = client.post("/api/tokens", {"name": "second"}, content_type="application/json")
    assert answer.status_code == 201
    event = newest("token_created")
    assert (event.who, event.user_id, event.token_id) == ("token", alice.user_id, made.row.pk)
    assert event.request_id == answer["X-Request-Id"]


def test_it_records_a_keys_life_and_its_first_use_once_for_each_secret(alice: Actor) -> None:
    provider_key_set(actor=alice, provider="openai", secret=SECRET)
    for _ in range(2):
        assert provider_key_for(alice.workspace_id, alice.user_id, "openai") == SECRET
    assert count("key_first_used") == 1
    provider_key_set(actor=alice, provider="openai", secret=SECRET + "x")
    provider_key_for(alice.workspace_id, None, "openai")
    assert count("key_first_used") == 2
    provider_key_delete(actor=alice, provider="openai")
    for action in ("key_set", "key_replaced", "key_removed"):
        event = newest(action)
        assert event.user_id == alice.user_id
        assert event.metadata == {"provider": "openai", "scope": "workspace"}
    call_command("rotate_keys")
    assert newest("keys_reencrypted").who == "system"
    assert not [e for e in AuditEvent.objects.all() if SECRET in str(e.__dict__)]


# --- people and workspaces ---


def test_it_records_members_and_their_roles(alice: Actor, bob: Actor) -> None:
    added = AuditEvent.objects.filter(action="member_added", target_id=str(bob.user_id)).get()
    assert (added.workspace_id, added.target_name, added.metadata) == (
        bob.workspace_id,
        "Bob",
        {"role": "member"},
    )
    membership_set(workspace=bob.workspace, user=bob.user, role=Role.ADMIN)
    membership_set(workspace=bob.workspace, user=bob.user, role=Role.ADMIN)
    assert count("member_role_changed") == 1
    assert newest("member_role_changed").metadata == {"role": {"from": "member", "to": "admin"}}
    membership_remove(workspace=bob.workspace, user=bob.user)
    assert newest("member_removed").target_id == str(bob.user_id)
    assert newest("workspace_created").target_name == "Acme"


# --- agents ---


def test_it_records_which_fields_of_an_agent_changed_but_no_prompt(alice: Actor) -> None:
    fields = {"name": "Clerk", "provider": "scripted", "model": "rules", "system_prompt": "Be a quiet clerk."}
    agent = agent_create(actor=alice, fields=fields)
    agent_update(
        actor=alice, slug=agent.slug, changes={"temperature": 0.1, "system_prompt": "Be a loud clerk."}
    )
    changed = newest("agent_changed")
    assert changed.target_id == agent.slug
    assert changed.metadata["temperature"] == {"from": 0.7, "to": 0.1}
    assert changed.metadata["system_prompt"]["to"]["length"] == len("Be a loud clerk.")
    assert "clerk." not in str(changed.metadata)
    agent_update(actor=alice, slug=agent.slug, changes={"temperature": 0.1})
    assert count("agent_changed") == 1
    agent_delete(actor=alice, slug=agent.slug)
    assert newest("agent_deleted").target_name == "Clerk"


# --- runs ---


def test_it_records_each_ended_run_once_in_the_shape_others_know(alice: Actor) -> None:
    started = run_start(actor=alice, agent_id="demo-agent", input_="A confidential question")
    run_end_unstarted(started.run.pk, status="failed", error_code="api_error", error_message="x")
    event = AuditEvent.objects.get(action="ai_response_completed")
    assert (event.who, event.agent_slug, event.user_id) == ("agent", "demo-agent", alice.user_id)
    assert (event.outcome, event.target_id) == ("failed", str(started.conversation.pk))
    assert {"model", "tokensUsed", "toolsCalled", "duration"} <= set(event.metadata)
    assert event.metadata["tokensUsed"] == {"input": 0, "output": 0}
    assert event.metadata["error"] == "api_error"
    assert "confidential" not in str(event.__dict__)


# --- data and sharing ---


def test_it_records_exports_deletions_restores_and_who_may_read(alice: Actor, bob: Actor) -> None:
    made = conversation_create(actor=alice, title="Confidential matters")
    export_conversation(alice, str(made.pk), "md")
    conversation_update(actor=alice, conversation_id=made.pk, visibility="shared", shared_with=[bob.user_id])
    conversation_update(actor=alice, conversation_id=made.pk, visibility="shared")
    conversation_update(actor=alice, conversation_id=made.pk, title="Something else")
    conversation_delete(actor=alice, conversation_id=made.pk)
    conversation_restore(actor=alice, conversation_id=made.pk)
    assert newest("exported").metadata == {"format": "md"}
    assert count("visibility_changed") == 1
    assert newest("visibility_changed").metadata == {
        "from": {"visibility": "workspace", "sharedWith": []},
        "to": {"visibility": "shared", "sharedWith": [str(bob.user_id)]},
    }
    assert (count("conversation_deleted"), count("conversation_restored")) == (1, 1)
    events = AuditEvent.objects.filter(target_id=str(made.pk))
    assert {e.target_type for e in events} == {"conversation"}
    assert "matters" not in "".join(str(e.__dict__) for e in events)


# --- the admin ---


def test_it_hears_of_changes_in_the_admin_by_field_names(operator: Client, alice: Actor, bob: Actor) -> None:
    membership = bob.user.memberships.get()
    address = reverse("admin:workspaces_membership_change", args=[membership.pk])
    fields = {"user": bob.user_id, "workspace": bob.workspace_id, "role": "viewer"}
    assert operator.post(address, fields).status_code == 302
    event = newest("admin_changed")
    assert (event.user_id, event.workspace_id) == (alice.user_id, bob.workspace_id)
    assert (event.target_type, event.metadata) == ("workspaces.Membership", {"fields": ["Role"]})


def test_it_hears_of_many_rows_deleted_at_once(operator: Client, alice: Actor) -> None:
    rows = [token_create_by(actor=alice, name=f"t{n}").row for n in range(3)]
    data = {"action": "delete_selected", "_selected_action": [str(r.pk) for r in rows], "post": "yes"}
    operator.post(reverse("admin:workspaces_apitoken_changelist"), data)
    deleted = AuditEvent.objects.filter(action="admin_deleted", workspace_id=alice.workspace_id)
    assert {e.target_id for e in deleted} == {str(r.pk) for r in rows}


def test_it_keeps_titles_out_of_what_the_admin_notes(operator: Client, alice: Actor) -> None:
    made = conversation_create(actor=alice, title="Confidential matters")
    operator.post(reverse("admin:conversations_conversation_delete", args=[made.pk]), {"post": "yes"})
    found = [e for e in AuditEvent.objects.filter(action="admin_deleted") if e.target_id == str(made.pk)]
    assert [e.target_name for e in found] in ([], [""])
    assert "Confidential" not in "".join(str(e.__dict__) for e in AuditEvent.objects.all())


# --- invitations and the workspace itself ---


def test_it_records_invitations_without_their_link(alice: Actor, charlie: Actor) -> None:
    made = invitation_create(actor=alice)
    invitation_accept(user=charlie.user, key=digest(made.text))
    second = invitation_create(actor=alice)
    invitation_revoke(actor=alice, invitation_id=second.row.pk)
    assert [newest(f"invitation_{what}").user_id for what in ("created", "accepted", "revoked")] == [
        alice.user_id,
        charlie.user_id,
        alice.user_id,
    ]
    assert newest("invitation_accepted").workspace_id == alice.workspace_id
    assert not [e for e in AuditEvent.objects.all() if made.text in str(e.__dict__)]


def test_it_records_what_becomes_of_the_workspace(alice: Actor) -> None:
    workspace_update(actor=alice, name="Acme and sons")
    workspace_update(actor=alice, name="Acme and sons")
    assert count("workspace_changed") == 1
    assert newest("workspace_changed").metadata == {"name": {"from": "Acme", "to": "Acme and sons"}}
    workspace_delete(actor=alice, confirm="Acme and sons")
    assert newest("workspace_deleted").target_name == "Acme and sons"
