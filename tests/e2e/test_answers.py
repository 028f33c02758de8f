"""What a person does with an answer: calls it good or poor, forks from it, lets it go on, reads back what stood before it."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from .conftest import live
from .sockets import break_link, watch
from .test_actions import QUESTION, begin
from .test_chat import ANSWER, LOCAL, finished, start_with
from .test_looks import broken_rules

LONG = """
from datetime import timedelta
from django.utils import timezone
from conversations.models import Conversation, Message, Run
from workspaces.models import User, Workspace
w = Workspace.objects.get(slug="team")
u = User.objects.get(username="alice")
c = Conversation.objects.create(workspace=w, created_by=u, title="A long one", agent_slug="demo-agent", message_count=300)
parent = None
for n in range(150):
    at = timezone.now() - timedelta(days=1) + timedelta(seconds=n)
    q = Message.objects.create(conversation=c, parent=parent, number=2 * n + 1, role="user", author=u, content=f"Question {n}", parts=[{"type": "text", "text": f"Question {n}"}], created_at=at)
    text = f"Answer {n}. " + "The numbers of the week hold, and they will hold next week too. " * 8
    r = Run.objects.create(workspace=w, conversation=c, agent_slug="demo-agent", message=q, requested_by=u, status="complete", provider="scripted", model="rules", stop_reason="end", tokens_input=100, tokens_output=50, created_at=at, started_at=at, finished_at=at)
    parent = Message.objects.create(id=r.answer_id, conversation=c, parent=q, number=2 * n + 2, role="assistant", content=text, parts=[{"type": "text", "text": text}], agent_slug="demo-agent", run_id=r.pk, created_at=at)
