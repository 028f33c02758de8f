"""A real page behind a real network that fails: each time the text on the screen is the text in the database, once."""

from __future__ import annotations

import contextlib
import re
import signal
import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, TimeoutError, expect

from .conftest import PASSWORD, PATIENCE_MS, Person, live
from .proxy import Proxy
from .server import Server
from .slow_model import SlowModel, words

ANSWER = "nexus-message[from=assistant]"
QUESTION = "nexus-message[from=user]"
AGENT = """
from agents.models import Agent
from workspaces.models import Workspace
Agent.objects.create(workspace=Workspace.objects.get(slug="team"), slug="slow", name="Slow", provider="lmstudio", model="slow")
"""


NOTICED = """() => {
  const connection = document.querySelector("nexus-connection");
  let [awake, last] = [0, performance.now()];
  setInterval(() => {
    const now = performance.now();
    awake += Math.min(now - last, 500); // a machine that stood still did not let it notice anything
    last = now;
  }, 100);
  new MutationObserver(() => {
    if (!connection.textContent.includes("Live")) window.__noticed ??= awake / 1000;
  }).observe(connection, { childList: true, subtree: true, characterData: true });
}"""
"""`__noticed`: after how many seconds the page said that its link is gone."""
TICKS = """() => {
  window.__stood = 0;
  let last = performance.now();
  setInterval(() => {
    const now = performance.now();
    window.__stood = Math.max(window.__stood, now - last);
    last = now;
  }, 50);
}"""
"""`__stood`: the longest time in which nothing ran on the page, ms."""


@pytest.fixture(scope="module")
def model() -> Iterator[SlowModel]:
    running = SlowModel()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, model: SlowModel) -> Iterator[Server]:
    """A server with an agent whose model takes its time."""
    running = Server(tmp_path_factory.mktemp("nexus-connection"), LMSTUDIO_BASE_URL=model.url)
    running.prepare()
    running.manage("create_user", "alice", "--password", PASSWORD, "--workspace", "team", "--role", "owner")
    running.manage("shell", "-c", AGENT)
    running.start()
    yield running
    running.stop()
    found = running.tracebacks()
    assert not found, "\n\n".join(found)


@pytest.fixture
def network(house: Server) -> Iterator[Proxy]:
    proxy = Proxy(house.port)
    proxy.start()
    yield proxy
    proxy.stop()


@pytest.fixture
def alice(browser: Browser, house: Server, network: Proxy) -> Iterator[Person]:
    class Door:
        url = network.url

    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.set_default_timeout(PATIENCE_MS)
    person = Person(context, Door(), "alice")  # type: ignore[arg-type]
    person.log_in()
    yield person
    context.close()


def begin(alice: Person, count: int = 60, pace: int = 80, hold: int = 0) -> str:
    """Asks for that many words; gives the conversation's id when the first ones are there. `hold`: see `SlowModel`."""
    alice.page.goto(f"{alice.server.url}/?agent=slow")
    alice.page.wait_for_selector("nexus-prompt-input textarea")
    live(alice.page)
    alice.ask(f"words={count} pace={pace}" + (f" hold={hold}" if hold else ""))
    alice.page.wait_for_url(re.compile(r"/c/"))
    some(alice.page)
    return alice.page.url.rstrip("/").rsplit("/", 1)[1]


def some(page: Page, number: int = 3) -> None:
    """The answer has got to that word."""
    expect(page.locator(ANSWER).last).to_contain_text(f"w{number} ")


def same(page: Page, house: Server, conversation_id: str, *answers: str) -> None:
    """Screen, database and model say the same, once."""
    expect(page.locator(f"{ANSWER} nexus-token-counter")).to_have_count(len(answers), timeout=60_000)
    expect(page.locator(f"{ANSWER}[live]")).to_have_count(0, timeout=60_000)
    expect(page.locator(f"{ANSWER} nexus-response")).to_have_text(list(answers))
    items = page.request.get(f"{house.url}/api/conversations/{conversation_id}/messages").json()["items"]
    stored = [item["content"] for item in items if item["role"] == "assistant"]
    assert stored == list(answers)
    asked = [item["content"] for item in items if item["role"] == "user"]
    assert page.locator(f"{QUESTION} .md").all_inner_texts() == asked
    assert len(asked) == len(answers)
    expect(page.locator("nexus-toast")).to_have_count(0)
    expect(page.locator(".banner")).to_have_count(0)


