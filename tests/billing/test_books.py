"""The books: alerts told once and delivered, the proof of the sums and its repair, a provider's own account."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from typing import Any
from uuid import uuid4

import orjson
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from django.core import mail
from django.core.management import CommandError, call_command
from django.utils import timezone

from billing.budget_models import Budget, BudgetAlert, BudgetPeriod, LedgerEntry, Reservation
from billing.budgets import budgets_seen, budgets_wire
from billing.dashboard import Chosen, usage_overview
from billing.delivery import alerts_deliver, signature
from billing.meter import DbMeter
from billing.models import Attempt
from billing.proof import LOST_AFTER, attempts_settle_lost, budgets_prove, reservations_repair
from billing.reconcile import ExportUnreadable, export_read
from billing.reserving import Caller
from billing.tool_costs import tool_charge_in_transaction
from nexus_core.usage import Usage, pico_to_usd, usd_to_pico
from realtime.models import Activity
from workspaces.access import Actor
from workspaces.database import in_database

from .booking import reserve, settle
from .conftest import request_to
from .money import IN, budget_of, holds, price_of, somewhere

pytestmark = pytest.mark.usefixtures("within_a_day")

REQUEST = request_to("m1", max_tokens=1000)


def spend(where: Any, tokens: int, **ids: Any) -> Attempt:
    attempt = reserve(DbMeter(workspace_id=where, **ids), REQUEST)
    settle(attempt, Usage(input=tokens), request_id=f"req-{tokens}", model="m1")
    return Attempt.objects.get(pk=attempt.id)


# --- alerts ---


@pytest.fixture
def frames(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = []
    monkeypatch.setattr(
        "billing.alerts.publish", lambda room, *found: told.extend(orjson.loads(f.text) for f in found)
    )
    return told


@pytest.mark.django_db(transaction=True)
def test_each_percentage_of_a_period_is_told_once(alice: Actor, frames: list[dict[str, Any]]) -> None:
    price_of()
    budget_of(
        alice.workspace_id, 10_000 * IN, name="Team", alert_at=[50, 80, 100], hard=False, period="month"
    )
    for tokens in (4999, 1, 1, 2998, 1, 1, 5000):
        spend(alice.workspace_id, tokens)
    assert [(frame["type"], frame["percent"]) for frame in frames] == [
        ("budget.warning", 50), ("budget.warning", 80), ("budget.warning", 100),
    ]  # fmt: skip
    assert (frames[0]["name"], frames[0]["spent"], frames[0]["limit"]) == ("Team", "0.005", "0.01")
    told = Activity.objects.filter(activity_type="budget-warning").order_by("created_at")
    assert [one.metadata["percent"] for one in told] == [50, 80, 100]
    assert BudgetPeriod.objects.get().next_alert is None


@pytest.mark.django_db(transaction=True)
def test_one_call_over_several_percentages_is_told_as_the_highest(
    alice: Actor, frames: list[dict[str, Any]]
) -> None:
    price_of()
    budget_of(alice.workspace_id, 10_000 * IN, hard=False)
    spend(alice.workspace_id, 9000)
    assert [frame["percent"] for frame in frames] == [80]
    assert list(BudgetAlert.objects.order_by("percent").values_list("percent", "done")) == [
        (50, True),
        (80, False),
    ]


@pytest.mark.django_db(transaction=True)
def test_a_warning_names_no_private_conversation(alice: Actor, frames: list[dict[str, Any]]) -> None:
    price_of()
    talk = uuid4()
    budget_of(alice.workspace_id, IN, hard=False, scope="conversation", scope_id=str(talk))
    spend(alice.workspace_id, 9, conversation_id=talk)
    assert frames and str(talk) not in str(frames)
    assert str(talk) not in str(list(Activity.objects.values_list("metadata", flat=True)))


@pytest.mark.django_db(transaction=True)
async def test_alerts_go_out_by_mail_and_signed_webhook_once(alice: Actor, bob: Actor, settings: Any) -> None:
    settings.NEXUS_FETCH_PRIVATE = True
    heard: list[tuple[dict[str, str], bytes]] = []
    answers = iter([500, 200, 200])

    async def hook(request: web.Request) -> web.Response:
        heard.append((dict(request.headers), await request.read()))
        return web.Response(status=next(answers))

    app = web.Application()
    app.router.add_post("/hook", hook)
    async with TestServer(app) as server:
        url = str(server.make_url("/hook"))

        def prepare() -> None:
            price_of()
            budget_of(
                alice.workspace_id, IN, name="Bob's", hard=False, scope="user", scope_id=str(bob.user_id),
                webhook_url=url, webhook_secret="whsec_x", alert_at=[100],
            )  # fmt: skip
            spend(alice.workspace_id, 3, user_id=bob.user_id)

        await in_database(prepare)
        assert await alerts_deliver() == 0  # the hook said 500
        assert await alerts_deliver() == 0  # and it is not yet time again
        await in_database(lambda: BudgetAlert.objects.update(try_after=None))
        assert await alerts_deliver() == 1
        await in_database(lambda: BudgetAlert.objects.update(try_after=None))
        assert await alerts_deliver() == 0
    [message] = mail.outbox
    assert sorted(message.bcc) == ["alice@example.org", "bob@example.org"] and not message.to
    assert "100 %" in message.subject and "Bob's" in message.body
    assert len(heard) == 2
    headers, body = heard[1]
    at, sent = (part.partition("=")[2] for part in headers["Nexus-Signature"].split(","))
    assert sent == signature("whsec_x", at, body) != signature("other", at, body)
    assert orjson.loads(body)["percent"] == 100
    assert headers["Nexus-Delivery"] == heard[0][0]["Nexus-Delivery"]


@pytest.mark.django_db(transaction=True)
async def test_a_webhook_reaches_nothing_inside_the_house(alice: Actor, settings: Any) -> None:
    settings.NEXUS_FETCH_PRIVATE = False
    asked: list[str] = []

    async def hook(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response()

    app = web.Application()
    app.router.add_post("/hook", hook)
    async with TestServer(app) as server:

        def prepare() -> None:
            price_of()
            budget_of(
                alice.workspace_id, IN, hard=False, email=False, webhook_url=str(server.make_url("/hook"))
            )
            spend(alice.workspace_id, 3)

        await in_database(prepare)
        assert await alerts_deliver() == 0
    assert not asked
    alert = await in_database(BudgetAlert.objects.get, done=False)
    assert "public internet" in alert.fault


# --- the proof ---


def check(*args: str) -> str:
    out = StringIO()
    call_command("budgets_check", *args, stdout=out)
    return out.getvalue()


@pytest.mark.django_db
def test_it_proves_the_sums_and_repairs_what_was_written_past_them() -> None:
    price_of()
    where = somewhere()
    budget_of(where, 10**15, name="Ours")
    spend(where, 7)
    going = reserve(DbMeter(workspace_id=where), REQUEST)
    assert "1 periods: 0 differ" in check()
    BudgetPeriod.objects.update(spent=999, reserved=1)
    with pytest.raises(SystemExit):
        check()
    told = check("--repair")
    assert "Ours (total): spent 999" in told and "1 differ" in told
    assert list(budgets_prove()) == []
    settle(going, Usage(input=2))
    assert BudgetPeriod.objects.get().spent == 9 * IN
    holds(quiet=True)


@pytest.mark.django_db
def test_it_gives_back_what_a_closed_attempt_still_holds() -> None:
    price_of()
    where = somewhere()
    budget_of(where, 10**15)
    spend(where, 7)
    line = Reservation.objects.get()
    Reservation.objects.update(open=True)
    BudgetPeriod.objects.update(reserved=line.amount)
    assert list(budgets_prove()) == []  # held, and said to be held: a leak all the same
    assert reservations_repair() == 1
    assert reservations_repair() == 0
    holds(quiet=True)


@pytest.mark.django_db
def test_a_request_without_a_run_whose_process_died_is_settled_after_an_hour() -> None:
    price_of()
    where = somewhere()
    budget_of(where, 10**15)
    reserve(DbMeter(workspace_id=where), REQUEST)
    assert attempts_settle_lost() == 0
    Attempt.objects.update(reserved_at=timezone.now() - LOST_AFTER - timedelta(seconds=1))
    assert attempts_settle_lost() == 1
    entry = LedgerEntry.objects.get()
    assert (entry.estimated, entry.amount) == (True, Attempt.objects.get().cost_total)
    holds(quiet=True)


@pytest.mark.django_db
def test_what_a_tool_cost_is_booked_once_and_proved() -> None:
    where, call = somewhere(), uuid4()
    budget_of(where, 10**15)
    charge: Callable[[], bool] = lambda: tool_charge_in_transaction(  # noqa: E731
        Caller(where), run_id=None, tool_id=call, tool="search", amount=usd_to_pico("0.005")
    )
    assert charge() and not charge()
    assert (BudgetPeriod.objects.get().spent, LedgerEntry.objects.count()) == (5 * 10**9, 1)
    assert list(budgets_prove()) == []
    holds(quiet=True)


@pytest.mark.parametrize("wrong", ["-1", "NaN", "x", "1e30", "0.0000000000001", 0.5, True, None])
def test_a_cost_that_is_none_is_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match=r"amount|finer"):
        usd_to_pico(wrong)
    assert usd_to_pico("0.0000000375") == 37_500


@pytest.mark.django_db
def test_m9_dashboard_budget_and_ledger_say_the_same(alice: Actor) -> None:
    price_of()
    budget_of(alice.workspace_id, 10**15, period="month")
    for tokens in (3, 5, 1234):
        spend(alice.workspace_id, tokens)
    [budget] = budgets_wire(alice, budgets_seen(alice))
    totals = usage_overview(alice, Chosen("month"))["totals"]
    ledger = sum(LedgerEntry.objects.values_list("amount", flat=True))
    assert budget["spent"] == totals["cost"] == pico_to_usd(ledger) == "0.001242"


# --- a provider's own account ---


@pytest.mark.django_db
def test_an_export_with_requests_is_compared_request_by_request(tmp_path: Any) -> None:
    price_of()
    where = somewhere()
    for tokens in (5, 6, 8):
        spend(where, tokens)
    day = timezone.now().date().isoformat()
    file = tmp_path / "usage.csv"
    file.write_text(
        "request_id,date,input_tokens,output_tokens,cost\n"
        f"req-5,{day},5,0,0.000005\nreq-6,{day},7,0,\nreq-7,{day},7,0,\n"
    )
    out = StringIO()
    with pytest.raises(SystemExit):
        call_command("usage_reconcile", "openai", str(file), stdout=out)
    told = out.getvalue()
    assert "3 differ" in told and "req-5" not in told
    assert "req-6: the provider counts input 7, the ledger input 6" in told
    assert "req-7: not in the ledger" in told and "req-8: not in the export" in told


@pytest.mark.django_db
@pytest.mark.parametrize("form", ["list", "lines", "data"])
def test_an_export_without_requests_is_compared_by_day_and_model(form: str, tmp_path: Any) -> None:
    price_of()
    where = somewhere()
    for tokens in (5, 6):
        spend(where, tokens)
    row = {
        "date": timezone.now().date().isoformat(),
        "model": "m1",
        "prompt_tokens": 11,
        "completion_tokens": 0,
    }
    text = {
        "list": orjson.dumps([row]), "lines": orjson.dumps(row), "data": orjson.dumps({"data": [row]}),
    }[form]  # fmt: skip
    file = tmp_path / "usage.json"
    file.write_bytes(text)
    out = StringIO()
    call_command("usage_reconcile", "openai", str(file), stdout=out)
    assert "0 differ" in out.getvalue()


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", "[1]", "{", '[{"input_tokens": "x"}]'])
def test_an_export_that_cannot_be_read_says_why(text: str) -> None:
    with pytest.raises(ExportUnreadable):
        export_read(text)


def test_a_missing_file_is_said(tmp_path: Any) -> None:
    with pytest.raises(CommandError, match="nowhere"):
        call_command("usage_reconcile", "openai", str(tmp_path / "nowhere.csv"))


@pytest.mark.django_db
def test_what_an_older_server_settled_is_closed_in_the_ledger() -> None:
    where = somewhere()
    now = timezone.now()
    Attempt.objects.create(
        workspace_id=where, provider="p", model="m", status="SETTLED", reserved_at=now, settled_at=now
    )
    assert "Closed 1 requests" in check("--repair")
    assert "Closed 0 requests" in check("--repair")
    assert LedgerEntry.objects.get().amount is None
    assert not Budget.objects.exists()
