"""The usage page in a real browser: narrowed by a click, opened to one request, read by keyboard, shared by its address."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from .conftest import PASSWORD, Person
from .server import Server
from .test_looks import SIZES, broken_rules

TRAFFIC = f"""
from benchmarks.usage_traffic import fill
print(fill(attempts=500, days=20, password={PASSWORD!r}))
"""
LONG = 60_000


@pytest.fixture(scope="module")
def traffic(server: Server) -> None:
    server.manage("shell", "-v", "0", "-c", TRAFFIC)


@pytest.fixture(scope="module")
def owner(traffic: None, browser, server):
    context = browser.new_context(viewport={"width": 1440, "height": 900}, accept_downloads=True)
    context.set_default_timeout(LONG)
    person = Person(context, server, "maya")
    person.log_in()
    yield person
    context.close()


@pytest.fixture
def maya(owner):
    """Logged in once, at the same desk in every test."""
    owner.errors.clear()
    owner.page.set_viewport_size({"width": 1440, "height": 900})
    return owner


def opened(page: Page, address: str) -> Page:
    page.goto(address)
    filled(page)
    return page


def filled(page: Page) -> None:
    """All numbers of what is chosen are there."""
    expect(page.locator("main [aria-busy]")).to_have_count(0, timeout=LONG)


def figure(page: Page, name: str) -> str:
    return page.locator(".tile", has=page.locator(f"dt:text-is('{name}')")).locator("dd").first.inner_text()


def test_a_group_leads_to_its_requests_and_a_request_to_its_price_and_conversation(maya, server):
    page = opened(maya.page, server.url + "/usage/")
    everything = int(figure(page, "Requests").replace(",", ""))
    assert everything > 300
    page.locator("[data-panel=groups-by] a", has_text="Model").click()
    expect(page).to_have_url(re.compile(r"groupBy=model"))
    expect(page.locator(".groups thead")).to_contain_text("Model")
    filled(page)
    page.locator(".groups a", has_text="gpt-6.1-sol").click()
    expect(page).to_have_url(re.compile(r"model=gpt-6.1-sol"))
    expect(page.locator(".groups tbody tr")).to_have_count(1)
    filled(page)
    assert 0 < int(figure(page, "Requests").replace(",", "")) < everything
    rows = page.locator(".requests tbody tr")
    assert all("gpt-6.1-sol" in text for text in rows.all_inner_texts())
    shown = rows.count()
    page.click("text=Show older ones")
    expect(rows.nth(shown)).to_be_visible()
    page.locator(".requests tbody tr", has_text="Done").first.locator("a").click()
    dialog = page.locator("dialog.one-request")
    expect(dialog.locator("tfoot")).to_contain_text(re.compile(r"\$0\.\d+"))
    expect(dialog).to_contain_text("price table")
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    page.go_back()
    expect(dialog).to_be_visible()
    page.go_back()
    expect(dialog).to_have_count(0)
    page.locator(".chip").click()
    expect(page.locator(".chip")).to_have_count(0)
    filled(page)
    assert int(figure(page, "Requests").replace(",", "")) == everything
    assert maya.errors == []
    assert maya.elsewhere == []


def test_what_is_chosen_stands_in_the_address_and_in_the_files(maya, server):
    page = opened(maya.page, server.url + "/usage/?range=week&groupBy=user&provider=anthropic")
    expect(page.locator("[data-ranges] [aria-current]")).to_have_text("Week")
    expect(page.locator(".chip")).to_contain_text("anthropic")
    wanted = int(figure(page, "Requests").replace(",", ""))
    with page.expect_download() as download:
        page.click("[data-export=json]")
    found = json.loads(Path(download.value.path()).read_text())
    assert len(found) == wanted
    assert {one["provider"] for one in found} == {"anthropic"}
    days = page.locator("[data-days]")
    last = days.locator("[name=to]").input_value()
    days.locator("[name=from]").fill(last)
    days.locator("button").click()
    expect(page).to_have_url(re.compile(rf"from={last}&to={last}"))
    page.go_back()
    expect(page.locator("[data-ranges] [aria-current]")).to_have_text("Week")
    filled(page)
    assert int(figure(page, "Requests").replace(",", "")) == wanted
    opened(page, server.url + "/usage/?model=none-such")
    expect(page.locator("[data-panel=empty]")).to_contain_text("No request fits")
    assert maya.errors == []


def test_a_chart_is_read_out_part_by_part_and_as_a_table(maya, server):
    page = opened(maya.page, server.url + "/usage/")
    plot = page.locator("[data-panel=spend] [role=slider]")
    plot.focus()
    page.keyboard.press("End")
    expect(plot).to_have_attribute("aria-valuetext", re.compile(r"\$"))
    last = plot.get_attribute("aria-valuetext")
    assert last is not None
    expect(page.locator("[data-panel=spend] .tip")).to_be_visible()
    page.keyboard.press("ArrowLeft")
    expect(plot).not_to_have_attribute("aria-valuetext", last)
    page.locator("[data-panel=spend] summary").click()
    row = page.locator("[data-panel=spend] tbody tr").last
    expect(row).to_contain_text(last.split(":")[0])
    assert maya.errors == []


def test_it_fits_a_phone_with_the_chosen_group_in_sight_and_words_for_nothing_spent(maya, server, shots):
    page = maya.page
    page.set_viewport_size({"width": 390, "height": 844})
    opened(page, server.url + "/usage/?groupBy=conversation")
    seen = """() => {
      const group = document.querySelector("[data-panel=groups-by]").getBoundingClientRect();
      const chosen = document.querySelector("[data-panel=groups-by] [aria-current]").getBoundingClientRect();
      return chosen.left >= group.left && chosen.right <= group.right + 1;
    }"""
    page.wait_for_function(seen)
    page.screenshot(path=str(shots / "usage-chosen-phone.png"))
    page.route("**/api/usage/overview*", free_of_charge)
    opened(page, server.url + "/usage/")
    expect(page.locator("[data-panel=spend]")).to_have_text("What ran in this time cost nothing.")
    page.screenshot(path=str(shots / "usage-free-phone.png"))
    page.unroute("**/api/usage/overview*")
    page.set_viewport_size({"width": 1440, "height": 900})
    assert maya.errors == []


def free_of_charge(route) -> None:
    """The same numbers, as if all of it ran on one's own machine."""
    answer = route.fetch()
    body = answer.json()
    body["totals"]["cost"] = "0"
    route.fulfill(response=answer, json=body)


