"""Every page, light and dark, wide and phone: axe finds nothing, nothing overflows, and a picture is taken."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from .test_chat import finished, start_with

ROOT = Path(__file__).resolve().parents[2]
AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
SIZES = {"wide": (1440, 900), "phone": (390, 844)}
PAGES = ("home", "conversation", "history", "usage", "settings", "login")


@pytest.fixture
def address(people, server) -> dict[str, str]:
    alice = people["alice"]
    start_with(alice.page, "demo-agent")
    alice.ask("Show me token usage statistics")
    alice.page.wait_for_url(re.compile(r"/c/"))
    finished(alice.page)
    return {
        "home": server.url + "/",
        "conversation": alice.page.url,
        "history": server.url + "/history/",
        "usage": server.url + "/usage/",
        "settings": server.url + "/settings/",
        "login": server.url + "/accounts/login/",
    }


def broken_rules(page: Page) -> list[str]:
    """What axe-core finds, as `rule: target`."""
    page.evaluate(AXE.read_text())
    found = page.evaluate("async () => (await axe.run(document, {resultTypes: ['violations']})).violations")
    return [f"{rule['id']}: {node['target']}" for rule in found for node in rule["nodes"]]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", list(SIZES))
def test_it_is_clean_and_fits_on_every_page(people, address, shots, scheme, size):
    alice = people["alice"]
    page = alice.page
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": SIZES[size][0], "height": SIZES[size][1]})
    faults: list[str] = []
    for name in PAGES:
        if name == "login":
            page.goto("about:blank")  # an open page would ask on in her name, and be refused
            page.context.clear_cookies()
        page.goto(address[name])
        page.wait_for_selector("#main")
        page.wait_for_load_state("networkidle")
        page.screenshot(path=str(shots / f"{name}-{size}-{scheme}.png"))
        faults += [f"{name}: {rule}" for rule in broken_rules(page)]
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        if wide > 0:
            faults.append(f"{name}: {wide} px wider than the window")
    assert faults == []
    assert [e for e in alice.errors if "404" not in e] == []
    assert alice.elsewhere == []


def test_it_works_by_keyboard_alone(people):
    alice = people["alice"]
    page = alice.page
    start_with(page, "demo-agent")
    page.keyboard.press("/")
    page.keyboard.type("/help")
    page.keyboard.press("Escape")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/c/"))
    finished(page)
    page.locator("body").press("Control+k")
    expect(page.locator("dialog[open]")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("dialog[open]")).to_have_count(0)
