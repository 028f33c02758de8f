"""Budgets in the browser: set by an admin, watched by everyone, told where they end something and before they do."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from .conftest import live
from .test_chat import ANSWER, finished, start_with
from .test_looks import SIZES, broken_rules

PRICED = """
from datetime import UTC, datetime
from billing.prices import TierPrices, price_version_add
price_version_add(provider="scripted", model="demo", at=datetime(2020, 1, 1, tzinfo=UTC),
    tiers=[TierPrices(*[2_000_000] * 5)])
"""
NONE = "from billing.budget_models import Budget; from django.utils import timezone; Budget.objects.update(deleted_at=timezone.now())"
SPENT = f"""
{NONE}
from billing.budget_models import BudgetPeriod
from billing.reserving import period_key
from workspaces.models import Workspace
where = Workspace.objects.get(slug="team").pk
for name, spent, reserved, hard in (
    ("Drafts", 25, 8, True), ("Research", 83, 0, True), ("Trials", 100, 0, True), ("Watched", 120, 0, False),
):
    budget = Budget.objects.create(workspace_id=where, name=name, limit=10**13, hard=hard)
    key = period_key("month", timezone.now())
    BudgetPeriod.objects.create(budget=budget, key=key, spent=spent * 10**11, reserved=reserved * 10**11)
"""
ONE = """
from billing.budget_models import Budget
from workspaces.models import Workspace
Budget.objects.create(workspace_id=Workspace.objects.get(slug="team").pk, name="Team", limit={limit}, hard={hard},
    alert_at=[50], email=False)
"""


@pytest.fixture(autouse=True, scope="module")
def no_budget_is_left(server):
    """The other files' runs, on the same server, are held by none."""
    yield
    run(server, NONE)


def run(server, code):
    server.manage("shell", "-v", "0", "-c", code)


def filled(page):
    expect(page.locator("[data-panel=budgets]:not([aria-busy])")).to_be_visible()


def line(page, text):
    return page.locator(".budgets > li", has_text=text)


def test_an_admin_sets_changes_and_ends_a_budget_and_a_member_only_sees_it(people, server):
    run(server, NONE)
    alice, bob = people["alice"], people["bob"]
    page = alice.page
    page.goto(server.url + "/usage/")
    filled(page)
    expect(page.locator("[data-panel=budgets]")).to_contain_text("Nobody is held by a budget here")
    page.locator("summary", has_text="Set a budget").click()
    form = page.get_by_role("form", name="A new budget")
    form.locator("[name=of]").select_option(label="The whole workspace")
    form.locator("[name=limit]").fill("12.50")
    form.locator("[name=period]").select_option("day")
    form.get_by_role("button", name="Set").click()
    expect(line(page, "$12.50 today")).to_contain_text("$0 of $12.50 today")
    expect(line(page, "$12.50 today")).to_contain_text("Room left")
    expect(form).to_be_hidden()

    page.locator("summary", has_text="Set a budget").click()
    form.locator("[name=limit]").fill("99999999999")
    form.get_by_role("button", name="Set").click()
    expect(form.get_by_role("alert")).to_contain_text("is no amount of dollars")
    page.locator("summary", has_text="Set a budget").click()

    line(page, "$12.50 today").get_by_role("button", name=re.compile("Change")).click()
    change = page.locator(".budgets form")
    change.locator("[name=limit]").fill("8")
    change.locator("[name=name]").fill("Every day")
    change.locator("[name=end]").select_option("refuse")
    change.get_by_role("button", name="Save").click()
    expect(line(page, "Every day")).to_contain_text("$0 of $8.00 today")

    bob.page.goto(server.url + "/usage/")
    expect(line(bob.page, "Every day")).to_be_visible()
    expect(bob.page.locator("form.make")).to_have_count(0)
    expect(bob.page.locator(".budgets button")).to_have_count(0)

    line(page, "Every day").get_by_role("button", name=re.compile("End")).click()
    page.get_by_role("button", name="Cancel").click()
    expect(line(page, "Every day")).to_be_visible()
    line(page, "Every day").get_by_role("button", name=re.compile("End")).click()
    page.get_by_role("button", name="End it").click()
    expect(page.locator("[data-panel=budgets]")).to_contain_text("Nobody is held")
    assert [error for error in alice.errors if "400" not in error and "422" not in error] == []
    assert bob.errors == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", ["wide", "phone"])
