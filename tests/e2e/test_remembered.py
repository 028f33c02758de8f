"""What is allowed for good is listed in Settings, and taken back there."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from .server import Server
from .test_approvals import CARD, begin
from .test_looks import SIZES, broken_rules


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_remembered_yes_is_listed_and_taken_back(server: Server, people, shots: Path, scheme: str) -> None:
    page = begin(people["alice"], "Create a task to book the train")
    page.locator(CARD).get_by_role("button", name="Always allow").first.click()
    expect(page.locator(CARD)).to_have_count(0)
    page.goto(server.url + "/settings/#approvals")
    page.emulate_media(color_scheme=scheme)
    row = page.locator("[data-standing]")
    expect(row).to_contain_text("Careful Demo may run create_task")
    for size, (width, height) in SIZES.items():
        page.set_viewport_size({"width": width, "height": height})
        page.locator("#approvals").scroll_into_view_if_needed()
        page.screenshot(path=shots / f"remembered-{size}-{scheme}.png")
        assert broken_rules(page) == []
        assert (
            page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
        )
    row.get_by_role("button", name="Take back").click()
    page.get_by_role("button", name="Ask again").click()
    expect(row).to_have_count(0)
    expect(page.locator("[data-no-standing]")).to_be_visible()
    begin(people["alice"], "Create a task to book the hotel")
    people["alice"].page.locator(CARD).get_by_role("button", name="Deny").first.click()