def test_a_chart_has_as_many_words_as_it_has_room_for(maya, server):
    """Also where its width came after it was drawn."""
    page = opened(maya.page, server.url + "/usage/")
    drawn = """() => {
      const old = document.querySelector("[data-panel=spend] nexus-usage-plot");
      const data = { ...old.data };
      const words = [];
      data.parts = data.parts.map((part) => ({ ...part, get axis() { words.push(part.axis); return part.axis; } }));
      const made = document.createElement("nexus-usage-plot");
      made.hidden = true;
      made.data = data;
      old.replaceWith(made);
      words.length = 0;
      made.hidden = false;
      return new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(() => done(new Set(words).size)))));
    }"""
    assert page.evaluate(drawn) > 5


def test_a_panel_that_failed_says_so_and_tries_again(maya, server):
    page = maya.page
    page.route(
        "**/api/usage/latencies*",
        lambda route: route.fulfill(
            status=503,
            json={"error": {"code": "unavailable", "message": "The database is away.", "requestId": "abc"}},
        ),
    )
    opened(page, server.url + "/usage/")
    fault = page.locator("[data-panel=times] [role=alert]")
    expect(fault).to_contain_text("The database is away.")
    expect(page.locator(".groups tbody tr").first).to_be_visible()
    page.unroute("**/api/usage/latencies*")
    fault.locator("button").click()
    expect(page.locator(".times tbody tr").first).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", list(SIZES))
def test_it_is_clean_and_fits(maya, server, shots, scheme, size):
    page = maya.page
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": SIZES[size][0], "height": SIZES[size][1]})
    opened(page, server.url + "/usage/?groupBy=conversation")
    page.screenshot(path=str(shots / f"dashboard-{size}-{scheme}.png"))
    assert broken_rules(page) == []
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
    page.locator(".requests tbody a").first.click()
    expect(page.locator(".one-request .facts")).to_be_visible()
    assert broken_rules(page) == []
    assert maya.errors == []
