"""The short words at the edge: how long they stay, and that they lie on nothing one writes with."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from .test_chat import finished, start_with
from .test_looks import broken_rules

SIZES = {"wide": (1440, 900), "narrow": (1024, 768), "phone": (390, 844)}

OVERLAP = """() => {
  const toasts = [...document.querySelectorAll("nexus-toast")].map((toast) => toast.getBoundingClientRect());
  const writing = document.querySelector("nexus-prompt-input").getBoundingClientRect();
  return toasts.filter((toast) => toast.right > writing.left && toast.left < writing.right
    && toast.bottom > writing.top && toast.top < writing.bottom).length;
}"""


def begin(people) -> Page:
    alice = people["alice"]
    start_with(alice.page, "demo-agent")
    alice.ask("/help")
    alice.page.wait_for_url(re.compile(r"/c/"))
    finished(alice.page)
    return alice.page


def say(page: Page, action: str) -> None:
    page.locator("[data-conversation-menu] summary").click()
    page.locator(f"[data-action={action}]").click()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", list(SIZES))
def test_it_lies_on_nothing_one_writes_with(people, shots, size, scheme):
    page = begin(people)
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": SIZES[size][0], "height": SIZES[size][1]})
    toasts = page.locator("nexus-toast")
    for shown in (1, 2):
        say(page, "archive")
        expect(toasts).to_have_count(shown)
        toasts.first.hover()
    page.screenshot(path=str(shots / f"toasts-{size}-{scheme}.png"))
    assert page.evaluate(OVERLAP) == 0
    page.locator("nexus-prompt-input textarea").fill("\n".join("one line" for _ in range(9)))
    toasts.last.hover()
    page.wait_for_function(f"({OVERLAP})() === 0")
    assert broken_rules(page) == []
    if size == "wide":
        page.locator("nexus-prompt-input textarea").fill("")
        toasts.last.hover()
        page.evaluate("document.activeElement.blur()")
        page.keyboard.press("]")
        expect(page.locator("#rail")).to_be_hidden()
        page.screenshot(path=str(shots / f"toasts-no-rail-{scheme}.png"))
        assert page.evaluate(OVERLAP) == 0


def test_it_goes_after_six_seconds_and_waits_for_who_looks_at_it(people):
    page = begin(people)
    page.clock.install()
    page.reload()
    finished(page)
    page.evaluate("() => { window.__sixSeconds = true; }")
    toast = page.locator("nexus-toast")
    say(page, "archive")
    toast.hover()
    # From here on no time passes but what is said below.
    page.clock.pause_at(page.evaluate("() => Date.now()") + 1_000)
    page.clock.run_for(30_000)
    expect(toast).to_have_count(1)
    toast.get_by_role("button", name="Undo").focus()
    page.mouse.move(400, 400)
    page.clock.run_for(30_000)
    expect(toast).to_have_count(1)
    page.locator("nexus-prompt-input textarea").focus()
    page.clock.run_for(5_500)
    expect(toast).to_have_count(1)
    page.clock.run_for(600)
    expect(toast).to_have_count(0)