def test_budgets_are_clean_and_fit(people, server, shots, scheme, size):
    if scheme == "light" and size == "wide":
        run(server, SPENT)
    page = people["alice"].page
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": SIZES[size][0], "height": SIZES[size][1]})
    page.goto(server.url + "/usage/?range=week")
    filled(page)
    expect(line(page, "Trials")).to_contain_text("Used up")
    page.locator("summary", has_text="Set a budget").click()
    line(page, "Research").get_by_role("button", name=re.compile("Change")).click()
    page.locator(".budgets-now").screenshot(path=str(shots / f"budgets-{size}-{scheme}.png"))
    assert broken_rules(page) == []
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0


def test_it_says_beforehand_what_a_message_costs_at_most_and_moves_nothing(people, server, shots):
    run(server, NONE + PRICED)
    alice = people["alice"]
    page = alice.page
    start_with(page, "demo-agent")
    box = page.locator("nexus-prompt-input textarea")
    most = page.locator("nexus-prompt-input .most")
    with page.expect_response("**/api/budgets"):  # there is none, and nobody asked for prices
        box.press_sequentially("How much is it?")
    assert most.inner_text() == ""
    box.fill("/cost")
    box.press("Enter")
    expect(page.locator("nexus-toast")).to_contain_text("Prices are shown")
    before = page.locator("nexus-prompt-input").bounding_box()
    box.press_sequentially("How much is it?")
    expect(most).to_have_text(re.compile(r"\$0\.\d{4} at most"))
    assert page.locator("nexus-prompt-input").bounding_box() == before
    page.screenshot(path=str(shots / "budgets-at-most.png"))
    run(server, ONE.format(limit=0, hard=True))
    box.press_sequentially(" Really?")
    expect(most).to_have_text("No room in “Team”")
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": 390, "height": 844})
        page.screenshot(path=str(shots / f"budgets-no-room-phone-{scheme}.png"))
        assert broken_rules(page) == []
        assert (
            page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
        )
    assert alice.errors == []


def test_a_refused_run_names_the_budget_and_what_can_be_done(people, server, shots):
    run(server, NONE + PRICED + ONE.format(limit=0, hard=True))
    alice = people["alice"]
    page = alice.page
    start_with(page, "demo-agent")
    alice.ask("Show me token usage statistics")
    page.wait_for_url(re.compile(r"/c/[0-9a-f-]{36}/"))
    end = page.locator(f"{ANSWER} .end")
    expect(end).to_contain_text("Out of budget")
    expect(end).to_contain_text("“Team” has no room")
    expect(end).to_contain_text("Raise it, and the answer can go on.")
    page.screenshot(path=str(shots / "budgets-refused.png"))
    page.set_viewport_size({"width": 390, "height": 844})
    page.screenshot(path=str(shots / "budgets-refused-phone.png"))
    assert broken_rules(page) == []
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
    end.get_by_role("button", name="Change budgets").click()
    page.wait_for_url(re.compile("/usage/#budgets"))
    expect(line(page, "Team")).to_contain_text("Used up")
    assert alice.errors == []


def test_a_warning_is_a_calm_word_on_every_screen_and_a_line_in_the_feed(people, server, shots):
    run(server, NONE + PRICED + ONE.format(limit=1_000_000, hard=False))
    alice, bob = people["alice"], people["bob"]
    bob.page.goto(server.url + "/")
    live(bob.page)
    start_with(alice.page, "demo-agent")
    alice.ask("Show me token usage statistics")
    alice.page.wait_for_url(re.compile(r"/c/"))
    told = bob.page.locator("nexus-toast", has_text="Team")
    expect(told).to_contain_text("50 % spent")
    bob.page.screenshot(path=str(shots / "budgets-warning.png"))
    expect(alice.page.locator("nexus-activity-feed").first).to_contain_text("reached 50 %")
    finished(alice.page)
    assert bob.errors == []
