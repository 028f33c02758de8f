"""Trying again: an answer that failed, a call that failed; and how a long run's progress and a full window look."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from .conftest import live
from .test_actions import QUESTION
from .test_chat import ANSWER, finished
from .test_looks import broken_rules

FAILED = """
from django.utils import timezone
from agents.models import Agent
from conversations.models import Conversation, Message, Run
from workspaces.models import User, Workspace
w = Workspace.objects.get(slug="team")
u = User.objects.get(username="alice")
c = Conversation.objects.create(workspace=w, created_by=u, title="What failed", agent_slug="demo-agent", message_count=2)
at = timezone.now()
text = "Show me token usage statistics"
q = Message.objects.create(conversation=c, number=1, role="user", author=u, content=text, parts=[{"type": "text", "text": text}], created_at=at)
r = Run.objects.create(workspace=w, conversation=c, agent=Agent.objects.get(workspace=w, slug="demo-agent"), agent_slug="demo-agent", message=q, requested_by=u, status=STATUS, provider="scripted", model="rules", error_code=CODE, error_message="The provider is overloaded." if CODE else "", tokens_input=100, tokens_output=50, created_at=at, started_at=at, finished_at=at)
call = {"type": "tool_call", "toolId": "00000000-0000-4000-8000-000000000001", "toolName": "get_token_usage", "input": {"timeRange": "week"}, "status": "FAILED", "error": "No answer within 5 s", "durationMs": 5000}
Message.objects.create(id=r.answer_id, conversation=c, parent=q, number=2, role="assistant", content="I could not read it.", parts=[call, {"type": "text", "text": "I could not read it."}], agent_slug="demo-agent", run_id=r.pk, created_at=at)
print("made", c.pk)
"""


@pytest.fixture
def broken(server):
    """`broken("failed")` is the address of a conversation whose answer ended so, with a call that failed."""

    def make(status: str) -> str:
        code = "provider_overloaded" if status == "failed" else ""
        script = FAILED.replace("STATUS", repr(status)).replace("CODE", repr(code))
        return f"{server.url}/c/{re.search('made (.+)', server.manage('shell', '-v0', stdin=script))[1].strip()}/"

    return make


def opened(page: Page, address: str) -> Page:
    page.goto(address)
    live(page)
    return page


def test_it_tries_an_answer_again_that_failed(people, broken):
    page = opened(people["alice"].page, broken("failed"))
    expect(page.locator(".end")).to_contain_text("The provider is overloaded.")
    page.locator(".end").get_by_role("button", name="Try again").click()
    expect(page.locator(".branches")).to_contain_text("2 / 2")
    expect(page.locator(f"{ANSWER} .end")).to_have_count(0)
    finished(page)
    assert people["alice"].errors == []


def test_it_goes_on_with_an_answer_that_failed(people, broken):
    page = opened(people["alice"].page, broken("failed"))
    page.locator(".end").get_by_role("button", name="Continue").click()
    expect(page.locator(ANSWER)).not_to_contain_text("overloaded")
    finished(page)
    expect(page.locator(ANSWER)).to_have_count(1)
    expect(page.locator(".branches")).to_have_count(0)


def test_it_asks_for_a_failed_call_again(people, broken):
    page = opened(people["alice"].page, broken("complete"))
    row = page.locator("nexus-tool-call")
    expect(row).to_contain_text("No answer within 5 s. The agent was told.")
    row.get_by_role("button", name="Try again").click()
    expect(page.locator(QUESTION).last).to_contain_text("Try get_token_usage again.")
    finished(page, 2)
    expect(page.locator("nexus-tool-call").first.get_by_role("button", name="Try again")).to_have_count(0)


def test_it_offers_a_viewer_nothing_to_try(people, broken):
    address = broken("failed")
    page = opened(people["vera"].page, address)
    expect(page.locator(".end")).to_contain_text("The provider is overloaded.")
    expect(page.get_by_role("button", name=re.compile("Try again|Continue"))).to_have_count(0)


PROGRESS = """(progress) => {
  const message = document.querySelector('nexus-message[from=assistant]');
  delete message.view;
  const {view} = message;
  message.view = {...view, entry: {...view.entry, run: {...view.entry.run, status: 'running', progress, items: [{kind: 'text', text: 'Half', marks: [], startedAt: 0, endedAt: null}]}}};
  Object.defineProperty(message, 'view', {value: message.view, writable: true, configurable: true});
}"""
# The page draws at any change of its own (somebody joins): what is put in here has to outlast that.
WINDOW = """(used) => {
  const input = document.querySelector('nexus-prompt-input');
  delete input.usage;
  input.usage = {tokenUsage: {total: 120000}, cost: {total: '0.4'}, context: {used, window: 128000}};
  Object.defineProperty(input, 'usage', {value: null, writable: true, configurable: true});
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_shows_progress_and_how_full_the_window_is(people, broken, shots, scheme):
    page = people["alice"].page
    page.emulate_media(color_scheme=scheme)
    opened(page, broken("failed"))
    page.evaluate(
        PROGRESS, {"currentStep": 3, "totalSteps": 8, "percentage": 34, "estimatedTimeRemaining": 130}
    )
    bar = page.get_by_role("progressbar", name="How far the run is")
    expect(bar).to_have_attribute("aria-valuenow", "34")
    expect(page.locator(".prog")).to_contain_text("3 of 8 steps · about 2 min left")
    ring = page.locator("nexus-prompt-input .context")
    page.evaluate(WINDOW, 23_040)
    expect(ring).to_have_attribute("title", re.compile(r"^18 % of context: 23.040 of 128.000 tokens\.$"))
    expect(ring).not_to_contain_text("%")
    page.evaluate(WINDOW, 110_000)
    expect(ring).to_contain_text("86 % of context")
    page.screenshot(path=str(shots / f"progress-{scheme}.png"))
    assert broken_rules(page) == []
    page.evaluate(PROGRESS, {"currentStep": 1, "tokensUsed": 100})
    expect(page.locator(".prog")).to_have_count(0)
