"""People come and go: an invitation by link, an account made for it, a role that changes, a removal that is felt at once."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from .conftest import PASSWORD, PATIENCE_MS, live, person
from .test_approvals import CARD, begin
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


def test_nobody_is_asked_any_more_for_who_was_removed(people, server, shots):
    server.manage(*person("dora", "member"))
    alice, dora = people["alice"], people["dora"]
    begin(dora, "Create a task to review the release notes")
    alice.page.goto(dora.page.url)
    expect(alice.page.locator(CARD)).to_be_visible()
    live(alice.page)
    members = alice.context.new_page()
    members.goto(server.url + "/members/")
    row = members.locator(".members .rows li", has_text="dora").first
    row.locator("summary.btn").click()
    row.locator("summary", has_text="Remove").click()
    row.get_by_role("button", name="Remove dora").click()
    expect(members.locator(".said")).to_have_text("dora was removed.")
    expect(alice.page.get_by_text("Stopped before anybody decided").first).to_be_visible()
    expect(alice.page.locator("nexus-activity-feed")).to_contain_text("alice stopped Careful Demo")
    expect(alice.page.locator(CARD)).to_have_count(0)
    expect(alice.page.locator("nexus-message").last).to_contain_text("Stopped by you")
    expect(alice.page.locator("nexus-message").last).not_to_contain_text("The agent was told")
    alice.page.screenshot(path=str(shots / "removed-person-wide-light.png"))


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
    expect(page.locator("summary.ws")).to_contain_text("Second house")
    page.goto(server.url + "/members/")
    page.click("text=Delete this workspace")
    page.fill("#w-confirm", "Second house")
    page.screenshot(path=str(shots / "members-delete-wide-light.png"), full_page=True)
    page.get_by_role("button", name="Delete").click()
    expect(page.locator("summary.ws")).to_contain_text("Team")


def test_the_members_page_follows_what_others_do(people, browser, server, shots):
    """Joins, roles and removals are seen without a reload, and what is open stays open."""
    alice = people["alice"]
    page, elsewhere = alice.page, alice.new_page()
    for one in (page, elsewhere):
        one.goto(server.url + "/members/")
        live(one)
    elsewhere.click("text=Make link")
    link = elsewhere.locator("[data-link] input").input_value()
    page.reload()
    live(page)
    page.evaluate("window.mark = 'this very page'")
    heading, rows = page.locator("#people h2"), page.locator("#people li[data-key]")
    count, invited = rows.count(), page.locator("#pending li").count()
    rows.filter(has_text="bob").locator("summary.btn").click()
    menu = rows.filter(has_text="bob").locator(".menu").first
    expect(menu).to_be_visible()

    context = browser.new_context()
    context.set_default_timeout(PATIENCE_MS)
    door = context.new_page()
    door.goto(link)
    door.click("text=Make an account")
    door.fill("input[name=username]", "latecomer")
    door.fill("input[name=password1]", PASSWORD)
    door.fill("input[name=password2]", PASSWORD)
    door.click("main button.primary")
    door.wait_for_selector(".shell")
    expect(rows).to_have_count(count + 1)
    expect(heading).to_contain_text(f"{count + 1} people")
    expect(page.locator("#pending li")).to_have_count(invited - 1)
    expect(menu).to_be_visible()
    page.screenshot(path=str(shots / "members-live-wide-light.png"))

    elsewhere.goto(server.url + "/members/")
    row = elsewhere.locator("#people li", has_text="latecomer")
    row.locator("summary.btn").click()
    row.get_by_role("button", name="Viewer").click()
    expect(elsewhere.locator(".said")).to_have_text("latecomer is now viewer.")
    expect(rows.filter(has_text="latecomer").locator("summary.btn")).to_contain_text("Viewer")
    row.locator("summary.btn").click()
    row.locator("summary", has_text="Remove").click()
    row.get_by_role("button", name="Remove latecomer").click()
    expect(rows).to_have_count(count)
    assert page.evaluate("window.mark") == "this very page"
    elsewhere.close()
    context.close()


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
