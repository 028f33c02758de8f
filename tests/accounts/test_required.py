"""Two-step sign-in as a rule of a workspace: whoever comes by a browser has it, or is led to set it up."""

from __future__ import annotations

import pytest
from allauth.mfa.models import Authenticator
from django.contrib.auth.models import Permission
from django.test import Client

from tests.people import person
from tests.realtime.conftest import communicator_for, connect, refused
from tests.realtime.conftest import log_in as session_of
from workspaces.access import Actor, Invalid
from workspaces.database import in_database
from workspaces.models import AuditEvent, Role, Workspace
from workspaces.services import membership_set
from workspaces.tenancy import workspace_update
from workspaces.tickets import ticket_create, ticket_redeem
from workspaces.tokens import token_create
from workspaces.two_step import TwoStepRequired

from .conftest import log_in, turn_on

__all__ = ["connect"]

pytestmark = pytest.mark.django_db(transaction=True)


def give_step(actor: Actor) -> None:
    Authenticator.objects.create(user=actor.user, type=Authenticator.Type.TOTP, data={"secret": "x"})


@pytest.fixture
def strict(alice: Actor, bob: Actor) -> Workspace:
    """Acme, which asks for it; Alice has it, Bob has not."""
    give_step(alice)
    return workspace_update(actor=alice, require_two_step=True)


def in_page(client: Client, path: str = "/"):
    return client.get(path)


def test_it_leads_people_to_set_it_up_before_anything_else(strict, bob):
    browser = log_in("bob")
    for path in ("/", "/members/", "/settings/", "/usage/", "/history/", "/?workspace=acme"):
        assert in_page(browser, path)["Location"] == "/two-step/", path
    shown = browser.get("/two-step/")
    assert shown.status_code == 200 and "One more step for Acme" in shown.content.decode()
    assert "/accounts/2fa/totp/activate/" in shown.content.decode()
    assert browser.post("/members/leave?workspace=acme")["Location"] == "/two-step/"
    refused_ = browser.get("/api/me")
    assert (refused_.status_code, refused_.json()["error"]["code"]) == (403, "two_step_required")
    assert browser.post("/api/ws-ticket", headers={"X-CSRFToken": "x"}).status_code == 403
    turn_on(browser)
    assert in_page(browser).status_code == 200
    assert browser.get("/api/me").status_code == 200
    assert browser.get("/two-step/")["Location"] == "/"


def test_it_holds_for_who_chose_the_workspace_before(alice, bob):
    browser = log_in("bob")
    assert in_page(browser, "/?workspace=acme").status_code == 200
    assert browser.session["workspace"] == "acme"
    give_step(alice)
    workspace_update(actor=alice, require_two_step=True)
    assert in_page(browser)["Location"] == "/two-step/"
    assert browser.get("/api/me").status_code == 403


def test_recovery_codes_alone_are_no_second_step(strict, bob):
    Authenticator.objects.create(user=bob.user, type=Authenticator.Type.RECOVERY_CODES, data={})
    assert in_page(log_in("bob"))["Location"] == "/two-step/"


def test_it_lets_people_go_on_where_it_is_not_asked_for(strict, bob, charlie, other_workspace):
    browser = log_in("charlie")
    assert in_page(browser).status_code == 200
    membership_set(workspace=other_workspace, user=bob.user, role=Role.MEMBER)
    browser = log_in("bob")
    assert "Go to Other instead" in browser.get("/two-step/").content.decode()
    browser.post("/workspaces/switch", {"workspace": "other"})
    assert in_page(browser).status_code == 200
    assert in_page(browser, "/?workspace=acme")["Location"] == "/two-step/"


def test_it_leaves_tokens_as_they_are(strict, bob, client):
    made = token_create(user=bob.user, workspace=strict, name="script")
    answer = client.get("/api/me", headers={"Authorization": f"Bearer {made.text}"})
    assert answer.status_code == 200


def test_only_who_has_it_asks_others_for_it(alice, bob):
    with pytest.raises(Invalid, match="yourself first"):
        workspace_update(actor=alice, require_two_step=True)
    give_step(alice)
    assert workspace_update(actor=alice, require_two_step=True).require_two_step
    event = AuditEvent.objects.get(action="workspace_changed")
    assert event.metadata == {"require_two_step": {"from": False, "to": True}}
    assert not workspace_update(actor=alice, require_two_step=False).require_two_step


def test_the_page_and_the_api_turn_it_on(alice, bob):
    browser = log_in("alice")
    assert 'name="require_two_step" disabled' in browser.get("/members/").content.decode()
    turn_on(browser)
    page = browser.get("/members/").content.decode()
    assert 'name="require_two_step">' in page
    form = {"name": "Acme", "allow_share_links": "on", "require_two_step": "on"}
    assert browser.post("/workspaces/change?workspace=acme", form)["Location"] == "/members/"
    assert browser.get("/api/workspaces/current").json()["requireTwoStep"] is True
    listed = browser.get("/members/").content.decode()
    assert listed.count("no second step yet") == 1, "Bob's"


def test_tickets_of_a_session_end_with_it(strict, bob):
    ticket = ticket_create(actor=Actor(bob.user, strict, "member", session_key=session_of(bob)))
    with pytest.raises(TwoStepRequired):
        ticket_redeem(ticket=ticket.text)


def test_staff_without_it_administer_nothing_there(strict, alice):
    eve = person("eve", strict, Role.ADMIN)
    eve.user.is_staff = True
    eve.user.save()
    eve.user.user_permissions.set(Permission.objects.all())
    browser = Client()
    browser.force_login(eve.user, backend="django.contrib.auth.backends.ModelBackend")
    page = browser.get("/admin/workspaces/workspace/")
    assert page.context["cl"].result_count == 0
    give_step(eve)
    assert browser.get("/admin/workspaces/workspace/").context["cl"].result_count == 1


async def test_open_sockets_end_when_it_is_turned_on(connect, alice, bob):
    sockets = [await connect(alice), await connect(bob)]
    token = await in_database(token_create, user=bob.user, workspace=bob.workspace, name="script")
    by_token = await connect(token=token.text)
    await in_database(give_step, alice)
    await in_database(lambda: workspace_update(actor=alice, require_two_step=True))
    assert await sockets[1].closes() == 4403
    await sockets[0].settled()
    await by_token.settled()
    session = await in_database(session_of, bob)
    assert await refused(communicator_for(session=session))
