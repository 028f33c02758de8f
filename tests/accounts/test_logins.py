"""Logging in, the throttles of it, resetting and changing the password, and where one is logged in."""

from __future__ import annotations

import re

import pytest
from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.core import mail
from django.test import Client

from nexus_site.accounts_sessions import sessions_end_elsewhere
from nexus_site.templatetags.security import browser as browser_name
from tests.people import PASSWORD

from .conftest import confirm, log_in, logged_in

pytestmark = pytest.mark.django_db

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


def test_it_gives_the_session_a_new_key_at_the_login(alice):
    client = Client()
    client.get("/accounts/login/")
    client.session["before"] = "x"
    session = client.session
    session["before"] = "x"
    session.save()
    before = session.session_key
    client.post("/accounts/login/", {"login": "alice", "password": PASSWORD})
    assert logged_in(client)
    assert client.session.session_key != before


@pytest.mark.parametrize("name", ["alice", "alice@example.org"])
def test_it_takes_the_name_or_the_address(alice, name):
    assert logged_in(log_in(name))


def test_it_does_not_tell_whether_there_is_such_a_person(alice):
    def words(name: str) -> str:
        page = log_in(name, "wrong").answer.content.decode()
        return re.sub(r'(csrf\w*|nonce|value)="[^"]*"|value="[^"]*"', "", page)

    assert words("alice").replace("alice", "*") == words("nobody").replace("nobody", "*")


def test_it_stops_who_guesses_passwords(alice):
    for _ in range(5):
        assert log_in("alice", "wrong").answer.status_code == 200
    late = log_in("alice")
    assert not logged_in(late), "not even the right one, for now"
    assert "Too many" in late.answer.content.decode()


def test_it_counts_guesses_by_the_address_that_the_proxy_saw(alice, bob, settings):
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = 1
    for n in range(10):
        log_in(f"guess{n}", "wrong", HTTP_X_FORWARDED_FOR=f"10.0.0.{n}, 203.0.113.7")
    assert not logged_in(log_in("alice", HTTP_X_FORWARDED_FOR="198.51.100.9, 203.0.113.7"))
    assert logged_in(log_in("bob", HTTP_X_FORWARDED_FOR="203.0.113.7, 198.51.100.9"))


def test_it_believes_no_header_without_a_proxy(alice):
    for n in range(10):
        log_in(f"guess{n}", "wrong", HTTP_X_FORWARDED_FOR=f"203.0.113.{n}")
    assert not logged_in(log_in("alice", HTTP_X_FORWARDED_FOR="198.51.100.9"))


def test_it_sends_a_link_that_sets_a_new_password_once(alice):
    client = Client()
    known = client.post("/accounts/password/reset/", {"email": "alice@example.org"})
    unknown = client.post("/accounts/password/reset/", {"email": "nobody@example.org"})
    assert known["Location"] == unknown["Location"]
    sent = next(one for one in mail.outbox if one.to == ["alice@example.org"])
    link = re.search(r"http://testserver(/accounts/password/reset/key/\S+)", str(sent.body))
    assert link is not None
    form = client.get(link[1], follow=True)
    address = form.redirect_chain[-1][0]
    client.post(address, {"password1": "another long one", "password2": "another long one"})
    assert logged_in(log_in("alice", "another long one"))
    assert not logged_in(log_in("alice"))
    assert Client().get(link[1], follow=True).context["token_fail"]


def test_it_throttles_reset_mails(alice):
    for _ in range(7):
        last = Client().post("/accounts/password/reset/", {"email": "alice@example.org"})
    assert last.status_code == 429
    assert "Too many attempts" in last.content.decode()
    assert len(mail.outbox) == 5


def test_it_logs_the_others_out_when_the_password_changes(browser):
    other = log_in("alice")
    done = browser.post(
        "/accounts/password/change/",
        {"oldpassword": PASSWORD, "password1": "another long one", "password2": "another long one"},
    )
    assert done.status_code == 302
    assert browser.get("/settings/").status_code == 200
    assert other.get("/settings/")["Location"].startswith("/accounts/login/")
    assert [one.to for one in mail.outbox] == [["alice@example.org"]], "she is told by mail"


