"""Somebody at the login form, with nothing left over from the throttles of other tests."""

from __future__ import annotations

import time
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from allauth.mfa.totp.internal import auth
from django.core.cache import cache
from django.test import Client

from tests.people import PASSWORD
from workspaces.access import Actor


@pytest.fixture(autouse=True)
def fresh_throttles() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


@pytest.fixture(autouse=True)
def one_half_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not end between the making of a code and its check: one of the half minute before would be too old then."""
    now = time.time()
    monkeypatch.setattr(auth, "time", SimpleNamespace(time=lambda: now))


def log_in(name: str, password: str = PASSWORD, **more: str) -> Client:
    """A browser after the password was sent; where that leads is in `client.answer`."""
    client = Client()
    client.answer = client.post(  # type: ignore[attr-defined]
        "/accounts/login/", {"login": name, "password": password, "remember": "on"}, **more
    )
    return client


def confirm(client: Client, password: str = PASSWORD) -> None:
    """Says once more who one is, which every change of security asks for."""
    client.post("/accounts/reauthenticate/", {"password": password})


def logged_in(client: Client) -> bool:
    return "_auth_user_id" in client.session


def code_of(secret: str, steps: int = 0) -> str:
    """What the app shows, `steps` half minutes from now."""
    return auth.format_hotp_value(auth.hotp_value(secret, int(auth.time.time()) // 30 + steps))


def turn_on(client: Client) -> tuple[str, list[str]]:
    """Sets an authenticator app up, as a person does: its secret, and the recovery codes that are shown once."""
    confirm(client)
    page = client.get("/accounts/2fa/totp/activate/")
    assert page.status_code == 200, page.headers.get("Location")
    secret = page.context["form"].secret
    for _ in range(2):  # a half minute may end between looking at the code and sending it, but not two
        done = client.post("/accounts/2fa/totp/activate/", {"code": code_of(secret, -1)})
        if done.status_code == 302:
            break
    assert done["Location"] == "/accounts/2fa/recovery-codes/"
    return secret, list(client.get(done["Location"]).context["unused_codes"])


@pytest.fixture
def browser(alice: Actor) -> Client:
    """Alice, who has just typed her password."""
    client = log_in("alice")
    assert logged_in(client)
    return client