print("made", c.pk)
"""

MAKE_AGENT = """async ([id, maxTokens]) => {
  const {model} = await (await fetch('/api/agents/local-assistant')).json();
  const csrf = document.querySelector('input[name=csrfmiddlewaretoken]').value;
  const body = JSON.stringify({id, name: 'Short Writer', provider: 'local', model, maxTokens});
  const headers = {'X-CSRFToken': csrf, 'Content-Type': 'application/json'};
  return (await fetch('/api/agents', {method: 'POST', headers, body})).status;
}"""


@pytest.fixture(scope="session")
def long_one(server) -> str:
    """The address of a conversation of 300 messages."""
    made = server.manage("shell", "-v0", stdin=LONG)
    return f"{server.url}/c/{re.search('made (.+)', made)[1].strip()}/"


def act(page: Page, message, action: str) -> None:
    message.hover()
    message.locator(f"[data-act={action}]").click()


def test_it_keeps_what_one_thinks_of_an_answer_and_shows_it_in_all_tabs(people):
    alice = people["alice"]
    page = begin(alice, "/help")
    other = alice.new_page()
    other.goto(page.url)
    live(other)
    act(page, page.locator(ANSWER), "poor")
    page.keyboard.type("Too long")
    page.keyboard.press("Enter")
    for tab in (page, other):
        expect(tab.locator("[data-act=poor]")).to_have_attribute("aria-pressed", "true")
        expect(tab.locator(".comment")).to_contain_text("Your comment: Too long")
    expect(page.locator("[data-act=poor]")).to_be_focused()
    page.reload()
    live(page)
    expect(page.locator(".comment")).to_contain_text("Too long")
    act(page, page.locator(ANSWER), "good")
    page.keyboard.press("Escape")
    expect(page.locator("[data-act=good]")).to_have_attribute("aria-pressed", "true")
    expect(page.locator("[data-act=poor]")).to_have_attribute("aria-pressed", "false")
    expect(other.locator("[data-act=good]")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("Enter")
    expect(other.locator("[data-act=good]")).to_have_attribute("aria-pressed", "false")
    page.reload()
    live(page)
    expect(page.locator("[data-act][aria-pressed=true], .comment")).to_have_count(0)
    assert alice.errors == []


def test_a_comment_is_kept_also_where_its_rating_is_slow(people):
    page = begin(people["alice"], "/help")
    asked = []

    def first_is_slow(route):
        asked.append(route)
        if len(asked) > 1:
            route.continue_()

    page.route("**/feedback", first_is_slow)
    with page.expect_request("**/feedback"):
        act(page, page.locator(ANSWER), "poor")
    page.keyboard.type("Too long")
    page.keyboard.press("Enter")
    expect(page.locator(".comment")).to_contain_text("Too long")
    while not asked:
        page.wait_for_timeout(20)
    assert [route.request.post_data_json["comment"] for route in asked] == [""]  # the comment waits for it
    with page.expect_response(lambda response: "Too long" in (response.request.post_data or "")):
        asked[0].continue_()
    page.reload()
    live(page)
    expect(page.locator(".comment")).to_contain_text("Too long")


def test_it_lets_a_viewer_rate_but_not_fork(people):
    page = begin(people["alice"], "/help")
    vera = people["vera"].page
    vera.goto(page.url)
    live(vera)
    with vera.expect_response("**/feedback"):
        act(vera, vera.locator(ANSWER), "good")
    vera.keyboard.press("Escape")
    vera.reload()
    live(vera)
    expect(vera.locator("[data-act=good]")).to_have_attribute("aria-pressed", "true")
    act(vera, vera.locator(ANSWER), "more")
    expect(vera.get_by_role("option")).to_have_count(1)
    expect(vera.get_by_role("option")).to_contain_text("Copy a link")


def test_it_forks_from_an_answer_and_from_a_question(people):
    alice = people["alice"]
    page = begin(alice, "/help")
    alice.ask("Show me token usage statistics")
    finished(page, 2)
    address = page.url
    act(page, page.locator(ANSWER).first, "more")
    page.keyboard.press("Enter")
    expect(page.locator("h1[data-title]")).to_have_text("Fork: /help")
    expect(page.locator(QUESTION)).to_have_count(1)
    expect(page.locator(ANSWER)).to_have_count(1)
    expect(page.locator(".origin a")).to_have_attribute("href", re.sub("^.*(?=/c/)", "", address))
    live(page)
    page.locator(".origin a").click()
    page.wait_for_url(address)
    live(page)
    act(page, page.locator(QUESTION).last, "more")
    page.get_by_role("option", name="Fork into a new conversation").click()
    expect(page.locator("h1[data-title]")).to_have_text("Fork 2: /help")
    live(page)
    page.locator(QUESTION).last.get_by_role("button", name="Ask Demo Agent").click()
    finished(page)  # the copied answer took nothing here
    expect(page.locator(ANSWER)).to_have_count(2)
    expect(page.locator("nexus-tool-call").filter(has_text="get_token_usage").first).to_be_visible()
    assert alice.errors == []


def test_it_goes_on_with_an_answer_that_its_length_cut(people):
    alice = people["alice"]
    page = alice.page
    assert page.evaluate(MAKE_AGENT, ["short-writer", 16]) in (201, 409)
    start_with(page, "short-writer")
    alice.ask("Write a long story about a lighthouse, with many details.")
    page.wait_for_url(re.compile(r"/c/"))
    expect(page.locator(".end")).to_contain_text("Cut by its length", timeout=LOCAL)
    page.locator(".end").get_by_role("button", name="Continue").click()
    for _ in range(2):  # live, and as the server draws it
        expect(page.locator(f"{ANSWER}[continued] nexus-response")).to_be_visible(timeout=LOCAL)
        expect(page.locator(".cutline")).to_have_text("Cut by its length, continued by alice")
        expect(page.locator(f"{ANSWER}[cut] .end")).to_have_count(0)
        expect(page.locator(f"{ANSWER}[continued] h2")).not_to_be_in_viewport()
        finished(page, 2)
        page.reload()
        live(page)
    expect(page.locator("nexus-prompt-input .context")).to_have_attribute("title", re.compile("tokens"))
    assert broken_rules(page) == []
    assert alice.errors == []


PLACE = """() => {
  const box = document.querySelector('nexus-conversation').getBoundingClientRect();
  const one = [...document.querySelectorAll('nexus-message')].find((m) => m.getBoundingClientRect().bottom > box.top + 40);
  return [one.id, Math.round(one.getBoundingClientRect().top)];
}"""
UP = "(left) => { const c = document.querySelector('nexus-conversation'); c.scrollTop = -(c.scrollHeight - c.clientHeight - left); }"


def test_it_reads_back_where_the_reader_is(people, long_one):
    alice = people["alice"]
    page = alice.page
    page.goto(long_one)
    live(page)
    messages = page.locator("nexus-message")
    expect(messages).to_have_count(60)
    page.evaluate(UP, 1400)
    page.evaluate(UP, 700)
    before = page.evaluate(PLACE)
    expect(messages).to_have_count(120)
    after = page.evaluate(PLACE)
    assert after[0] == before[0] and abs(after[1] - before[1]) <= 1
    expect(page.locator(".jump")).to_have_text("Jump to the latest")
    while page.locator(".earlier .btn").count():
        known = messages.count()
        page.evaluate(UP, 0)
        page.wait_for_function(
            "(n) => document.querySelectorAll('nexus-message').length > n || !document.querySelector('.earlier .btn')",
            arg=known,
        )
    expect(messages).to_have_count(300)
    expect(messages.first).to_contain_text("Question 0")
    assert broken_rules(page) == []
    assert alice.errors == []


def test_it_loads_earlier_messages_by_keyboard_and_for_a_link(people, long_one, server):
    page = people["alice"].page
    page.goto(long_one)
    live(page)
    button = page.locator(".earlier .btn")
    expect(button).to_have_text("240 earlier messages")
    button.press("Enter")
    # The focus brings it into view, and whoever is there may be brought one part more.
    expect(page.locator("nexus-message").nth(119)).to_be_attached()
    first = page.evaluate("async (p) => (await (await fetch(`${p}?limit=10`)).json()).items[2].id",
                          long_one.replace("/c/", "/api/conversations/") + "messages")  # fmt: skip
    page.goto("about:blank")
    page.goto(f"{long_one}#m-{first}")
    expect(page.locator(f"#m-{first}")).to_be_in_viewport()
    expect(page.locator(f"#m-{first}")).to_contain_text("Question 1")


def test_it_reads_back_without_scripts(browser, people, long_one):
    page = people["alice"].page
    context = browser.new_context(java_script_enabled=False, storage_state=page.context.storage_state())
    plain = context.new_page()
    plain.goto(long_one)
    expect(plain.locator("nexus-message")).to_have_count(60)
    plain.get_by_role("link", name="Earlier messages").click()
    expect(plain.locator("nexus-message").last).to_contain_text("Answer 119")
    plain.get_by_role("link", name="Latest messages").click()
    expect(plain.locator("nexus-message").last).to_contain_text("Answer 149")
    context.close()


def test_it_keeps_earlier_messages_when_the_connection_comes_back(people, long_one):
    page = people["alice"].page
    watch(page)
    page.goto(long_one)
    live(page)
    page.evaluate(UP, 0)  # the button stands at the top of the view, no message
    first, top = page.evaluate(PLACE)
    where = "(id) => Math.round(document.getElementById(id).getBoundingClientRect().top)"
    expect(page.locator("nexus-message")).to_have_count(120)
    assert abs(page.evaluate(where, first) - top) <= 1, (
        "the part above moves nothing, nor brings the one above it"
    )
    break_link(page)
    expect(page.locator("nexus-message")).to_have_count(120)
    assert abs(page.evaluate(where, first) - top) <= 1
    expect(page.locator(".earlier .btn")).to_have_text("180 earlier messages")
