"""Two people write one message: both see the same words and each other's cursor; one of them sends it, once."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from .conftest import Person, live, seen
from .server import Server
from .test_chat import finished, start_with
from .test_looks import SIZES, broken_rules

BOX = "nexus-prompt-input textarea"


def both_in(alice: Person, bob: Person) -> tuple[Page, Page]:
    """A conversation of Alice's, open at both."""
    start_with(alice.page, "demo-agent")
    alice.ask("Show me token usage statistics")
    alice.page.wait_for_url(re.compile(r"/c/"))
    finished(alice.page)
    bob.page.goto(alice.page.url)
    live(bob.page)
    return alice.page, bob.page


def together(first: Page, second: Page) -> None:
    first.get_by_role("button", name="Write together").click()
    second.locator(".together").get_by_role("button", name="Join").click()
    expect(first.locator(".together")).to_contain_text("You write this message with")
    expect(second.locator(".together")).to_contain_text("You write this message with")


def test_a_button_is_pressed_also_where_somebody_comes_or_goes_meanwhile(people) -> None:
    """The line above the composer would say something else then, with another button under the finger."""
    page, other = both_in(people["alice"], people["bob"])
    line = other.locator(".together")
    page.get_by_role("button", name="Write together").click()
    expect(line).to_contain_text("alice writes a message here")
    line.get_by_role("button", name="Join").hover()
    other.mouse.down()
    page.locator(".together").get_by_role("button", name="Leave").click()
    page.locator(BOX).press_sequentially("By myself")
    expect(other.locator("[data-typing]")).to_contain_text(
        "alice is typing"
    )  # so that is known there as well
    other.mouse.up()
    expect(line).to_contain_text("Everyone here can read and join this message")


def test_two_people_write_one_message_and_one_sends_it(server: Server, people, shots: Path) -> None:
    alice, bob = people["alice"], people["bob"]
    page, other = both_in(alice, bob)
    other.locator(BOX).fill("a thought of my own")
    page.locator(BOX).fill("Show the plan for the offsite in June")
    together(page, other)
    expect(other.locator(BOX)).to_have_value("Show the plan for the offsite in June")
    # Both write at once, at different ends.
    page.locator(BOX).press("End")
    other.locator(BOX).press("Home")
    page.locator(BOX).press_sequentially(", with costs 😀", delay=25)
    other.locator(BOX).press_sequentially("Please: ", delay=25)
    page.locator(BOX).press_sequentially(", by person.", delay=25)
    whole = "Please: Show the plan for the offsite in June, with costs 😀, by person."
    for one in (page, other):
        expect(one.locator(BOX)).to_have_value(whole)
        expect(one.locator(".carets .caret")).to_have_count(1)
    seen(  # a name stands there for three seconds after its caret moved
        lambda: other.locator(BOX).press("ArrowLeft"),
        lambda: expect(page.locator(".carets .caret b")).to_have_text("bob", timeout=3_000),
    )
    # What somebody selects is seen, at its place.
    other.locator(BOX).evaluate("(field) => { field.focus(); field.setSelectionRange(17, 21); }")
    expect(page.locator(".carets .tint")).to_have_count(1)
    page.screenshot(path=shots / "together-light.png")
    page.emulate_media(color_scheme="dark")
    page.screenshot(path=shots / "together-dark.png")
    page.emulate_media(color_scheme="light")
    assert broken_rules(page) == []

    # A reload brings the draft back: it is the conversation's, not the page's.
    page.reload()
    live(page)
    expect(page.locator(".together")).to_contain_text("bob writes a message here")
    page.screenshot(path=shots / "together-join-light.png")
    page.get_by_role("button", name="Join").click()
    expect(page.locator(BOX)).to_have_value(whole)
    page.locator(BOX).press("Enter")
    for one in (page, other):
        expect(one.locator("nexus-message[from=user]", has_text=whole)).to_have_count(1)
        expect(one.locator(".together")).to_be_hidden()
    expect(other.locator("nexus-toast", has_text="alice sent the message")).to_be_visible()
    expect(page.locator(BOX)).to_have_value("")
    # One's own draft waited meanwhile.
    expect(other.locator(BOX)).to_have_value("a thought of my own")
    other.locator(BOX).fill("")
    assert [e for e in (*alice.errors, *bob.errors) if "404" not in e] == []


def test_nobody_sees_a_draft_that_was_not_given_away(server: Server, people) -> None:
    page, other = both_in(people["alice"], people["bob"])
    frames: list[str] = []
    other.on("websocket", lambda socket: socket.on("framereceived", lambda text: frames.append(str(text))))
    other.reload()
    live(other)
    seen(
        lambda: page.locator(BOX).press_sequentially("canary of mine", delay=10),
        lambda: expect(other.locator("[data-typing]")).to_contain_text("alice is typing", timeout=4_000),
    )
    assert not [one for one in frames if "canary" in one or "selection" in one]
    page.locator(BOX).fill("")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_on_a_phone(server: Server, people, shots: Path, scheme: str) -> None:
    page, other = both_in(people["alice"], people["bob"])
    page.set_viewport_size({"width": SIZES["phone"][0], "height": SIZES["phone"][1]})
    page.emulate_media(color_scheme=scheme)
    page.screenshot(path=shots / f"together-button-phone-{scheme}.png")
    page.locator(BOX).fill("Show the plan for the offsite in June, with the costs for each person")
    together(page, other)
    other.locator(BOX).press("End")
    other.locator(BOX).press_sequentially(".", delay=10)
    expect(page.locator(".carets .caret")).to_have_count(1)
    page.screenshot(path=shots / f"together-phone-{scheme}.png")
    assert broken_rules(page) == []
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
    page.get_by_role("button", name="Discard").click()
    expect(page.locator(".together")).to_be_hidden()
    expect(other.locator("nexus-toast", has_text="discarded the draft")).to_be_visible()
