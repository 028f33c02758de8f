"""A server and browsers for the end-to-end tests."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from .server import Server

PEOPLE = {"alice": "owner", "bob": "member", "vera": "viewer"}
PASSWORD = "a long pass phrase"
SLOW = max(float(os.environ.get("NEXUS_TEST_SLOW", "1")), 1)
"""How many times slower than this machine every page is made: NEXUS_TEST_SLOW=4 finds what only a fast one hides."""
PATIENCE_MS = 30_000 * SLOW
"""How long one waits for a thing to be seen: machines are slow. It costs nothing where the thing is there."""
LASTING = """(() => {
  const wait = window.setTimeout;
  window.setTimeout = (act, ms, ...rest) => wait.call(window, act, ms === 6_000 && !window.__sixSeconds ? 120_000 : ms, ...rest);
})();"""
"""A short word at the edge stays two minutes instead of six seconds: one that is to be clicked would be gone when the
machine stands still for a moment. `__sixSeconds` leaves it as it is (test_toasts.py)."""
SESSIONS: dict[tuple[str, str], str] = {}
"""By address and name, the session that somebody logged in with last."""

expect.set_options(timeout=PATIENCE_MS)


def live(page: Page) -> None:
    """The page's socket is there: from now on it hears what others do."""
    expect(page.locator("nexus-connection").first).to_contain_text("Live", timeout=40_000)


def seen(act: Callable[[], object], look: Callable[[], object]) -> None:
    """What shows for a few seconds only: it is done again until somebody looked in time."""
    for _ in range(8):
        act()
        try:
            look()
        except AssertionError:
            continue
        return
    act()
    look()


def person(name: str, role: str) -> tuple[str, ...]:
    """The command that makes them."""
    return ("create_user", name, "--password", PASSWORD, "--workspace", "team", "--role", role)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = Server(tmp_path_factory.mktemp("nexus"))
    running.prepare(*(person(name, role) for name, role in PEOPLE.items()))
    running.start()
    yield running
    running.stop()
    found = running.tracebacks()
    assert not found, "\n\n".join(found)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = os.environ.get("NEXUS_TEST_CHROMIUM")
    if not path:
        pytest.skip("no Chromium: run `make test`, which brings one along, or set NEXUS_TEST_CHROMIUM")
    libraries = os.environ.get("NEXUS_TEST_CHROMIUM_LIBS", "")
    env = dict(os.environ)
    if libraries:
        env["LD_LIBRARY_PATH"] = libraries
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=path,
            env=env,
            timeout=120_000,
            args=[
                "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--disable-quic", "--no-first-run",
                "--disable-background-networking", "--disable-component-update", "--disable-sync",
            ],
        )  # fmt: skip
        yield chromium
        chromium.close()


class Person:
    """Somebody in a browser of their own; every console error and failed load is kept."""

    def __init__(self, context: BrowserContext, server: Server, name: str) -> None:
        self.context, self.server, self.name = context, server, name
        self.errors: list[str] = []
        self.elsewhere: list[str] = []
        context.add_init_script(LASTING)
        self.page = self.new_page()

    def new_page(self) -> Page:
        page = self.context.new_page()
        if SLOW > 1:
            self.context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", {"rate": SLOW})
        page.on("console", lambda m: self.errors.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda e: self.errors.append(str(e)))
        page.on("request", lambda r: self._watch(r.url))
        return page

    def _watch(self, url: str) -> None:
        if not url.startswith((self.server.url, "data:", "blob:", self.server.url.replace("http", "ws"))):
            self.elsewhere.append(url)

    def log_in(self, *, again: bool = False) -> Page:
        """By the form; `again`: with the session of an earlier test, as long as it is good."""
        known = self.server.url, self.name
        if again and known in SESSIONS:
            self.context.add_cookies(
                [{"name": "sessionid", "value": SESSIONS[known], "url": self.server.url}]
            )
        self.page.goto(self.server.url + "/")
        if "/accounts/login/" in self.page.url:
            self.page.fill("input[name=login]", self.name)
            self.page.fill("input[name=password]", PASSWORD)
            self.page.click("main button")
        self.page.wait_for_selector(".shell")
        [SESSIONS[known]] = [c["value"] for c in self.context.cookies() if c["name"] == "sessionid"]
        return self.page

    def ask(self, text: str, page: Page | None = None) -> None:
        page = page or self.page
        box = page.locator("nexus-prompt-input textarea")
        box.fill(text)
        box.press("Enter")


@pytest.fixture
def people(browser: Browser, server: Server) -> Iterator[dict[str, Person]]:
    """`people["alice"]` logs in when first asked for."""

    class Cast(dict[str, Person]):
        def __missing__(self, name: str) -> Person:
            context = browser.new_context(viewport={"width": 1440, "height": 900})
            context.set_default_timeout(PATIENCE_MS)
            person = self[name] = Person(context, server, name)
            person.log_in(again=True)
            return person

    cast = Cast()
    yield cast
    for person in cast.values():
        person.context.close()


@pytest.fixture(scope="session")
def shots() -> Path:
    """Where screenshots go: NEXUS_SHOTS, or nowhere that stays."""
    folder = Path(os.environ.get("NEXUS_SHOTS") or Path(tempfile.gettempdir()) / f"nexus-shots-{os.getuid()}")
    folder.mkdir(parents=True, exist_ok=True)
    return folder
