"""No page needs what the content policy forbids: no style attribute, no inline script, nothing from elsewhere."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page

from .test_chat import finished, start_with

LISTENER = """document.addEventListener("securitypolicyviolation", (event) => {
  console.error(`policy: ${event.effectiveDirective} by ${event.sourceFile || "the page"} ${event.sample}`);
});"""
STAFF = """from workspaces.models import User
User.objects.filter(username="alice").update(is_staff=True, is_superuser=True)"""


@pytest.fixture
def refused(people) -> tuple[Page, list[str]]:
    """Alice's page, and what her browser refused on it."""
    alice = people["alice"]
    found: list[str] = []
    alice.page.add_init_script(LISTENER)
    alice.page.on(
        "console", lambda said: found.append(said.text) if said.text.startswith("policy: ") else None
    )
    return alice.page, found


def test_it_forbids_style_attributes(refused, server) -> None:
    page, found = refused
    policy = page.goto(server.url + "/").headers["content-security-policy"]
    assert "unsafe-inline" not in policy and "unsafe-eval" not in policy
    painted = "() => { document.body.setAttribute('style', 'color: red'); return document.body.style.color; }"
    with page.expect_console_message(lambda said: "policy: style-src-attr" in said.text):
        assert page.evaluate(painted) == ""
    assert found


def test_it_shows_every_page_of_the_product_under_it(people, refused, server) -> None:
    page, found = refused
    start_with(page, "demo-agent")
    people["alice"].ask("Show me token usage statistics")
    page.wait_for_url(re.compile(r"/c/"))
    finished(page)
    conversation = page.url
    for address in (
        conversation,
        *(server.url + path for path in ("/", "/history/", "/usage/", "/settings/")),
    ):
        page.goto(address)
        page.wait_for_load_state("networkidle")
    assert found == []


def test_it_shows_the_admin_and_the_api_under_it(people, refused, server) -> None:
    server.manage("shell", "-c", STAFF)
    page, found = refused
    paths = (
        "/admin/",
        "/admin/agents/agent/",
        "/admin/billing/priceversion/add/",
        "/admin/conversations/run/",
        "/api/docs",
    )
    for path in paths:
        answer = page.goto(server.url + path)
        assert answer is not None and answer.status == 200, path
        page.wait_for_load_state("load")
    assert found == []
