"""The admin: every list and form opens; secrets go in and never come out."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from realtime.activity import activity_record
from workspaces.access import Actor
from workspaces.auth import token_actor
from workspaces.models import ApiToken, Membership, ProviderKey, Workspace
from workspaces.provider_keys import provider_key_set
from workspaces.tokens import token_create

pytestmark = pytest.mark.django_db

SECRET = "sk-admin-0123456789wxyz"


def text(response: Any) -> str:
    assert response.status_code == 200, response
    return response.content.decode()


def test_it_opens_every_list_and_form(operator: Client, alice: Actor) -> None:
    token_create(user=alice.user, workspace=alice.workspace, name="ci")
    provider_key_set(actor=alice, provider="openai", secret=SECRET)
    activity_record(workspace_id=alice.workspace_id, activity_type="x", user_id=alice.user_id)
    for model in ("workspaces_user", "workspaces_workspace", "workspaces_membership", "workspaces_apitoken",
                  "workspaces_providerkey", "realtime_activity"):  # fmt: skip
        listed = text(operator.get(reverse(f"admin:{model}_changelist"), {"q": "a"}))
        assert SECRET not in listed
    for row in (
        alice.user,
        alice.workspace,
        ApiToken.objects.get(),
        ProviderKey.objects.get(),
        Membership.objects.get(),
    ):
        name = row._meta.model_name
        page = text(operator.get(reverse(f"admin:workspaces_{name}_change", args=[row.pk])))
        assert SECRET not in page
        text(operator.get(reverse(f"admin:workspaces_{name}_add")))


def test_it_takes_a_key_and_keeps_it_when_the_field_stays_empty(operator: Client, alice: Actor) -> None:
    form = {"workspace": str(alice.workspace_id), "user": "", "provider": "openai", "new_secret": SECRET}
    assert operator.post(reverse("admin:workspaces_providerkey_add"), form).status_code == 302
    key = ProviderKey.objects.get()
    assert (key.secret, key.last_four, key.created_by) == (SECRET, "wxyz", alice.user)
    change = reverse("admin:workspaces_providerkey_change", args=[key.pk])
    assert operator.post(change, {**form, "new_secret": "", "provider": "azure"}).status_code == 302
    key.refresh_from_db()
    assert (key.provider, key.secret) == ("azure", SECRET)
    again = operator.post(
        reverse("admin:workspaces_providerkey_add"), {**form, "provider": "x", "new_secret": ""}
    )
    assert "A new entry needs its key" in text(again)


def test_it_lets_an_operator_replace_a_key_whose_master_key_is_gone(
    operator: Client, alice: Actor, settings: Any
) -> None:
    from cryptography.fernet import Fernet

    key = provider_key_set(actor=alice, provider="openai", secret="sk-old-key-0123456")
    settings.NEXUS_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    change = reverse("admin:workspaces_providerkey_change", args=[key.pk])
    text(operator.get(change))
    form = {"workspace": str(alice.workspace_id), "user": "", "provider": "openai", "new_secret": SECRET}
    assert operator.post(change, form).status_code == 302
    assert ProviderKey.objects.get().secret == SECRET


def test_it_shows_a_new_token_once(operator: Client, alice: Actor) -> None:
    form = {
        "name": "ci",
        "user": str(alice.user_id),
        "workspace": str(alice.workspace_id),
        "expires_at_0": "",
        "expires_at_1": "",
    }
    page = text(operator.post(reverse("admin:workspaces_apitoken_add"), form, follow=True))
    token = page[page.index("nxs_", page.index("Copy the token now")) :].split("<")[0].strip()
    assert token_actor(f"Bearer {token}").user_id == alice.user_id
    assert token not in text(operator.get(reverse("admin:workspaces_apitoken_changelist")))


def test_it_revokes_tokens(operator: Client, alice: Actor) -> None:
    row = token_create(user=alice.user, workspace=alice.workspace, name="ci").row
    operator.post(
        reverse("admin:workspaces_apitoken_changelist"),
        {"action": "revoke", "_selected_action": [str(row.pk)]},
    )
    assert ApiToken.objects.get().revoked_at is not None


def test_it_makes_a_workspace_with_its_agents(operator: Client, alice: Actor) -> None:
    form = {
        "name": "Lab", "slug": "lab", "plan": "free", "allow_personal_keys": "on",
        "memberships-TOTAL_FORMS": "1", "memberships-INITIAL_FORMS": "0",
        "memberships-0-user": str(alice.user_id), "memberships-0-role": "owner",
    }  # fmt: skip
    assert operator.post(reverse("admin:workspaces_workspace_add"), form).status_code == 302
    lab = Workspace.objects.get(slug="lab")
    assert lab.memberships.get().role == "owner"
    assert lab.agents.exists()


def test_it_makes_a_person(operator: Client) -> None:
    form = {
        "username": "dora", "name": "Dora", "email": "", "usable_password": "true",
        "password1": "correct horse battery", "password2": "correct horse battery",
        "memberships-TOTAL_FORMS": "0", "memberships-INITIAL_FORMS": "0",
    }  # fmt: skip
    response = operator.post(reverse("admin:workspaces_user_add"), form)
    assert response.status_code == 302, response.context["errors"]


def test_it_has_no_login_form_of_its_own(client: Client, alice: Actor) -> None:
    asked = client.get("/admin/agents/agent/", follow=True)
    assert asked.redirect_chain[-1][0].startswith("/accounts/login/?next=")
    client.force_login(alice.user, backend="django.contrib.auth.backends.ModelBackend")
    assert client.get("/admin/", follow=True).status_code == 403
