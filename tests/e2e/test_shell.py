"""What is around a conversation: unread marks, notices, bulk acts in the history, temporary chats, attachments."""

from __future__ import annotations

import base64
import re

from playwright.sync_api import Page, expect

from .conftest import live
from .sockets import HANDS, break_link, hold, release, watch
from .test_chat import ANSWER, finished, start_with

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
HIDE = """() => {
  Object.defineProperty(document, "visibilityState", {configurable: true, get: () => window.__hidden ? "hidden" : "visible"});
  window.__hidden = true;
  document.dispatchEvent(new Event("visibilitychange"));
}"""
SHOW = "() => { window.__hidden = false; document.dispatchEvent(new Event('visibilitychange')); }"


def begin(alice, text: str = "/help") -> str:
    start_with(alice.page, "demo-agent")
    alice.ask(text)
    alice.page.wait_for_url(re.compile(r"/c/"))
    finished(alice.page)
    return alice.page.url.rstrip("/").rsplit("/", 1)[1]


def ask_elsewhere(page: Page, conversation_id: str, text: str = "/help") -> None:
    """The same person, on another device: over HTTP."""
    status = page.evaluate(
        """async ([conversationId, message]) => (await fetch("/api/invoke", {method: "POST", headers: {
            "Content-Type": "application/json", "X-CSRFToken": document.querySelector("input[name=csrfmiddlewaretoken]").value,
        }, body: JSON.stringify({agentId: "demo-agent", conversationId, message})})).status""",
        [conversation_id, text],
    )
    assert status == 200


def end_run(page: Page, conversation_id: str, duration_ms: int, status: str = "complete") -> None:
    """The server's word that a run ended, at the page's own socket: a long answer need not be waited for."""
    page.evaluate(
        """([conversationId, durationMs, status]) => {
            for (const socket of window.__sockets) socket.onmessage({data: JSON.stringify({type: "run.ended", runId: crypto.randomUUID(),
              conversationId, workspaceId: JSON.parse(document.getElementById("nexus-state").textContent).workspace.id,
              agentId: "demo-agent", status, durationMs})});
        }""",
        [conversation_id, duration_ms, status],
    )


SPY = (
    HANDS
    + """
window.__notes = [];
window.Notification = class { static permission = window.__permission ?? "granted"; static async requestPermission() { window.__requested = true; return (this.permission = "granted"); }
  constructor(title, options) { window.__notes.push({title, ...options}); } close() {} };
new BroadcastChannel("nexus.notices").onmessage = ({data}) => { if (data.seen) window.__seenElsewhere = true; };
{
  const wait = window.setTimeout; // another tab has five seconds to answer, not 0.4: machines are slow
  window.setTimeout = (act, ms, ...rest) => wait.call(window, act, ms === 400 ? 5_000 : ms, ...rest);
}
"""
)


def row(page: Page, conversation_id: str):
    return page.locator(f"#nav [data-conversation='{conversation_id}']")


def test_it_marks_what_is_unread_until_it_is_seen_on_all_devices(people):
    alice = people["alice"]
    conversation_id = begin(alice)
    phone = alice.new_page()
    phone.goto(alice.server.url + "/")
    expect(row(phone, conversation_id)).not_to_have_class(re.compile("unread"))
    alice.page.goto(alice.server.url + "/history/")
    ask_elsewhere(phone, conversation_id)
    for page in (alice.page, phone):
        expect(row(page, conversation_id)).to_contain_text("1 unread")
        expect(page).to_have_title(re.compile(r"^\(\d+\) "))
    expect(alice.page.locator(f"#main [data-conversation='{conversation_id}']")).to_contain_text("1 unread")
    phone.reload()
    expect(row(phone, conversation_id)).to_contain_text("1 unread")
    alice.page.goto(f"{alice.server.url}/c/{conversation_id}/")
    finished(alice.page, 2)
    for page in (alice.page, phone):
        expect(row(page, conversation_id)).not_to_contain_text("unread")
    phone.reload()
    expect(row(phone, conversation_id)).not_to_contain_text("unread")