def test_a_cut_in_the_middle_loses_and_doubles_nothing(alice, house, network):
    conversation_id = begin(alice)
    for word in (10, 20, 30):
        some(alice.page, word)
        network.cut()
    same(alice.page, house, conversation_id, words(60))


def test_a_slow_network_changes_nothing(alice, house, network):
    network.delay = 0.15
    conversation_id = begin(alice, 30)
    network.delay = 0.4
    some(alice.page, 10)
    network.delay = 0.0
    same(alice.page, house, conversation_id, words(30))


def test_a_black_hole_is_noticed_within_35_seconds_and_left_as_soon_as_there_is_a_way(alice, house, network):
    conversation_id = begin(alice)
    network.hole()
    alice.page.evaluate(NOTICED)
    expect(alice.page.locator("nexus-connection")).not_to_contain_text("Live", timeout=60_000)
    assert alice.page.evaluate("() => window.__noticed") <= 35
    network.heal()
    alice.page.evaluate("() => window.dispatchEvent(new Event('online'))")
    live(alice.page)
    same(alice.page, house, conversation_id, words(60))


def test_a_black_hole_is_noticed_in_seconds_when_the_page_is_looked_at(alice, house, network):
    conversation_id = begin(alice)
    network.hole()
    alice.page.evaluate("() => window.dispatchEvent(new Event('focus'))")
    expect(alice.page.locator("nexus-connection")).not_to_contain_text("Live")
    expect(alice.page.locator(".banner")).to_contain_text("The agents go on without you")
    button = alice.page.locator(".banner").get_by_role("button", name="Try now")
    expect(button).to_be_enabled()
    network.heal()
    # It tries by itself, too, and may be back before anybody can click.
    with contextlib.suppress(TimeoutError):
        button.click(timeout=3_000)
    live(alice.page)
    same(alice.page, house, conversation_id, words(60))


def test_it_goes_on_where_an_answer_was_stopped(alice, house, network, model):
    model.free.clear()
    begin(alice, 30, 20, hold=12)
    alice.page.keyboard.press("Escape")
    expect(alice.page.locator(ANSWER)).to_contain_text("What was written is kept.")
    model.free.set()
    alice.page.get_by_role("button", name="Continue").click()
    expect(alice.page.locator(ANSWER)).not_to_contain_text("Stopped")
    some(alice.page, 28)
    expect(alice.page.locator(f"{ANSWER}[live]")).to_have_count(0)
    expect(alice.page.locator(ANSWER)).to_have_count(1)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL], ids=["stopped", "killed"])
def test_a_restart_of_the_server_in_the_middle_ends_with_the_whole_text(alice, house, network, how):
    conversation_id = begin(alice, 40)
    some(alice.page, 10)
    house.stop(how)
    house.start()
    live(alice.page)
    same(alice.page, house, conversation_id, words(40))


def test_a_message_sent_offline_is_shown_as_waiting_and_sent_once(alice, house, network):
    conversation_id = begin(alice, 8, 20)
    same(alice.page, house, conversation_id, words(8))
    network.shut()
    alice.context.set_offline(True)
    expect(alice.page.locator("nexus-connection")).not_to_contain_text("Live")
    alice.ask("words=9 pace=20")
    waiting = alice.page.locator(QUESTION).last
    expect(waiting).to_contain_text("words=9")
    expect(waiting).to_contain_text("Goes when you are back")
    alice.page.locator("nexus-prompt-input textarea").fill("and a draft")
    network.heal()
    alice.context.set_offline(False)
    live(alice.page)
    same(alice.page, house, conversation_id, words(8), words(9))
    expect(alice.page.locator("nexus-prompt-input textarea")).to_have_value("and a draft")
    alice.page.reload()
    same(alice.page, house, conversation_id, words(8), words(9))
    expect(alice.page.locator("nexus-prompt-input textarea")).to_have_value("and a draft")


def test_a_message_that_waits_outlives_its_page_and_goes_from_any_other(alice, house, network):
    conversation_id = begin(alice, 8, 20)
    same(alice.page, house, conversation_id, words(8))
    network.shut()
    expect(alice.page.locator("nexus-connection")).not_to_contain_text("Live")
    alice.ask("words=9 pace=20")
    expect(alice.page.locator(QUESTION).last).to_contain_text("Goes when you are back")
    alice.page.close()
    network.heal()
    alice.page = alice.new_page()
    alice.page.goto(alice.server.url + "/history/")
    toast = alice.page.locator("nexus-toast")
    expect(toast).to_contain_text("Sent")
    toast.get_by_role("button", name="Open").click()
    alice.page.wait_for_url(re.compile(conversation_id))
    same(alice.page, house, conversation_id, words(8), words(9))


