"""People come and go: an invitation by link, an account made for it, a role that changes, a removal that is felt at once."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from .conftest import PASSWORD, PATIENCE_MS, live
from .test_looks import SIZES, broken_rules


def test_a_stranger_comes_by_a_link_and_is_removed_at_once(people, browser, server, shots):
    alice = people["alice"]
    alice.page.goto(server.url + "/members/")
    alice.page.click("text=Make link")
    link = alice.page.locator("[data-link] input").input_value()
    assert link.startswith(server.url + "/join/")
    alice.page.click("[data-copy]")

    context = browser.new_context(viewport={"width": 1440, "height": 900})
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    page.goto(link)
    assert page.url == server.url + "/join/"
    expect(page.locator("h1")).to_have_text("Join Team")
    assert broken_rules(page) == []
    page.screenshot(path=str(shots / "join-wide-light.png"))
    page.click("text=Make an account")
    page.fill("input[name=username]", "stefan")
    page.fill("input[name=password1]", PASSWORD)
    page.fill("input[name=password2]", PASSWORD)
    page.screenshot(path=str(shots / "join-signup-wide-light.png"))
    page.click("main button.primary")
    page.wait_for_selector(".shell")
    expect(page.locator("summary.ws")).to_contain_text("Team")
    live(page)

    alice.page.goto(server.url + "/members/")
    row = alice.page.locator(".members .rows li", has_text="stefan").first
    row.locator("summary.btn").click()
    row.get_by_role("button", name="Viewer").click()
    expect(alice.page.locator(".said")).to_have_text("stefan is now viewer.")
    row.locator("summary.btn").click()
    row.locator("summary", has_text="Remove").click()
    alice.page.screenshot(path=str(shots / "members-remove-wide-light.png"))
    row.get_by_role("button", name="Remove stefan").click()
    expect(alice.page.locator(".said")).to_have_text("stefan was removed.")
    # The open page is told, without a reload.
    expect(page.get_by_text("You may not see this any more")).to_be_visible()
    page.goto(server.url + "/")
    expect(page.locator("h1")).to_have_text("You are in no workspace yet")
    context.close()


def test_it_makes_switches_and_deletes_a_workspace_by_the_menu(people, server, shots):
    page = people["alice"].page
    page.goto(server.url + "/")
    page.click("summary.ws")
    page.screenshot(path=str(shots / "workspace-menu-wide-light.png"))
    page.get_by_role("menuitem", name="New workspace").click()
    page.fill("#w-name", "Second house")
    page.click("main button.primary")
    expect(page.locator("summary.ws")).to_contain_text("Second house")
    page.click("summary.ws")
    page.get_by_role("menuitem", name="Team").click()
    expect(page.locator("summary.ws")).to_contain_text("Team")
    page.click("summary.ws")
    page.get_by_role("menuitem", name="Second house").click()
    page.goto(server.url + "/members/")
    page.click("text=Delete this workspace")
    page.fill("#w-confirm", "Second house")
    page.screenshot(path=str(shots / "members-delete-wide-light.png"), full_page=True)
    page.get_by_role("button", name="Delete").click()
    expect(page.locator("summary.ws")).to_contain_text("Team")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", list(SIZES))
def test_the_members_page_fits_and_is_clean_with_its_menus_open(people, server, shots, scheme, size):
    page = people["alice"].page
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": SIZES[size][0], "height": SIZES[size][1]})
    page.goto(server.url + "/members/")
    page.click("text=Make link")
    page.wait_for_selector("[data-link]")
    page.screenshot(path=str(shots / f"members-{size}-{scheme}.png"))
    page.click("text=What the roles may do")
    page.locator("summary.btn").first.click()
    page.screenshot(path=str(shots / f"members-menu-{size}-{scheme}.png"))
    assert broken_rules(page) == []
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
    page.locator("#workspace").scroll_into_view_if_needed()
    page.screenshot(path=str(shots / f"members-end-{size}-{scheme}.png"))
    assert re.search(r"/members/$", page.url)
