"""Sources of the audit that are heard beside the services: accounts, second steps, first uses, withdrawn calls."""

from __future__ import annotations

import pytest
from allauth.socialaccount.models import SocialAccount
from allauth.socialaccount.signals import social_account_removed
from django.core.management import call_command
from django.test import Client

from nexus_site.accounts_sessions import sessions_end_elsewhere
from tests.accounts.conftest import code_of, fresh_throttles, log_in, one_half_minute, turn_on
from workspaces.access import Actor
from workspaces.invitations import invitation_create
from workspaces.models import AuditEvent
from workspaces.services import profile_update
from workspaces.tokens import token_create

__all__ = ["fresh_throttles", "one_half_minute"]

pytestmark = pytest.mark.django_db

STEP = "/accounts/2fa/authenticate/"


def only(action: str) -> AuditEvent:
    return AuditEvent.objects.get(action=action)


@pytest.mark.django_db(transaction=True)
def test_it_hears_of_second_steps_that_fail_and_of_new_recovery_codes(alice: Actor) -> None:
    browser = log_in("alice")
    secret, codes = turn_on(browser)
    thief = log_in("alice")
    thief.post(STEP, {"code": "000000" if code_of(secret) != "000000" else "111111"})
    failed = only("second_step_failed")
    assert (failed.user_id, failed.workspace_id, failed.outcome) == (
        alice.user_id,
        alice.workspace_id,
        "failed",
    )
    browser.post("/accounts/2fa/recovery-codes/generate/")
    assert only("recovery_codes_made").user_id == alice.user_id
    told = str([event.__dict__ for event in AuditEvent.objects.all()])
    assert secret not in told and not [code for code in codes if code in told]


def test_it_hears_of_accounts_where_they_belong(alice: Actor, settings: object) -> None:
    text = invitation_create(actor=alice).text
    browser = Client()
    browser.get(f"/join/{text}/")
    form = {"username": "dora", "password1": "a long passphrase 7", "password2": "a long passphrase 7"}
    assert browser.post("/accounts/signup/", form).status_code == 302
    event = only("account_created")
    assert event.workspace_id == alice.workspace_id and event.user_id != alice.user_id
    call_command("create_user", "emil", "--password", "x", "--workspace", "acme")
    created = AuditEvent.objects.filter(action="account_created").latest("id")
    assert created.workspace_id is None, "of the instance: no workspace had them yet"


def test_it_hears_of_accounts_elsewhere_and_sessions_that_were_ended(alice: Actor) -> None:
    account = SocialAccount.objects.create(user=alice.user, provider="github", uid="7")
    social_account_removed.send(sender=SocialAccount, request=None, socialaccount=account)
    assert only("account_disconnected").metadata == {"provider": "github"}
    here = log_in("alice")
    log_in("alice")
    sessions_end_elsewhere(user=alice.user, current=here.session.session_key or "")
    assert only("sessions_ended").metadata == {"sessions": 1}


def test_it_notes_another_name_but_nothing_else_of_a_profile(alice: Actor) -> None:
    profile_update(actor=alice, about="canary", title="canary", theme="dark")
    assert not AuditEvent.objects.filter(action="profile_changed").exists()
    profile_update(actor=alice, name="Bob")
    assert only("profile_changed").metadata == {"name": {"from": "Alice", "to": "Bob"}}


@pytest.mark.django_db(transaction=True)
def test_it_notes_the_first_use_of_a_token_once(alice: Actor) -> None:
    made = token_create(user=alice.user, workspace=alice.workspace, name="deploy")
    client = Client(headers={"Authorization": f"Bearer {made.text}"})
    for _ in range(3):
        assert client.get("/api/me").status_code == 200
    event = only("token_first_used")
    assert (event.who, event.token_id, event.target_id) == ("token", made.row.pk, str(made.row.pk))
    assert made.text not in str(event.__dict__)