def test_a_first_message_sent_offline_waits_at_its_place(alice, house, network, shots):
    page = alice.page
    page.goto(f"{alice.server.url}/?agent=slow")
    live(page)
    network.shut()
    expect(page.locator("nexus-connection")).not_to_contain_text("Live")
    alice.ask("words=9 pace=20")
    waiting = page.locator("[data-waiting] li")
    expect(waiting).to_contain_text("Goes when you are back")
    page.screenshot(path=str(shots / "home-waiting.png"))
    waiting.get_by_role("button", name="Remove").click()
    expect(page.locator("nexus-prompt-input textarea")).to_have_value("words=9 pace=20")
    expect(waiting).to_have_count(0)
    page.locator("nexus-prompt-input textarea").press("Enter")
    expect(waiting).to_have_count(1)
    network.heal()
    page.wait_for_url(re.compile(r"/c/"), timeout=40_000)
    conversation_id = page.url.rstrip("/").rsplit("/", 1)[1]
    same(page, house, conversation_id, words(9))
    found = page.request.get(f"{house.url}/api/conversations?limit=200").json()["items"]
    assert len([one for one in found if one["title"] == "words=9 pace=20"]) == 1


def test_two_tabs_go_on_for_one_another(alice, house, network):
    conversation_id = begin(alice)
    other = alice.new_page()
    other.goto(alice.page.url)
    some(other, 5)
    network.cut()
    alice.page.close()
    same(other, house, conversation_id, words(60))
    third = alice.new_page()
    third.goto(other.url)
    alice.ask("words=30 pace=50", other)
    for page in (other, third):
        same(page, house, conversation_id, words(60), words(30))
    network.shut()
    expect(other.locator("nexus-connection")).not_to_contain_text("Live")
    alice.ask("words=7 pace=20", other)
    expect(other.locator(QUESTION).last).to_contain_text("Goes when you are back")
    other.close()
    network.heal()
    same(third, house, conversation_id, words(60), words(30), words(7))


@pytest.mark.parametrize("cut", [False, True], ids=["link-lives", "link-dies"])
def test_a_frozen_page_catches_up_when_it_is_woken(alice, house, network, cut):
    conversation_id = begin(alice, 50)
    some(alice.page, 8)
    alice.page.evaluate(TICKS)
    devtools = alice.context.new_cdp_session(alice.page)
    devtools.send("Page.setWebLifecycleState", {"state": "frozen"})
    # The state alone stops no timer of a page that is shown, as every page is without a screen.
    devtools.send("Debugger.enable")
    devtools.send("Debugger.pause")
    if cut:
        network.cut()
    time.sleep(6)  # it is the length of the freeze that is tried, longer than the answer takes
    devtools.send("Debugger.resume")
    devtools.send("Debugger.disable")
    devtools.send("Page.setWebLifecycleState", {"state": "active"})
    alice.page.wait_for_function("() => window.__stood > 5_000")  # a frozen page does nothing
    same(alice.page, house, conversation_id, words(50))


def test_a_logged_out_page_keeps_what_was_written_and_comes_back_after_the_log_in(alice, house, network):
    conversation_id = begin(alice, 8, 20)
    page = alice.page
    same(page, house, conversation_id, words(8))
    page.locator("nexus-prompt-input textarea").fill("half a thought")
    other = alice.new_page()
    other.goto(alice.server.url + "/settings/")
    other.get_by_role("button", name="Log out").click()
    expect(page.locator("nexus-connection")).to_contain_text("Logged out")
    expect(page.locator("nexus-toast")).to_contain_text("What you wrote is kept")
    other.goto(alice.server.url + "/accounts/login/")
    other.fill("input[name=login]", "alice")
    other.fill("input[name=password]", PASSWORD)
    other.click("main button")
    other.wait_for_selector(".shell")
    page.evaluate("() => window.dispatchEvent(new Event('focus'))")
    live(page)
    expect(page.locator("nexus-toast")).to_have_count(0)
    expect(page.locator("nexus-prompt-input textarea")).to_have_value("half a thought")
    page.reload()
    expect(page.locator("nexus-prompt-input textarea")).to_have_value("half a thought")
