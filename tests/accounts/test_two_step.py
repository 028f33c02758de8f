"""Two-step login: an authenticator app, recovery codes, wrong codes, and what is stored of them."""

from __future__ import annotations

import re

import pytest
from allauth.mfa.models import Authenticator
from django.core.management import call_command
from django.test import Client

from tests.people import PASSWORD

from .conftest import code_of, confirm, log_in, logged_in, turn_on

pytestmark = pytest.mark.django_db

STEP = "/accounts/2fa/authenticate/"


def test_it_asks_for_the_code_after_the_password(browser):
    secret, _ = turn_on(browser)
    again = log_in("alice")
    assert again.answer["Location"].startswith(STEP)
    assert not logged_in(again)
    assert again.get("/")["Location"].startswith("/accounts/login/"), "half a login opens nothing"
    assert again.post(STEP, {"code": code_of(secret)})["Location"] == "/"
    assert logged_in(again)


def test_it_takes_no_code_twice(browser):
    secret, _ = turn_on(browser)
    code = code_of(secret)
    first, second = log_in("alice"), log_in("alice")
    first.post(STEP, {"code": code})
    second.post(STEP, {"code": code})
    assert (logged_in(first), logged_in(second)) == (True, False)


def test_it_takes_a_recovery_code_once(browser):
    _, codes = turn_on(browser)
    assert len(codes) == len(set(codes)) == 10
    first, second = log_in("alice"), log_in("alice")
    first.post(STEP, {"code": codes[0]})
    second.post(STEP, {"code": codes[0]})
    assert (logged_in(first), logged_in(second)) == (True, False)
    second.post(STEP, {"code": codes[1]})
    assert logged_in(second)


def test_it_shows_recovery_codes_once(browser):
    _, codes = turn_on(browser)
    page = browser.get("/accounts/2fa/recovery-codes/").content.decode()
    assert not [code for code in codes if code in page]
    assert browser.get("/accounts/2fa/recovery-codes/download/").status_code == 403
    made = browser.post("/accounts/2fa/recovery-codes/generate/")
    fresh = browser.get(made["Location"]).context["unused_codes"]
    assert not set(fresh) & set(codes)
    late = log_in("alice")
    late.post(STEP, {"code": codes[0]})
    assert not logged_in(late), "the earlier ones are void"


def test_it_stops_who_guesses_codes(browser, alice):
    secret, _ = turn_on(browser)
    guesser = log_in("alice")
    answers = [guesser.post(STEP, {"code": f"{n:06}"}) for n in range(6)]
    assert "Incorrect code" in answers[0].content.decode()
    assert "Too many" in answers[-1].content.decode()
    guesser.post(STEP, {"code": code_of(secret)})
    assert not logged_in(guesser), "not even the right one, for now"


def test_it_stores_no_secret_in_the_clear(browser, settings):
    from cryptography.fernet import Fernet

    secret, codes = turn_on(browser)
    before = stored()
    assert secret not in before
    assert re.search(r'"secret": "[0-9a-f]{8}:', before)
    assert re.search(r'"seed": "[0-9a-f]{8}:', before)
    old = settings.NEXUS_ENCRYPTION_KEYS
    settings.NEXUS_ENCRYPTION_KEYS = [Fernet.generate_key().decode(), *old]
    call_command("rotate_keys")
    assert stored() != before
    settings.NEXUS_ENCRYPTION_KEYS = settings.NEXUS_ENCRYPTION_KEYS[:1]
    again = log_in("alice")
    again.post(STEP, {"code": codes[3]})
    assert logged_in(again), "the old key is not needed any more"


def stored() -> str:
    import json

    return json.dumps(list(Authenticator.objects.order_by("pk").values_list("data", flat=True)))


def test_it_asks_who_one_is_before_security_changes(browser):
    for address in ("/accounts/2fa/totp/activate/", "/accounts/2fa/webauthn/add/"):
        assert browser.get(address)["Location"].startswith("/accounts/reauthenticate/"), address
    added = browser.post("/accounts/email/", {"action_add": "", "email": "new@example.org"})
    assert added["Location"].startswith("/accounts/reauthenticate/")
    wrong = browser.post("/accounts/reauthenticate/", {"password": "wrong"})
    assert wrong.status_code == 200
    browser.post("/accounts/reauthenticate/", {"password": PASSWORD})
    assert browser.get("/accounts/2fa/totp/activate/").status_code == 200
    session = browser.session
    methods = session["account_authentication_methods"]
    session["account_authentication_methods"] = [{**one, "at": one["at"] - 600} for one in methods]
    session.save()
    assert browser.get("/accounts/2fa/totp/activate/").status_code == 302, "for five minutes"


def test_it_can_be_turned_off(browser):
    turn_on(browser)
    assert browser.post("/accounts/2fa/totp/deactivate/")["Location"] == "/accounts/2fa/"
    assert logged_in(log_in("alice"))
    assert not Authenticator.objects.exists(), "recovery codes go with it"


def test_it_holds_for_the_admin_too(browser, alice):
    alice.user.is_staff = alice.user.is_superuser = True
    alice.user.save()
    turn_on(browser)
    assert Client().get("/admin/login/")["Location"].startswith("/accounts/login/")
    half = log_in("alice")
    assert half.get("/admin/")["Location"].startswith("/admin/login/")
    straight = Client()
    straight.post("/admin/login/", {"username": "alice", "password": PASSWORD})
    assert not logged_in(straight)


def test_it_lets_an_operator_help_who_lost_the_phone(browser, alice, bob):
    turn_on(browser)
    bob.user.is_staff = bob.user.is_superuser = True
    bob.user.save()
    operator = log_in("bob")
    row = Authenticator.objects.get(type=Authenticator.Type.TOTP)
    page = operator.get(f"/admin/mfa/authenticator/{row.pk}/change/").content.decode()
    assert row.data["secret"] not in page and "secret" not in page
    everything = list(Authenticator.objects.values_list("pk", flat=True))
    operator.post(
        "/admin/mfa/authenticator/",
        {"action": "delete_selected", "_selected_action": everything, "post": "yes"},
    )
    assert logged_in(log_in("alice"))


def test_it_touches_only_ones_own_passkeys(browser, alice, bob):
    theirs = Authenticator.objects.create(
        user=bob.user, type=Authenticator.Type.WEBAUTHN, data={"name": "Bob's", "credential": {}}
    )
    confirm(browser)
    for action in ("remove", "edit"):
        address = f"/accounts/2fa/webauthn/keys/{theirs.pk}/{action}/"
        assert browser.get(address).status_code == 404
        assert browser.post(address, {"name": "mine"}).status_code == 404
    assert Authenticator.objects.get().data["name"] == "Bob's"


def test_it_says_in_the_settings_whether_it_is_on(browser):
    def said() -> str:
        page = browser.get("/settings/").content.decode()
        found = re.search(r"Two-step login</b><span class=\"mut\">(\w+)<", page)
        return found[1] if found else ""

    assert said() == "off"
    turn_on(browser)
    assert said() == "on"
