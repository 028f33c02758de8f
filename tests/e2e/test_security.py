"""The pages of security in a real browser: a passkey from making it to logging in with it, codes to keep, looks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
from playwright.sync_api import Browser, CDPSession, Page, expect

from tests.accounts.conftest import code_of

from .conftest import PASSWORD, PATIENCE_MS, Person
from .server import Server
from .test_looks import SIZES, broken_rules

NUMBERS = count()


@pytest.fixture
def pat(browser: Browser, server: Server) -> Iterator[Person]:
    """Somebody of their own, at a host name: a bare address has no passkeys."""
    name = f"pat{next(NUMBERS)}"
    server.manage("create_user", name, "--password", PASSWORD, "--workspace", "team", "--role", "member")
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    context.set_default_timeout(PATIENCE_MS)
    person = Person(context, AtLocalhost(server), name)  # type: ignore[arg-type]
    yield person
    context.close()


class AtLocalhost:
    """The same server by its name."""

    def __init__(self, server: Server) -> None:
        self.url = f"http://localhost:{server.port}"


def authenticator(page: Page) -> tuple[CDPSession, str]:
    """A virtual one that knows its owner, as a phone or a laptop does."""
    cdp = page.context.new_cdp_session(page)
    cdp.send("WebAuthn.enable")
    options: dict[str, Any] = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    return cdp, str(cdp.send("WebAuthn.addVirtualAuthenticator", {"options": options})["authenticatorId"])


def password_step(page: Page, url: str, name: str) -> None:
    page.goto(url + "/accounts/login/")
    page.fill("input[name=login]", name)
    page.fill("input[name=password]", PASSWORD)
    page.get_by_role("button", name="Log in", exact=True).click()


def confirm(page: Page) -> None:
    page.fill("input[name=password]", PASSWORD)
    page.get_by_role("button", name="Go on").click()


def leave(page):
    """The cookies go with no page open: one would ask on in its person's name, and be refused."""
    page.goto("about:blank")
    page.context.clear_cookies()


def test_it_makes_a_passkey_and_logs_in_with_it_alone_and_as_the_second_step(pat):
    page, url = pat.page, pat.server.url
    cdp, device = authenticator(page)
    pat.log_in()
    page.goto(url + "/settings/")
    section = page.locator("#security")
    expect(section.get_by_role("link", name=re.compile("Two-step login"))).to_contain_text("off")
    section.get_by_role("link", name=re.compile("Passkeys")).click()
    page.get_by_role("link", name="Add a passkey").click()
    confirm(page)
    page.fill("input[name=name]", "Laptop")
    page.get_by_role("button", name="Add it").click()
    expect(page.locator("#recovery-codes")).to_be_visible()
    assert len(cdp.send("WebAuthn.getCredentials", {"authenticatorId": device})["credentials"]) == 1
    page.goto(url + "/settings/")
    expect(section.get_by_role("link", name=re.compile("Two-step login"))).to_contain_text("on")

    leave(page)
    page.goto(url + "/accounts/login/")
    page.get_by_role("button", name="Log in with a passkey").click()
    page.wait_for_selector(".shell")

    leave(page)
    password_step(page, url, pat.name)
    expect(page.get_by_role("heading", name="Second step")).to_be_visible()
    page.get_by_role("button", name="Use a passkey").click()
    page.wait_for_selector(".shell")

    cdp.send("WebAuthn.clearCredentials", {"authenticatorId": device})
    leave(page)
    page.goto(url + "/accounts/login/")
    page.get_by_role("button", name="Log in with a passkey").click()
    expect(page.get_by_role("alert").filter(has_text="broken off")).to_be_visible()
    assert pat.errors == []
    assert pat.elsewhere == []


def test_it_is_clean_and_fits_on_the_pages_of_security(pat, shots):
    page, url = pat.page, pat.server.url
    pat.log_in()
    page.goto(url + "/accounts/2fa/totp/activate/")
    faults = looks(page, shots, "security-confirm")
    confirm(page)
    faults += looks(page, shots, "security-app")
    secret = page.locator(".secret .mono").inner_text()
    page.fill("input[name=code]", code_of(secret))
    page.get_by_role("button", name="Turn it on").click()
    expect(page.locator("#recovery-codes")).to_be_visible()
    faults += looks(page, shots, "security-codes")
    with page.expect_download() as saved:
        page.get_by_role("button", name="Download").click()
    kept = saved.value.path().read_text().split()
    assert len(kept) == 10 and kept[0] in page.locator("#recovery-codes").inner_text()
    pages = {
        "two-step": "/accounts/2fa/",
        "passkeys": "/accounts/2fa/webauthn/",
        "passkey-add": "/accounts/2fa/webauthn/add/",
        "logins": "/accounts/sessions/",
        "mail": "/accounts/email/",
        "password": "/accounts/password/change/",
        "settings": "/settings/#security",
    }
    for name, address in pages.items():
        page.goto(url + address)
        faults += looks(page, shots, f"security-{name}")
    leave(page)
    password_step(page, url, pat.name)
    expect(page.get_by_role("heading", name="Second step")).to_be_visible()
    expect(page.get_by_role("button", name="Use a passkey")).to_be_hidden()  # there is none
    faults += looks(page, shots, "security-second-step")
    page.fill("input[name=code]", kept[0])
    page.get_by_role("button", name="Log in", exact=True).click()
    page.wait_for_selector(".shell")
    assert faults == []
    assert pat.errors == []


def looks(page: Page, shots: Any, name: str) -> list[str]:
    """Light and wide, dark and on a phone."""
    faults = []
    for size, scheme in (("wide", "light"), ("phone", "dark")):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        page.set_viewport_size({"width": SIZES[size][0], "height": SIZES[size][1]})
        page.screenshot(path=str(shots / f"{name}-{size}-{scheme}.png"))
        faults += [f"{name}: {rule}" for rule in broken_rules(page)]
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        if wide > 0:
            faults.append(f"{name}: {wide} px wider than the window")
    return faults
