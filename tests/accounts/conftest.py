"""Somebody at the login form, with nothing left over from the throttles of other tests."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from django.core.cache import cache
from django.test import Client

from tests.people import PASSWORD
from workspaces.access import Actor


@pytest.fixture(autouse=True)
def fresh_throttles() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


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
    return format_hotp_value(hotp_value(secret, int(time.time()) // 30 + steps))


def turn_on(client: Client) -> tuple[str, list[str]]:
    """Sets an authenticator app up, as a person does: its secret, and the recovery codes that are shown once."""
    confirm(client)
    page = client.get("/accounts/2fa/totp/activate/")
    assert page.status_code == 200, page.headers.get("Location")
    secret = page.context["form"].secret
    done = client.post("/accounts/2fa/totp/activate/", {"code": code_of(secret, -1)})
    assert done["Location"] == "/accounts/2fa/recovery-codes/"
    return secret, list(client.get(done["Location"]).context["unused_codes"])


@pytest.fixture
def browser(alice: Actor) -> Client:
    """Alice, who has just typed her password."""
    client = log_in("alice")
    assert logged_in(client)
    return client