def test_it_goes_on_when_the_mail_that_tells_cannot_be_sent(browser, settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 9
    passwords = {"oldpassword": PASSWORD, "password1": "another long one", "password2": "another long one"}
    assert browser.post("/accounts/password/change/", passwords).status_code == 302
    assert logged_in(log_in("alice", "another long one"))


def test_it_lists_the_logins_and_ends_the_others(browser, bob):
    second = Client(HTTP_USER_AGENT=FIREFOX)
    second.post("/accounts/login/", {"login": "alice", "password": PASSWORD})
    unnoted = log_in("alice")
    UserSession.objects.filter(session_key=unnoted.session.session_key).delete()
    bobs = log_in("bob")
    page = browser.get("/accounts/sessions/").content.decode()
    assert "Firefox on Linux" in page and "this one" in page
    assert browser.post("/accounts/sessions/")["Location"] == "/accounts/sessions/"
    for client in (second, unnoted):
        assert client.get("/settings/")["Location"].startswith("/accounts/login/")
    assert browser.get("/settings/").status_code == bobs.get("/settings/").status_code == 200


def test_it_shows_the_session_from_before_there_was_a_list(browser):
    UserSession.objects.all().delete()
    assert len(browser.get("/accounts/sessions/").context["sessions"]) == 1


def test_it_ends_sessions_in_the_store_that_the_sockets_are_checked_against(alice):
    client = log_in("alice")
    key = client.session.session_key
    assert sessions_end_elsewhere(user=alice.user, current="") == 1
    assert not Session.objects.filter(session_key=key).exists()


@pytest.mark.parametrize(
    ("agent", "name"),
    [(FIREFOX, "Firefox on Linux"), ("curl/8.1", "curl/8.1"), ("", "A program")],
)
def test_it_names_browsers(agent, name):
    assert browser_name(agent) == name


PAGES = [
    "/accounts/password/change/",
    "/accounts/email/",
    "/accounts/sessions/",
    "/accounts/2fa/",
    "/accounts/2fa/totp/activate/",
    "/accounts/2fa/webauthn/",
    "/accounts/2fa/webauthn/add/",
    "/accounts/3rdparty/",
    "/accounts/reauthenticate/",
]


@pytest.mark.parametrize("address", PAGES)
def test_it_draws_every_page_itself_and_shows_none_to_strangers(browser, address):
    confirm(browser)
    page = browser.get(address)
    text = page.content.decode()
    assert page.status_code == 200
    assert 'class="door-in' in text
    assert not re.search(r"<script(?![^>]*(nonce=|src=|application/json))|\son\w+=|<style", text)
    assert Client().get(address)["Location"].startswith("/accounts/login/")


def test_it_keeps_sign_up_closed(settings):
    assert "Sign-up is closed" in Client().get("/accounts/signup/").content.decode()
    assert "Make an account" not in Client().get("/accounts/login/").content.decode()
    settings.NEXUS_SIGNUP_OPEN = True
    assert "Make an account" in Client().get("/accounts/login/").content.decode()


def test_it_adds_confirms_and_removes_an_address(browser, alice):
    confirm(browser)
    browser.post("/accounts/email/", {"action_add": "", "email": "second@example.org"})
    sent = next(one for one in mail.outbox if one.to == ["second@example.org"])
    link = re.search(r"http://testserver(/accounts/confirm-email/\S+)", str(sent.body))
    assert link is not None
    assert "second@example.org" in browser.get(link[1]).content.decode()
    browser.post(link[1])
    assert logged_in(log_in("second@example.org"))
    browser.post("/accounts/email/", {"action_primary": "", "email": "second@example.org"})
    browser.post("/accounts/email/", {"action_remove": "", "email": "alice@example.org"})
    assert not logged_in(log_in("alice@example.org"))
    assert logged_in(log_in("second@example.org"))
