"""The “Try it” panel of an agent's admin page, in a real browser against a real server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

STAFF = """
from workspaces.models import User
User.objects.filter(username="alice").update(is_staff=True, is_superuser=True)
"""


@pytest.fixture
def admin(server: Any, people: Any) -> Iterator[Callable[[str], Page]]:
    """Alice on the page of an agent."""
    server.manage("shell", "-c", STAFF)
    alice = people["alice"]

    def open_agent(name: str) -> Page:
        page: Page = alice.page
        page.goto(f"{server.url}/admin/agents/agent/?q={name.replace(' ', '+')}")
        page.get_by_role("row").filter(has_text="Team").get_by_role("link", name=name).click()
        expect(page.get_by_role("heading", name="Try it")).to_be_visible()
        return page

    yield open_agent
    assert [error for error in alice.errors if "favicon" not in error] == []
    assert alice.elsewhere == []


def test_it_runs_the_agent_and_shows_everything(admin: Callable[[str], Page], shots: Any) -> None:
    page = admin("Demo Agent")
    panel = page.locator("#try-it")
    panel.locator("textarea").fill("Show me token usage statistics")
    panel.get_by_role("button", name="Run").click()
    expect(panel.get_by_role("status")).to_have_text("Done.")
    call = panel.locator("li[data-tool]", has_text="get_token_usage").first
    expect(call).to_contain_text("Tool: get_token_usage (COMPLETED")
    call.locator("summary").click()
    expect(call.locator("pre")).to_contain_text('"totalTokens"')
    expect(panel.locator("[data-try=text]")).not_to_be_empty()
    expect(panel.locator("[data-try=numbers]")).to_contain_text("tokens")
    expect(panel.locator("[data-try=numbers]")).to_contain_text("$0")
    expect(panel.get_by_role("button", name="Stop")).to_be_disabled()
    panel.scroll_into_view_if_needed()
    page.screenshot(path=str(shots / "admin-try-it.png"))
    page.evaluate("window.scrollTo(0, 0)")
    page.screenshot(path=str(shots / "admin-agent.png"), full_page=True)


def test_it_says_what_is_missing(admin: Callable[[str], Page]) -> None:
    page = admin("Claude Sonnet")
    panel = page.locator("#try-it")
    panel.get_by_role("button", name="Run").click()
    expect(panel.get_by_role("status")).to_contain_text("ANTHROPIC_API_KEY")
    expect(panel.get_by_role("button", name="Run")).to_be_enabled()


def test_the_list_and_the_other_pages_open(admin: Callable[[str], Page], server: Any, shots: Any) -> None:
    page = admin("Demo Agent")
    pages = (
        "agents/agent",
        "agents/providerendpoint",
        "agents/newsfeed",
        "billing/priceversion",
        "billing/attempt",
    )
    for path in pages:
        page.goto(f"{server.url}/admin/{path}/")
        expect(page.locator("#changelist, #content")).not_to_have_count(0)
        page.screenshot(path=str(shots / f"admin-{path.replace('/', '-')}.png"))
    page.goto(f"{server.url}/admin/billing/priceversion/add/")
    expect(page.get_by_text("US dollars per million tokens")).to_be_visible()
    page.screenshot(path=str(shots / "admin-price-add.png"))
