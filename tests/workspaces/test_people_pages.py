"""The members page and its forms, invitations in a browser, and switching: all without scripts."""

from __future__ import annotations

import re
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.test import Client
from django.utils import timezone
from limits import parse

from tests.people import PASSWORD, person
from workspaces import limits
from workspaces.access import Actor
from workspaces.invitations import GONE, invitation_create, invitation_mail
from workspaces.models import Invitation, Membership, Role, User, Workspace
from workspaces.services import membership_set

pytestmark = pytest.mark.django_db

AT = "?workspace=acme"
NEW = {
    "username": "stefan",
    "email": "",
    "password1": "a long pass phrase",
    "password2": "a long pass phrase",
}


@pytest.fixture(autouse=True)
def _fresh_counts() -> None:
    cache.clear()
    limits.limits_reset()


def browser(actor: Actor | None = None) -> Client:
    client = Client()
    if actor is not None:
        client.force_login(actor.user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def text(response: Any) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", response.content.decode()))


def role_of(actor: Actor) -> str | None:
    found = Membership.objects.filter(workspace__slug="acme", user=actor.user).first()
    return found.role if found else None


def link_on(response: Any) -> str:
    found = re.search(r"http://testserver(/join/[^\"]+)", response.content.decode())
    assert found
    return found[1]


# --- members ---


def test_it_shows_each_what_they_may_do(alice: Actor, bob: Actor, vera: Actor) -> None:
    owner = browser(alice).get("/members/")
    assert "3 people in Acme" in text(owner)
    assert f"/members/{bob.user_id}/role" in owner.content.decode()
    assert f"/members/{alice.user_id}/role" not in owner.content.decode(), "the last owner stays one"
    for actor in (bob, vera):
        shown = browser(actor).get("/members/").content.decode()
        assert "Alice" in shown and "/members/leave" in shown
        assert "/role" not in shown and "/members/invite" not in shown and "/workspaces/delete" not in shown
    adam = person("adam", alice.workspace, Role.ADMIN)
    admins = browser(adam).get("/members/").content.decode()
    assert f"/members/{bob.user_id}/role" in admins and 'value="owner"' not in admins
    assert f"/members/{alice.user_id}/" not in admins and "/workspaces/delete" not in admins


def test_it_changes_roles_and_removes_at_once(alice: Actor, bob: Actor) -> None:
    theirs, client = browser(bob), browser(alice)
    assert theirs.get("/").status_code == 200
    done = client.post(f"/members/{bob.user_id}/role{AT}", {"role": "viewer"}, follow=True)
    assert "Bob is now viewer." in text(done) and role_of(bob) == "viewer"
    assert "Bob was removed." in text(client.post(f"/members/{bob.user_id}/remove{AT}", follow=True))
    assert role_of(bob) is None
    assert theirs.get("/").status_code == 403
    assert theirs.get("/members/").status_code == 403


def test_it_refuses_in_words(alice: Actor, bob: Actor, charlie: Actor) -> None:
    refused = browser(bob).post(f"/members/{alice.user_id}/role{AT}", {"role": "viewer"}, follow=True)
    assert "Only admins and owners" in text(refused) and role_of(alice) == "owner"
    last = browser(alice).post(f"/members/leave{AT}", follow=True)
    assert "A workspace needs an owner" in text(last)
    for path in (
        f"/members/{bob.user_id}/remove",
        f"/members/{bob.user_id}/role",
        "/members/leave",
        "/members/invite",
    ):
        assert browser(charlie).post(path + AT, {"role": "viewer"}).status_code == 404, path
        assert browser(alice).post(path, {"role": "viewer"}).status_code == 404, "which workspace?"
        assert browser(alice).get(path + AT).status_code == 405
        assert browser().post(path + AT)["Location"].startswith("/accounts/login/")
    assert browser(alice).post(f"/members/{charlie.user_id}/remove{AT}").status_code == 404
    assert role_of(bob) == "member"


def test_it_wants_the_csrf_token(alice: Actor, bob: Actor) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(alice.user, backend="django.contrib.auth.backends.ModelBackend")
    for path in (
        f"/members/{bob.user_id}/remove{AT}",
        "/workspaces/switch",
        "/workspaces/new",
        "/join/decline",
    ):
        assert client.post(path).status_code == 403, path
    assert role_of(bob) == "member"


def test_a_form_acts_in_the_workspace_it_was_drawn_for(
    alice: Actor, bob: Actor, other_workspace: Workspace
) -> None:
    for actor in (alice, bob):
        membership_set(workspace=other_workspace, user=actor.user, role=Role.OWNER)
    client = browser(alice)
    client.post("/workspaces/switch", {"workspace": "other"})
    client.post(f"/members/{bob.user_id}/remove{AT}")
    assert role_of(bob) is None
    assert Membership.objects.filter(workspace=other_workspace, user=bob.user).exists()


def test_it_lets_people_leave(alice: Actor, bob: Actor) -> None:
    left = browser(bob).post(f"/members/leave{AT}", follow=True)
    assert left.status_code == 403 and "You are in no workspace yet" in text(left)
    assert role_of(bob) is None


# --- invitations ---


def test_it_shows_a_new_link_once_and_stores_it_nowhere(alice: Actor) -> None:
    client = browser(alice)
    shown = client.post(f"/members/invite{AT}", {"by": "link", "role": "member", "uses": "one"}, follow=True)
    link = link_on(shown)
    secret = link.strip("/").rsplit("/", 1)[-1]
    assert "http://testserver/join/" not in client.get("/members/").content.decode()
    assert all(secret not in str(s.get_decoded()) for s in Session.objects.all())
    row = Invitation.objects.get()
    assert "Link for one person" in text(client.get("/members/"))
    client.post(f"/members/invitations/{row.pk}/revoke{AT}")
    assert "Link for one person" not in text(client.get("/members/")).split("Open invitations")[1]
    assert browser().get(link).status_code == 404


def test_it_mails_an_invitation(alice: Actor, mailoutbox: list[Any]) -> None:
    said = browser(alice).post(
        f"/members/invite{AT}", {"by": "mail", "email": "nina@example.org", "role": "viewer"}, follow=True
    )
    assert "An invitation is on its way to nina@example.org." in text(said)
    assert "/join/" not in said.content.decode() and "/join/" in mailoutbox[0].body
    wrong = browser(alice).post(
        f"/members/invite{AT}", {"by": "mail", "email": "", "role": "viewer"}, follow=True
    )
    assert "An e-mail address, please." in text(wrong)


def test_who_is_logged_in_joins_by_a_click(alice: Actor, charlie: Actor) -> None:
    link = f"/join/{invitation_create(actor=alice, role=Role.VIEWER).text}/"
    client = browser(charlie)
    page = client.get(link, follow=True)
    assert page.redirect_chain == [("/join/", 302)]
    assert "Alice invites you as viewer." in text(page) and role_of(charlie) is None, "reading joins nobody"
    home = client.post("/join/", follow=True)
    assert role_of(charlie) == "viewer" and home.context["actor"].workspace.slug == "acme"
    assert client.get("/join/").status_code == 404


def test_who_says_not_now_stays_out(alice: Actor, charlie: Actor) -> None:
    client = browser(charlie)
    client.get(f"/join/{invitation_create(actor=alice).text}/")
    client.post("/join/decline")
    assert client.get("/join/").status_code == 404 and role_of(charlie) is None


def test_who_has_an_account_logs_in_first(alice: Actor, charlie: Actor) -> None:
    client = browser()
    page = client.get(f"/join/{invitation_create(actor=alice).text}/", follow=True)
    assert "Make an account" in text(page) and "Log in" in text(page)
    assert (
        client.post("/join/").status_code == 200
        and Membership.objects.filter(workspace__slug="acme").count() == 1
    )
    back = client.post(
        "/accounts/login/", {"login": "charlie", "password": PASSWORD, "next": "/join/"}, follow=True
    )
    assert "Join as Charlie" in text(back)
    client.post("/join/")
    assert role_of(charlie) == "member"


def test_a_stranger_makes_an_account_for_exactly_this_invitation(alice: Actor) -> None:
    client = browser()
    assert "Sign-up is closed" in text(client.get("/accounts/signup/"))
    assert client.post("/accounts/signup/", NEW) and not User.objects.filter(username="stefan").exists()
    client.get(f"/join/{invitation_create(actor=alice).text}/")
    assert client.get("/accounts/signup/").status_code == 200
    home = client.post("/accounts/signup/", NEW, follow=True)
    assert home.context["actor"].workspace.slug == "acme" and home.context["actor"].role == "member"
    client.logout()
    assert "Sign-up is closed" in text(client.get("/accounts/signup/"))
    second = browser()
    second.post("/accounts/signup/", NEW | {"username": "second"})
    assert not User.objects.filter(username="second").exists()


def test_one_invitation_makes_one_account(alice: Actor) -> None:
    link = f"/join/{invitation_create(actor=alice).text}/"
    first, second = browser(), browser()
    for client in (first, second):
        client.get(link)
    first.post("/accounts/signup/", NEW)
    late = second.post("/accounts/signup/", NEW | {"username": "second"}, follow=True)
    assert not User.objects.filter(username="second").exists()
    assert "Sign-up is closed" in text(late)


def test_no_account_is_made_when_the_invitation_ends_meanwhile(
    alice: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = browser()
    client.get(f"/join/{invitation_create(actor=alice).text}/")
    monkeypatch.setattr("nexus_site.accounts.AccountAdapter.is_open_for_signup", lambda *_: True)
    Invitation.objects.update(revoked_at=timezone.now())
    late = client.post("/accounts/signup/", NEW, follow=True)
    assert GONE in text(late) and not User.objects.filter(username="stefan").exists()


def test_a_mailed_invitation_fixes_the_address(alice: Actor) -> None:
    made = invitation_mail(actor=alice, email="nina@example.org", role=Role.MEMBER, link=str)
    client = browser()
    client.get(f"/join/{made.text}/")
    client.post("/accounts/signup/", NEW | {"email": "mallory@example.org"})
    user = User.objects.get(username="stefan")
    assert user.email == "nina@example.org"
    assert EmailAddress.objects.get(user=user).email == "nina@example.org"
    assert Membership.objects.filter(user=user, workspace__slug="acme").exists()


def test_a_mailed_invitation_is_for_nobody_else(alice: Actor, charlie: Actor) -> None:
    made = invitation_mail(actor=alice, email="nina@example.org", role=Role.MEMBER, link=str)
    client = browser(charlie)
    assert "was sent to nina@example.org" in text(client.get(f"/join/{made.text}/", follow=True))
    assert "was sent to nina@example.org" in text(client.post("/join/"))
    assert role_of(charlie) is None


def test_it_says_the_same_calm_words_of_all_that_do_not_work(alice: Actor) -> None:
    made = {name: invitation_create(actor=alice) for name in ("expired", "revoked", "used")}
    rows = Invitation.objects
    rows.filter(pk=made["expired"].row.pk).update(expires_at=timezone.now())
    rows.filter(pk=made["revoked"].row.pk).update(revoked_at=timezone.now())
    rows.filter(pk=made["used"].row.pk).update(uses=1)
    answers = {text(browser().get(f"/join/{one.text}/")) for one in made.values()}
    answers |= {text(browser().get("/join/wrong/")), text(browser().get("/join/"))}
    assert len(answers) == 1 and GONE in answers.pop()


@pytest.mark.usefixtures("within_a_minute")
def test_trying_links_is_limited_and_a_good_one_still_works(
    alice: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(limits.LIMITS, "doors", parse("3/minute"))
    good = invitation_create(actor=alice)
    statuses = [browser().get(f"/join/wrong{number}/").status_code for number in range(5)]
    assert statuses == [404, 404, 404, 429, 429]
    assert browser().get(f"/join/{good.text}/", follow=True).status_code == 200


@pytest.mark.usefixtures("within_a_minute")
def test_behind_a_proxy_each_address_is_counted_by_itself(
    alice: Actor, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.NEXUS_TRUST_PROXY = True
    monkeypatch.setitem(limits.LIMITS, "doors", parse("1/minute"))

    def status(address: str) -> int:
        return browser().get("/join/wrong/", headers={"X-Forwarded-For": f"1.2.3.4, {address}"}).status_code

    assert [status("192.0.2.1"), status("192.0.2.1"), status("192.0.2.2")] == [404, 429, 404]


# --- workspaces ---


def test_it_switches_and_creates_workspaces(alice: Actor, other_workspace: Workspace) -> None:
    membership_set(workspace=other_workspace, user=alice.user, role=Role.MEMBER)
    client = browser(alice)
    assert (
        client.post("/workspaces/switch", {"workspace": "other"}, follow=True).context["actor"].workspace
        == other_workspace
    )
    assert client.get("/history/").context["actor"].workspace == other_workspace
    assert client.post("/workspaces/switch", {"workspace": "nowhere"}).status_code == 404
    assert client.post("/workspaces/switch").status_code == 404
    assert client.get("/workspaces/switch").status_code == 405
    made = client.post("/workspaces/new", {"name": "Third house"}, follow=True)
    assert made.context["actor"].workspace.name == "Third house" and made.context["agents"]
    assert "needs a name" in text(client.post("/workspaces/new", {"name": " "}))


def test_it_offers_a_new_workspace_to_who_may(alice: Actor, bob: Actor, charlie: Actor) -> None:
    assert "/workspaces/new" in browser(alice).get("/members/").content.decode()
    assert "/workspaces/new" not in browser(bob).get("/members/").content.decode()
    assert browser(bob).post("/workspaces/new", {"name": "Mine"}).status_code == 403
    assert browser(charlie).post("/workspaces/switch", {"workspace": "acme"}).status_code == 404


def test_it_renames_and_deletes(alice: Actor, bob: Actor) -> None:
    client = browser(alice)
    assert "Saved." in text(client.post(f"/workspaces/change{AT}", {"name": "New name"}, follow=True))
    workspace = Workspace.objects.get(slug="acme")
    assert workspace.name == "New name" and not workspace.allow_personal_keys
    assert "exactly" in text(client.post(f"/workspaces/delete{AT}", {"confirm": "Acme"}, follow=True))
    browser(bob).post(f"/workspaces/delete{AT}", {"confirm": "New name"})
    assert browser(bob).get("/").status_code == 200
    client.post(f"/workspaces/delete{AT}", {"confirm": "New name"})
    assert browser(bob).get("/").status_code == 403
    assert client.get("/").status_code == 403
