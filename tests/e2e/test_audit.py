"""The audit's page in a real browser: what was done is there, narrowed by its form, opened row by row."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from .conftest import SESSIONS
from .test_chat import finished, start_with
from .test_looks import SIZES, broken_rules


def test_it_tells_what_was_done_and_narrows_and_opens(people, server):
    SESSIONS.clear()  # that somebody logged in is looked for among the newest
    alice = people["alice"]
    page = alice.page
    start_with(page, "demo-agent")
    alice.ask("Show me token usage statistics")
    page.wait_for_url(re.compile(r"/c/"))
    finished(page)
    page.click("#nav a:has-text('Audit')")
    expect(page).to_have_url(re.compile(r"/audit/$"))
    answered = page.locator(".trail li", has_text="answered")
    expect(answered.first).to_be_visible()
    expect(page.locator(".trail li", has_text="logged in").first).to_be_visible()
    page.select_option("select[name=group]", "runs")
    page.click(".sieve button")
    expect(page.locator(".trail li", has_text="logged in")).to_have_count(0)
    row = answered.first  # the newest of all may be that of another test, which ended meanwhile
    row.locator("summary").focus()
    page.keyboard.press("Enter")
    expect(row.locator("pre")).to_contain_text("tokensUsed")
    expect(row.locator("dl")).to_contain_text("ai_response_completed")
    page.click("text=Clear")
    expect(page.locator(".trail li", has_text="logged in").first).to_be_visible()
    assert alice.errors == []
    assert alice.elsewhere == []


def test_it_is_not_there_for_a_member(people, server):
    page = people["bob"].page
    expect(page.locator("#nav a:has-text('Audit')")).to_have_count(0)
    answer = page.goto(server.url + "/audit/")
    assert answer is not None
    assert answer.status == 403


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", list(SIZES))
def test_it_is_clean_and_fits(people, server, shots, scheme, size):
    page = people["alice"].page
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": SIZES[size][0], "height": SIZES[size][1]})
    for name, query in (("audit", ""), ("audit-empty", "?q=nothing-like-it")):
        page.goto(f"{server.url}/audit/{query}")
        page.wait_for_selector("#main")
        if not query:
            page.locator(".trail summary").first.click()
        page.screenshot(path=str(shots / f"{name}-{size}-{scheme}.png"))
        assert broken_rules(page) == []
        assert (
            page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
        )
