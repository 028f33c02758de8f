"""Two people and an agent that asks before it acts: the second approves, after the server was killed and came back."""

from __future__ import annotations

import signal
from pathlib import Path

from playwright.sync_api import Page, expect

from .conftest import Person, live
from .server import Server

CARD = 'nexus-approval[status="open"]'
ANEW = """(card) => {
  card.view = { ...card.view, agent: { ...card.view.agent, name: "Another" } };
  return [card.querySelector("header .grow").textContent, card.querySelector("[aria-label=Note]").value];
}"""


def begin(alice: Person, text: str) -> Page:
    """Alice asks the agent that asks back, in a new conversation."""
    page = alice.page
    page.goto(alice.server.url + "/")
    page.evaluate(
        """(text) => fetch("/api/invoke", {method: "POST", headers: {"Content-Type": "application/json",
        "X-CSRFToken": document.cookie.match(/csrftoken=([^;]+)/)[1]},
        body: JSON.stringify({agentId: "careful-demo", message: text, background: true})})
        .then((answer) => answer.json()).then((run) => { location.href = `/c/${run.conversationId}/`; })""",
        text,
    )
    page.wait_for_url("**/c/**")
    expect(page.locator(CARD)).to_be_visible()
    return page


def shot(page: Page, shots: Path, name: str) -> None:
    page.screenshot(path=shots / f"{name}.png")


def test_it_is_approved_by_a_second_person_after_the_server_was_killed(
    server: Server, people, shots: Path
) -> None:
    alice, bob = people["alice"], people["bob"]
    bob.page.goto(server.url + "/")
    live(bob.page)
    page = begin(alice, "Create a task to review the release notes")
    expect(page.locator(CARD)).to_contain_text("review the release notes")
    toast = bob.page.locator("nexus-toast", has_text="waits for approval")
    expect(toast).to_be_visible()
    expect(bob.page.locator("[data-conversation-list] .st.warn").first).to_be_visible()
    shot(bob.page, shots, "approval-elsewhere")
    shot(page, shots, "approval-light")
    page.emulate_media(color_scheme="dark")
    shot(page, shots, "approval-dark")
    page.emulate_media(color_scheme="light")

    server.stop(signal.SIGKILL)
    server.start()
    toast.get_by_role("button", name="Open").click()
    bob.page.wait_for_url("**/c/**")
    card = bob.page.locator(CARD)
    card.get_by_label("Note").fill("Looks right")
    bob.page.set_viewport_size({"width": 390, "height": 844})
    shot(bob.page, shots, "approval-phone")
    bob.page.set_viewport_size({"width": 1440, "height": 900})
    live(page)
    card.get_by_role("button", name="Allow once").click()
    for reader in (page, bob.page):
        line = reader.locator('nexus-approval[status="approved"]')
        expect(line).to_contain_text("by bob")
        expect(line).to_contain_text("Looks right")
        expect(reader.locator('nexus-tool-call[status="COMPLETED"]')).to_be_visible()
        expect(reader.locator(CARD)).to_have_count(0)
    expect(page.locator("nexus-message[from=assistant] nexus-response").last).to_contain_text("task")
    shot(page, shots, "approval-done")
    page.reload()
    expect(page.locator('nexus-approval[status="approved"]')).to_contain_text("by bob")


def test_it_answers_a_question_and_a_viewer_only_watches(server: Server, people, shots: Path) -> None:
    alice, vera = people["alice"], people["vera"]
    page = begin(alice, "Ask us which colour the new logo should have")
    expect(page.locator(CARD)).to_contain_text("Which colour the new logo should have?")
    vera.page.goto(page.url)
    watched = vera.page.locator(CARD)
    expect(watched).to_be_visible()
    expect(watched.get_by_role("button")).to_have_count(0)
    field = page.locator(CARD).get_by_label("Your answer")
    field.fill("A calm green")
    shot(page, shots, "approval-question")
    field.press("Enter")
    for reader in (page, vera.page):
        expect(reader.locator('nexus-approval[status="answered"]')).to_contain_text("A calm green")
        expect(reader.locator("nexus-message[from=assistant] nexus-response").last).to_contain_text(
            "A calm green"
        )


def test_it_denies_with_a_reason_that_the_agent_hears(server: Server, people) -> None:
    page = begin(people["alice"], "Create a task to delete everything")
    card = page.locator(CARD)
    card.get_by_label("Note").fill("Not on a Friday")
    # Drawn again, as when somebody else votes: what stands there stays.
    assert card.evaluate(ANEW) == ["Another asks to run create_task", "Not on a Friday"]
    card.get_by_role("button", name="Deny").click()
    expect(page.locator('nexus-approval[status="denied"]')).to_contain_text("Not on a Friday")
    expect(page.locator("nexus-message[from=assistant] nexus-response").last).to_contain_text(
        "Not on a Friday"
    )