def test_it_is_not_read_in_a_hidden_tab_or_above_the_end(people):
    alice = people["alice"]
    conversation_id = begin(alice)
    page = alice.page
    has_seen(page, conversation_id)
    page.evaluate(HIDE)
    ask_elsewhere(page, conversation_id)
    finished(page, 2)
    expect(row(page, conversation_id)).to_contain_text("1 unread")
    expect(page).to_have_title(re.compile(r"^\(\d+\) "))
    page.evaluate(SHOW)
    expect(row(page, conversation_id)).not_to_contain_text("unread")


def has_seen(page: Page, conversation_id: str) -> None:
    """The server knows that this person has read it: from now on what is new there is unread."""
    page.wait_for_function(
        """async (id) => {
            const told = await (await fetch(`/api/conversations/${id}`)).json();
            return told.lastReadAt !== null && told.unread === 0;
        }""",
        arg=conversation_id,
    )


def test_ones_own_words_are_never_unread_and_a_colleagues_are(people):
    alice, bob = people["alice"], people["bob"]
    conversation_id = begin(alice)
    bob.page.goto(alice.page.url)
    has_seen(bob.page, conversation_id)
    bob.page.goto(bob.server.url + "/usage/")
    alice.ask("/help")
    finished(alice.page, 2)
    expect(row(bob.page, conversation_id)).to_contain_text("2 unread")
    expect(row(alice.page, conversation_id)).not_to_contain_text("unread")


def change(page: Page, conversation_id: str, **fields: str) -> None:
    status = page.evaluate(
        """async ([id, fields]) => (await fetch(`/api/conversations/${id}`, {method: "PATCH", headers: {
            "Content-Type": "application/json", "X-CSRFToken": document.querySelector("input[name=csrfmiddlewaretoken]").value,
        }, body: JSON.stringify(fields)})).status""",
        [conversation_id, fields],
    )
    assert status == 200


def test_it_catches_up_with_what_happened_before_its_socket_was_there(people):
    alice, bob = people["alice"], people["bob"]
    renamed, archived = begin(alice), begin(alice)
    page = bob.page
    page.goto(f"{bob.server.url}/c/{renamed}/")
    has_seen(page, renamed)
    hold(page)
    for path in ("/history/", f"/c/{archived}/"):
        page.goto(bob.server.url + path)
        expect(row(page, renamed)).to_have_count(1)
        ask_elsewhere(alice.page, renamed)
        change(alice.page, renamed, title=f"Renamed before {path}")
        change(alice.page, archived, status="archived")
        begun = begin(alice)
        expect(row(page, begun)).to_have_count(0)
        link = row(page, renamed)
        link.focus()
        release(page)
        expect(link).to_contain_text(f"Renamed before {path}")
        expect(link).to_contain_text("unread")
        expect(link).to_be_focused()
        expect(row(page, begun)).to_have_count(1)
        expect(row(page, archived)).to_have_count(0)
        if path == "/history/":
            here = page.locator(f"#main [data-conversation='{renamed}']")
            expect(here).to_contain_text("2 unread")
            expect(here).to_contain_text("Renamed")
        else:
            lines = page.locator("nexus-activity-feed a[href='" + f"/c/{begun}/']")
            expect(lines.filter(has_text="alice").first).to_contain_text("asked Demo Agent")
        change(alice.page, archived, status="active")


def test_it_catches_up_with_what_happened_while_its_socket_was_away(people):
    alice = people["alice"]
    conversation_id = begin(alice)
    page = alice.new_page()
    watch(page)
    with page.expect_response(re.compile(r"/api/conversations\?status=active")):
        page.goto(alice.server.url + "/history/")
    # The last of its sockets hears nothing any more, as in a network that lost it.
    page.evaluate("() => { for (const one of window.__sockets) one.onmessage = null; }")
    change(alice.page, conversation_id, title="Renamed in the break")
    begun = begin(alice)
    expect(row(page, conversation_id)).not_to_contain_text("Renamed")
    break_link(page)
    expect(row(page, conversation_id)).to_contain_text("Renamed in the break")
    expect(row(page, begun)).to_have_count(1)


