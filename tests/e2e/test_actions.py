"""What a person does with a conversation: other versions, titles, the archive, deletion and its way back, search."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from .test_chat import ANSWER, finished, start_with

QUESTION = "nexus-message[from=user]"


def begin(alice, text: str = "What's my session activity?") -> Page:
    start_with(alice.page, "demo-agent")
    alice.ask(text)
    alice.page.wait_for_url(re.compile(r"/c/"))
    finished(alice.page)
    return alice.page


def test_it_answers_again_and_switches_between_the_versions(people):
    page = begin(people["alice"])
    page.locator(ANSWER).locator("[data-act=regenerate]").click()
    expect(page.locator(".branches")).to_contain_text("2 / 2")
    expect(page.locator(ANSWER)).to_have_count(1)
    page.get_by_label("Earlier version").click()
    expect(page.locator(".branches")).to_contain_text("1 / 2")


def test_it_sends_an_edited_message_as_a_new_version_and_writes_on_in_the_old_one(people):
    alice = people["alice"]
    page = begin(alice)
    page.locator(QUESTION).hover()
    page.locator(QUESTION).locator("[data-act=edit]").click()
    page.locator(".editor textarea").fill("How are my data metrics for the week?")
    page.keyboard.press("Enter")
    expect(page.locator(QUESTION)).to_contain_text("How are my data metrics")
    finished(page)
    page.locator(QUESTION).get_by_label("Earlier version").click()
    expect(page.locator(QUESTION)).to_contain_text("What's my session activity?")
    alice.ask("/help")
    expect(page.locator(QUESTION)).to_have_count(2)
    finished(page, 2)
    page.reload()
    expect(page.locator(QUESTION).first).to_contain_text("What's my session activity?")
    expect(page.locator(QUESTION).last).to_contain_text("/help")


def test_it_keeps_each_answer_at_its_question_when_the_next_one_is_queued(people):
    alice = people["alice"]
    page = begin(alice, "/help")
    alice.ask("Show me token usage statistics")
    expect(page.locator(ANSWER)).to_have_count(2)  # goes on still, unless the machine is very slow
    alice.ask("What's my session activity?")
    finished(page, 3)
    expect(page.locator(f"{ANSWER}[live]")).to_have_count(0)
    roles = "() => [...document.querySelectorAll('nexus-message')].map((m) => m.getAttribute('from'))"
    assert page.evaluate(roles) == ["user", "assistant"] * 3
    page.reload()
    finished(page, 3)
    assert page.evaluate(roles) == ["user", "assistant"] * 3


def test_it_renames_pins_archives_and_deletes_with_a_way_back(people):
    page = begin(people["alice"], "/help")
    address = page.url
    page.locator("h1[data-title]").click()
    page.keyboard.type("A title of mine")
    page.keyboard.press("Enter")
    row = page.locator(".cv[aria-current]")
    expect(row).to_contain_text("A title of mine")
    for action, seen in (("pin", "Pinned"), ("archive", "Archived")):
        page.locator("[data-conversation-menu] summary").click()
        page.locator(f"[data-action={action}]").click()
        expect(page.locator("#nav .grp, nexus-toast").filter(has_text=seen).first).to_be_visible()
    page.locator("nexus-toast").get_by_role("button", name="Undo").click()
    expect(row).to_contain_text("A title of mine")
    page.locator("[data-conversation-menu] summary").click()
    page.locator("[data-action=delete]").click()
    expect(page.locator("nexus-toast")).to_contain_text("Deleted")
    page.locator("nexus-toast").get_by_role("button", name="Undo").click()
    page.wait_for_url(address)
    expect(page.locator("h1[data-title]")).to_have_text("A title of mine")


def test_it_finds_messages_and_commands_in_the_palette(people):
    page = begin(people["alice"], "Show me token usage statistics")
    page.keyboard.press("Control+k")
    page.keyboard.type("token usage")
    expect(page.locator("dialog.palette [role=option]").filter(has_text="token usage").first).to_be_visible()
    page.locator("dialog.palette input").fill("Usage")
    expect(page.locator("dialog.palette [role=option]").filter(has_text="G U")).to_contain_text("Usage")
    page.keyboard.press("Escape")
    expect(page.locator("dialog.palette")).to_have_count(0)


def test_it_stays_where_the_reader_is_while_an_answer_grows(people):
    alice = people["alice"]
    page = begin(alice, "Show me token usage statistics")
    alice.ask("What's my session activity?")
    expect(page.locator(f"{ANSWER} nexus-response")).to_have_count(2)
    page.evaluate(
        """async () => {
          document.querySelector("nexus-conversation").scrollTop = -300;
          // the scroll event comes before the next frame is drawn
          for (let frame = 0; frame < 2; frame += 1) await new Promise(requestAnimationFrame);
        }"""
    )
    place = "() => Math.round(document.querySelector('nexus-message h2').getBoundingClientRect().top)"
    before = page.evaluate(place)
    finished(page, 2)
    page.wait_for_function(f"(before) => Math.abs(({place})() - before) <= 1", arg=before)
    page.locator(".jump").click()
    page.wait_for_function("() => Math.abs(document.querySelector('nexus-conversation').scrollTop) < 2")
