"""A person asks, everyone who watches reads the same, and nothing is lost on reload."""

from __future__ import annotations

import re

from playwright.sync_api import Page, TimeoutError, expect

from .conftest import live

ANSWER = "nexus-message[from=assistant]"
LOCAL = 120_000
"""How long one waits for the model on this machine, which is loaded first, ms."""


def start_with(page: Page, agent: str) -> None:
    page.goto(page.url.split("/", 3)[0] + "//" + page.url.split("/", 3)[2] + f"/?agent={agent}")
    page.wait_for_selector("nexus-prompt-input textarea")


def finished(page: Page, count: int = 1) -> None:
    """The count-th answer has ended: how long it took stands beside it (and its tokens, where it took any)."""
    expect(page.locator(f"{ANSWER} nexus-token-counter")).to_have_count(count, timeout=LOCAL)
    expect(page.locator(f"{ANSWER} nexus-token-counter").last).to_contain_text(re.compile(r"[\d.]+ (s|min)"))


def test_it_answers_with_the_local_model_without_a_key(people):
    alice = people["alice"]
    start_with(alice.page, "local-assistant")
    alice.ask("Say hello in one short sentence.")
    alice.page.wait_for_url(re.compile(r"/c/[0-9a-f-]{36}/"))
    finished(alice.page)
    expect(alice.page.locator(f"{ANSWER} nexus-response")).to_have_text(re.compile(r"\S"))
    assert alice.elsewhere == []


def test_it_shows_a_real_tool_call_of_the_demo_agent(people):
    alice = people["alice"]
    start_with(alice.page, "demo-agent")
    alice.ask("Show me token usage statistics")
    finished(alice.page)
    # Both tools that the rules find run side by side: which begins first is open.
    call = alice.page.locator("nexus-tool-call", has_text="get_token_usage")
    expect(call).to_have_attribute("status", "COMPLETED")
    call.locator("summary").click()
    expect(call).to_contain_text("totalTokens")


def test_it_loses_and_doubles_nothing_when_the_page_is_reloaded_mid_stream(people):
    alice = people["alice"]
    start_with(alice.page, "local-assistant")
    alice.ask("Write a long story about a lighthouse, with many details.")
    alice.page.wait_for_url(re.compile(r"/c/"))
    alice.page.wait_for_selector(f"{ANSWER} nexus-response:not(:empty)", timeout=LOCAL)
    alice.page.reload()
    finished(alice.page)
    shown = alice.page.locator(f"{ANSWER} nexus-response").last.inner_text()
    alice.page.reload()
    finished(alice.page)
    expect(alice.page.locator(ANSWER)).to_have_count(1)
    expect(alice.page.locator(f"{ANSWER} nexus-response").last).to_have_text(shown, use_inner_text=True)


def test_it_goes_on_when_the_tab_is_closed(people):
    alice = people["alice"]
    start_with(alice.page, "demo-agent")
    alice.ask("What's my session activity?")
    alice.page.wait_for_url(re.compile(r"/c/"))
    address = alice.page.url
    alice.page.close()
    alice.page = alice.new_page()
    alice.page.goto(address)
    finished(alice.page)


def test_it_shows_two_people_the_same_stream_and_each_other(people):
    alice, bob = people["alice"], people["bob"]
    start_with(alice.page, "demo-agent")
    alice.ask("How are my data metrics for the week?")
    alice.page.wait_for_url(re.compile(r"/c/"))
    bob.page.goto(alice.page.url)
    expect(alice.page.locator("#rail nexus-presence")).to_contain_text("bob")
    expect(bob.page.locator("#rail nexus-presence")).to_contain_text("alice")
    finished(alice.page)
    finished(bob.page)
    live(bob.page)
    alice.ask("What's my session activity?")
    finished(alice.page, 2)
    finished(bob.page, 2)
    mine = alice.page.locator(f"{ANSWER} nexus-response").all_inner_texts()
    expect(bob.page.locator(f"{ANSWER} nexus-response")).to_have_text(mine, use_inner_text=True)
    assert mine[0].strip() and mine[1].strip()


def test_it_stops_and_keeps_what_was_written(people):
    alice = people["alice"]
    for _ in range(6):  # an answer may be over before a slow machine comes to stop it: then another one
        start_with(alice.page, "local-assistant")
        alice.ask("Write a long story about a lighthouse, with many details.")
        alice.page.wait_for_url(re.compile(r"/c/"))
        alice.page.wait_for_selector(f"{ANSWER} nexus-response:not(:empty)", timeout=LOCAL)
        try:
            alice.page.locator("nexus-prompt-input button.send.stop").click(timeout=3_000)
        except TimeoutError:
            continue
        break
    expect(alice.page.locator(ANSWER).last).to_contain_text("Stopped by you")
    kept = alice.page.locator(f"{ANSWER} nexus-response").last.inner_text().strip()
    assert kept
    alice.page.reload()
    live(alice.page)
    expect(alice.page.locator(f"{ANSWER} nexus-response").last).to_have_text(kept, use_inner_text=True)


def test_it_says_what_to_do_when_a_provider_has_no_key(people):
    alice = people["alice"]
    start_with(alice.page, "demo-agent")
    alice.ask("/help")
    alice.page.wait_for_url(re.compile(r"/c/"))
    finished(alice.page)
    expect(alice.page.locator(ANSWER).last).to_contain_text("/search")


def test_it_lets_a_viewer_read_but_not_write(people):
    alice, vera = people["alice"], people["vera"]
    start_with(alice.page, "demo-agent")
    alice.ask("/help")
    alice.page.wait_for_url(re.compile(r"/c/"))
    finished(alice.page)
    vera.page.goto(alice.page.url)
    finished(vera.page)
    box = vera.page.locator("nexus-prompt-input textarea")
    expect(box).to_be_disabled()
