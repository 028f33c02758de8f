"""What the composer offers while one writes, and what it keeps."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from .test_chat import finished, start_with


def test_it_offers_commands_that_come_after_one_began_to_write(people):
    page = people["alice"].page
    held, all_pass = [], False

    def hold(route):
        # The page that one came from may ask as well, on its way out.
        route.continue_() if all_pass else held.append(route)

    page.route("**/api/commands", hold)
    start_with(page, "demo-agent")
    box = page.locator("nexus-prompt-input textarea")
    options = page.locator("nexus-prompt-input [role=option]")
    box.click()
    page.keyboard.type("/he")
    expect(box).to_have_value("/he")
    expect(options).to_have_count(0)
    while not held:
        page.wait_for_timeout(20)
    all_pass = True
    for route in held:
        route.continue_()
    expect(options).to_have_text([re.compile("/help")])


def test_it_offers_commands_agents_and_the_picker_and_keeps_a_draft(people):
    page = people["alice"].page
    start_with(page, "demo-agent")
    box = page.locator("nexus-prompt-input textarea")
    options = page.locator("nexus-prompt-input [role=option]")
    box.click()
    page.keyboard.type("/he")
    expect(options).to_have_count(1)
    expect(box).to_have_attribute("aria-activedescendant", re.compile("menu-"))
    page.keyboard.press("Escape")
    expect(options).to_have_count(0)
    box.fill("")
    page.keyboard.type("Ask @demo")
    expect(options.filter(has_text="Demo Agent")).to_be_visible()
    page.keyboard.press("Enter")
    expect(box).to_have_value(re.compile(r"^Ask @\S.* $"))
    expect(options).to_have_count(0)
    box.fill("")
    page.keyboard.type("/hel")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/c/"))
    finished(page)
    box.fill("Half a thought")
    page.reload()
    expect(box).to_have_value("Half a thought")
    picker = page.locator("nexus-prompt-input .pick")
    picker.click()
    expect(picker).to_have_attribute("aria-expanded", "true")
    options.filter(has_text="Careful Demo").click()
    expect(picker).to_contain_text("Careful Demo")
    expect(picker).to_have_attribute("aria-expanded", "false")