def test_it_says_elsewhere_that_a_long_answer_is_ready_and_of_short_ones_nothing(people):
    alice = people["alice"]
    conversation_id = begin(alice)
    page = alice.new_page()
    page.add_init_script(SPY)
    page.goto(alice.server.url + "/history/")
    live(page)
    end_run(page, conversation_id, 3_000)
    end_run(page, conversation_id, 40_000, "cancelled")
    end_run(page, conversation_id, 40_000)
    toast = page.locator("nexus-toast")
    expect(toast).to_have_count(1)
    expect(toast).to_contain_text("answered")
    toast.get_by_role("button", name="Open").click()
    page.wait_for_url(re.compile(conversation_id))
    live(page)
    end_run(page, conversation_id, 40_000)
    page.wait_for_function("() => window.__sockets.size === 1")
    expect(page.locator("nexus-toast")).to_have_count(0)
    assert page.evaluate("() => window.__notes") == []


def test_it_notifies_a_hidden_page_only_when_the_person_wished_it(people):
    alice = people["alice"]
    conversation_id = begin(alice)
    alice.page.close()
    page = alice.page = alice.new_page()
    page.add_init_script(SPY)
    page.goto(alice.server.url + "/history/")
    live(page)
    page.evaluate(HIDE)
    end_run(page, conversation_id, 40_000)
    page.evaluate(SHOW)
    assert page.evaluate("() => window.__notes") == []

    page.add_init_script("window.__permission = 'default';" + SPY)
    page.goto(alice.server.url + "/settings/")
    assert not page.evaluate("() => window.__requested")
    page.locator("[data-notify-toggle]").check()
    expect(page.locator("[data-notify-help]")).to_contain_text("also in this browser")
    assert page.evaluate("() => window.__requested")
    page.reload()
    expect(page.locator("[data-notify-toggle]")).to_be_checked()
    expect(page.locator("[data-notify-help]")).to_contain_text("not been allowed yet")

    page.get_by_role("button", name="Allow").click()
    expect(page.locator("[data-notify-help]")).to_contain_text("also in this browser")
    other = alice.new_page()
    other.goto(alice.server.url + "/")  # visible: it is the one that says it
    live(other)
    page.evaluate(HIDE)
    end_run(page, conversation_id, 40_000)
    page.wait_for_function("() => window.__seenElsewhere")
    assert page.evaluate("() => window.__notes") == []
    other.close()
    end_run(page, conversation_id, 9_000)
    end_run(page, conversation_id, 40_000)
    page.wait_for_function("() => window.__notes.length === 1")
    assert page.evaluate("() => window.__notes[0].title").endswith("answered")
    page.evaluate(SHOW)
    page.locator("[data-notify-toggle]").uncheck()
    expect(page.locator("[data-notify-help]")).to_contain_text("never for short answers")


def test_a_link_stays_under_the_finger_while_the_list_moves(people):
    """Pressed, another conversation comes up above it, and then let go: the one that was pressed is opened."""
    alice = people["alice"]
    older, newer = begin(alice), begin(alice)
    page = alice.page
    page.goto(f"{alice.server.url}/settings/")
    both = page.locator(f"#nav [data-conversation='{older}'], #nav [data-conversation='{newer}']")
    expect(both.first).to_have_attribute("data-conversation", newer)
    both.first.hover()
    page.mouse.down()
    title = page.title()
    ask_elsewhere(page, older)
    expect(page).not_to_have_title(title)  # it says how many are unread: the news are here
    expect(both.first).to_have_attribute("data-conversation", newer)
    page.mouse.up()
    page.wait_for_url(f"**/c/{newer}/")
    expect(both.first).to_have_attribute("data-conversation", older)


