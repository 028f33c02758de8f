"""A workspace that asks for two-step sign-in: an open page is led to set it up, and so is every other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from .conftest import live
from .server import Server
from .test_looks import SIZES, broken_rules

SET = (
    "from workspaces.models import Workspace; from allauth.mfa.models import Authenticator;"
    "from workspaces.models import User; alice = User.objects.get(username='alice');"
    "on = {on};"
    "Authenticator.objects.create(user=alice, type='totp', data={{'secret': 'x'}}) if on "
    "else Authenticator.objects.filter(user=alice).delete();"
    "Workspace.objects.filter(slug='team').update(require_two_step=on)"
)


@pytest.fixture
def asks(server: Server) -> Iterator[None]:
    yield
    server.manage("shell", "-v0", "-c", SET.format(on=False))


def test_an_open_page_is_led_to_set_it_up(server: Server, people, shots: Path, asks: None) -> None:
    bob, alice = people["bob"].page, people["alice"].page
    live(bob)
    server.manage("shell", "-v0", "-c", SET.format(on=True))
    bob.wait_for_url("**/two-step/")
    expect(bob.locator("h1")).to_have_text("One more step for Team")
    alice.goto(server.url + "/members/")
    for scheme in ("light", "dark"):
        for page in (alice, bob):
            page.emulate_media(color_scheme=scheme)
        for size, (width, height) in SIZES.items():
            bob.set_viewport_size({"width": width, "height": height})
            bob.screenshot(path=shots / f"two-step-{size}-{scheme}.png")
            assert broken_rules(bob) == []
            alice.set_viewport_size({"width": width, "height": height})
            alice.locator("#workspace").scroll_into_view_if_needed()
            alice.screenshot(path=shots / f"two-step-members-{size}-{scheme}.png")
            assert broken_rules(alice) == []
    expect(alice.locator("#people")).to_contain_text("no second step yet")
    bob.goto(server.url + "/settings/")
    bob.wait_for_url("**/two-step/")
    bob.get_by_role("link", name="Authenticator app").click()
    expect(bob.locator("main")).to_be_visible()
    assert "/accounts/" in bob.url
