"""Two people and one answer: the second tells the agent something while it works; control is taken and handed over."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import expect

from .server import Server
from .test_approvals import CARD, begin, shot


def test_it_is_told_something_while_it_works_and_control_is_handed_over(
    server: Server, people, shots: Path
) -> None:
    alice, bob = people["alice"], people["bob"]
    page = begin(alice, "Create a task to plan the offsite")
    bob.page.goto(page.url)
    expect(bob.page.locator(CARD)).to_be_visible()
    box = bob.page.locator("nexus-prompt-input textarea")
    box.fill("Search messages for offsite")
    box.press("Control+Enter")
    for reader in (page, bob.page):
        expect(reader.locator(".conduct .told")).to_contain_text("Search messages for offsite")
    shot(page, shots, "steered-light")

    take = page.get_by_role("button", name="Take control of Careful Demo")
    take.click()
    expect(page.locator(".conduct .control")).to_contain_text("You control Careful Demo")
    expect(bob.page.locator(".conduct .control")).to_contain_text("alice controls Careful Demo")
    bob.page.get_by_role("button", name="Ask for control").click()
    wanted = page.locator("nexus-toast", has_text="bob asks for control")
    expect(wanted).to_be_visible()
    shot(page, shots, "control-wanted")
    wanted.get_by_role("button", name="Hand over").click()
    expect(bob.page.locator(".conduct .control")).to_contain_text("You control Careful Demo")

    page.locator(CARD).get_by_role("button", name="Allow once").click()
    said = page.locator("nexus-message[from=user]", has_text="Search messages for offsite")
    expect(said).to_be_visible()
    expect(page.locator(".conduct .told")).to_have_count(0)
    expect(page.locator('nexus-message[from=assistant] nexus-tool-call[status="COMPLETED"]')).to_have_count(2)
    shot(bob.page, shots, "steered-done")