def test_it_archives_restores_and_deletes_several_at_once(people, shots):
    alice = people["alice"]
    ids = [begin(alice) for _ in range(4)]
    page = alice.page
    archived = page.request.get(f"{alice.server.url}/api/conversations?status=archived").json()["items"]
    for one in archived:  # another test's
        change(page, one["id"], status="active")
    page.goto(alice.server.url + "/history/")

    def box(conversation_id: str):
        return page.locator(f"#main [data-conversation='{conversation_id}'] [data-select]")

    expect(page.locator("[data-picked]")).to_be_hidden()
    box(ids[3]).check()
    box(ids[1]).click(modifiers=["Shift"])
    expect(page.locator("[data-picked-count]")).to_have_text("3 selected")
    page.screenshot(path=str(shots / "history-selected.png"))
    page.locator("[data-bulk=archive]").click()
    expect(page.locator("nexus-toast")).to_contain_text("3 conversations")
    for conversation_id in ids[1:]:
        expect(page.locator(f"[data-conversation='{conversation_id}']")).to_have_count(0)
    expect(box(ids[0])).to_have_count(1)
    page.locator("nexus-toast").get_by_role("button", name="Undo").click()
    expect(box(ids[1])).to_have_count(1)
    box(ids[0]).check()
    page.keyboard.press("Escape")
    expect(page.locator("[data-picked]")).to_be_hidden()
    for conversation_id in ids[:2]:
        box(conversation_id).check()
    page.locator("[data-bulk=archive]").click()
    expect(page.locator("nexus-toast")).to_contain_text("2 conversations")
    page.goto(alice.server.url + "/history/?status=archived")
    box(ids[0]).check()
    page.locator("[data-all]").check()
    expect(page.locator("[data-picked-count]")).to_have_text("2 selected")
    page.locator("[data-bulk=delete]").click()
    expect(page.locator("#main")).to_contain_text("Nothing is archived")
    page.locator("nexus-toast").get_by_role("button", name="Undo").click()
    expect(box(ids[0])).to_have_count(1)
    box(ids[0]).check()
    page.locator("[data-all]").check()
    page.locator("[data-bulk=restore]").click()
    expect(page.locator("nexus-toast")).to_contain_text("Back in the list")
    page.goto(alice.server.url + "/history/")
    for conversation_id in ids:
        expect(box(conversation_id)).to_have_count(1)


def test_a_temporary_chat_is_in_no_list_until_it_is_kept(people, shots):
    alice = people["alice"]
    page = alice.page
    start_with(page, "demo-agent")
    page.get_by_role("button", name="Temporary chat").click()
    expect(page.locator("[data-temporary-note]")).to_be_visible()
    page.screenshot(path=str(shots / "home-temporary.png"))
    alice.ask("/help")
    page.wait_for_url(re.compile(r"/c/"))
    finished(page)
    conversation_id = page.url.rstrip("/").rsplit("/", 1)[1]
    expect(page.locator("[data-temporary-chip]")).to_be_visible()
    expect(page).to_have_title(re.compile("Temporary chat"))
    page.screenshot(path=str(shots / "conversation-temporary.png"))
    expect(row(page, conversation_id)).to_have_count(0)
    alice.ask("/help")
    finished(page, 2)
    page.reload()
    finished(page, 2)
    expect(row(page, conversation_id)).to_have_count(0)
    page.locator("[data-conversation-menu] summary").click()
    page.locator("[data-action=keep]").click()
    expect(row(page, conversation_id)).to_have_count(1)
    expect(page.locator("[data-temporary-chip]")).to_have_count(0)


def test_an_image_that_is_taken_out_again_is_removed_from_the_server(people):
    alice = people["alice"]
    page = alice.page
    start_with(page, "demo-agent")
    with page.expect_response(re.compile(r"/api/files$")) as made:
        page.locator("nexus-prompt-input input[type=file]").set_input_files(
            {"name": "dot.png", "mimeType": "image/png", "buffer": PNG}
        )
    url = made.value.json()["url"]
    expect(page.locator(".file")).to_contain_text("Ready")
    with page.expect_response(lambda r: r.request.method == "DELETE" and r.url.endswith(url)) as gone:
        page.get_by_role("button", name="Remove dot.png").click()
    assert gone.value.status == 204
    expect(page.locator(".file")).to_have_count(0)
    assert page.request.get(alice.server.url + url).status == 404


def test_a_sent_image_stays(people):
    alice = people["alice"]
    page = alice.page
    start_with(page, "demo-agent")
    page.locator("nexus-prompt-input input[type=file]").set_input_files(
        {"name": "dot.png", "mimeType": "image/png", "buffer": PNG}
    )
    expect(page.locator(".file")).to_contain_text("Ready")
    alice.ask("/help")
    page.wait_for_url(re.compile(r"/c/"))
    expect(page.locator(ANSWER)).to_have_count(1)
    image = page.locator("nexus-message[from=user] img").first
    expect(image).to_have_js_property("naturalWidth", 1)
