"""Budgets over HTTP: who sees and sets them, exact money, what they show while calls are under way."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import orjson
import pytest
from django.test import Client

from billing.budget_models import Budget, BudgetAlert, BudgetPeriod
from billing.budgets import budget_change, budget_create, budget_end
from billing.meter import DbMeter
from conversations.services.conversations import conversation_create
from nexus_core.usage import Usage
from workspaces.access import Actor, Forbidden
from workspaces.models import AuditEvent
from workspaces.tokens import token_create

from .booking import reserve, settle
from .conftest import request_to
from .money import IN, most, price_of

pytestmark = pytest.mark.django_db(transaction=True)
REQUEST = request_to("m1", max_tokens=1000)


class Api:
    """A person at the HTTP API, logged in by cookie."""

    def __init__(self, actor: Actor) -> None:
        self._client = Client()
        self._client.force_login(actor.user, backend="django.contrib.auth.backends.ModelBackend")

    def get(self, path: str) -> Any:
        return self._client.get(path)

    def delete(self, path: str) -> Any:
        return self._client.delete(path)

    def post(self, path: str, body: Any) -> Any:
        return self._client.post(path, orjson.dumps(body), content_type="application/json")

    def patch(self, path: str, body: Any) -> Any:
        return self._client.patch(path, orjson.dumps(body), content_type="application/json")


def api(actor: Actor) -> Api:
    return Api(actor)


def made(actor: Actor, **body: Any) -> dict[str, Any]:
    answer = api(actor).post("/api/budgets", {"limit": "1.00", **body})
    assert answer.status_code == 201, answer.content
    found: dict[str, Any] = answer.json()
    return found


def test_it_makes_shows_changes_and_ends_a_budget(alice: Actor) -> None:
    budget = made(alice, scope="workspace", limit="1.00", period="day", hard=True)
    assert (budget["limit"], budget["spent"], budget["reserved"]) == ("1", "0", "0")
    assert (budget["hard"], budget["onEnd"], budget["alertAt"]) == (True, "shrink", [50, 80, 100])
    listed = api(alice).get("/api/budgets").json()
    assert [one["id"] for one in listed["items"]] == [budget["id"]] and listed["nextCursor"] is None
    changed = api(alice).patch(f"/api/budgets/{budget['id']}", {"limit": "0.000000000001", "name": "Tiny"})
    assert (changed.json()["limit"], changed.json()["name"]) == ("0.000000000001", "Tiny")
    assert api(alice).get(f"/api/budgets/{budget['id']}").json()["period"] == "day"
    assert api(alice).delete(f"/api/budgets/{budget['id']}").status_code == 204
    assert api(alice).get(f"/api/budgets/{budget['id']}").status_code == 404
    assert api(alice).get("/api/budgets").json()["items"] == []
    told = AuditEvent.objects.order_by("id").values_list("action", flat=True)
    assert [one for one in told if one.startswith("budget")] == [
        "budget_created",
        "budget_changed",
        "budget_deleted",
    ]


def test_it_shows_what_is_spent_and_reserved_exactly(alice: Actor) -> None:
    price_of()
    budget = made(alice, limit="0.01", period="total")
    meter = DbMeter(workspace_id=alice.workspace_id)
    settle(reserve(meter, request_to("m1", max_tokens=10)), Usage(input=3))
    going = reserve(meter, REQUEST)
    shown = api(alice).get(f"/api/budgets/{budget['id']}").json()
    assert (shown["spent"], shown["limit"]) == ("0.000003", "0.01")
    held = most(REQUEST)
    assert BudgetPeriod.objects.get().reserved == held
    assert shown["reserved"] == f"0.{held:012d}".rstrip("0")
    settle(going, Usage(input=1))
    assert api(alice).get(f"/api/budgets/{budget['id']}").json()["reserved"] == "0"


@pytest.mark.parametrize("who", ["bob", "vera"])
def test_only_admins_set_budgets(alice: Actor, who: str, request: pytest.FixtureRequest) -> None:
    budget = made(alice)
    actor = request.getfixturevalue(who)
    for change in (
        lambda: budget_create(actor=actor, scope="workspace", period="day", fields={"limit": "1"}),
        lambda: budget_change(actor=actor, budget_id=budget["id"], changes={"limit": "9"}),
        lambda: budget_end(actor=actor, budget_id=budget["id"]),
    ):
        with pytest.raises(Forbidden):
            change()
    other = api(actor)
    assert other.post("/api/budgets", {"limit": 0.1}).status_code == 403, "whatever is in the body"
    assert other.post("/api/budgets", {"limit": "1"}).status_code == 403
    assert other.patch(f"/api/budgets/{budget['id']}", {"limit": "9"}).status_code == 403
    assert other.delete(f"/api/budgets/{budget['id']}").status_code == 403
    assert other.get(f"/api/budgets/{budget['id']}").json()["limit"] == "1"


def test_members_see_their_own_and_what_is_everybodys(alice: Actor, bob: Actor) -> None:
    private = conversation_create(actor=alice, title="Secret", visibility="private")
    token = token_create(user=alice.user, workspace=alice.workspace, name="cron").row
    made(alice, scope="agent", scopeId="demo-agent", name="agent")
    made(alice, scope="user", scopeId=str(bob.user_id), name="bob")
    made(alice, scope="user", scopeId=str(alice.user_id), name="alice")
    made(alice, scope="token", scopeId=str(token.pk), name="token")
    made(alice, scope="conversation", scopeId=str(private.pk), name="talk")
    seen = api(bob).get("/api/budgets")
    assert [one["name"] for one in seen.json()["items"]] == ["agent", "bob"]
    assert b"Secret" not in seen.content
    assert len(api(alice).get("/api/budgets").json()["items"]) == 5


def test_a_thing_of_another_workspace_is_not_there(alice: Actor, charlie: Actor) -> None:
    theirs = conversation_create(actor=charlie, title="Theirs")
    for scope, key in (
        ("conversation", str(theirs.pk)),
        ("user", str(charlie.user_id)),
        ("agent", "no-such"),
        ("token", str(uuid4())),
        ("workspace", str(charlie.workspace_id)),
        ("user", "no uuid"),
    ):
        answer = api(alice).post("/api/budgets", {"scope": scope, "scopeId": key, "limit": "1"})
        assert answer.status_code == 404, scope
    budget = made(charlie)
    assert api(alice).get(f"/api/budgets/{budget['id']}").status_code == 404
    assert api(alice).delete(f"/api/budgets/{budget['id']}").status_code == 404


@pytest.mark.parametrize(
    "wrong",
    [
        {"limit": "-1"},
        {"limit": "NaN"},
        {"limit": "Infinity"},
        {"limit": "1e30"},
        {"limit": "0.0000000000001"},
        {"limit": 0.1},
        {"limit": True},
        {"limit": None},
        {"limit": "1", "period": "week"},
        {"limit": "1", "scope": "user"},
        {"limit": "1", "alertAt": [0]},
        {"limit": "1", "webhookUrl": "ftp://x"},
        {"limit": "1", "webhookUrl": "http://me:secret@x"},
        {},
    ],
)
def test_it_refuses_what_cannot_be(alice: Actor, wrong: dict[str, Any]) -> None:
    assert api(alice).post("/api/budgets", wrong).status_code == 422
    assert not Budget.objects.exists()


def test_the_secret_of_a_webhook_is_told_once(alice: Actor, bob: Actor) -> None:
    budget = made(alice, webhookUrl="https://example.org/hook")
    assert budget["webhookSecret"].startswith("whsec_")
    again = api(alice).get(f"/api/budgets/{budget['id']}").json()
    assert "webhookSecret" not in again and again["webhookUrl"] == "https://example.org/hook"
    assert api(bob).get(f"/api/budgets/{budget['id']}").json()["webhookUrl"] is None
    renamed = api(alice).patch(f"/api/budgets/{budget['id']}", {"name": "x"}).json()
    assert "webhookSecret" not in renamed


def test_a_lower_limit_holds_at_once_and_what_it_reaches_is_told_once(alice: Actor) -> None:
    price_of()
    budget = made(alice, limit="10", period="total", alertAt=[50, 100])
    settle(reserve(DbMeter(workspace_id=alice.workspace_id), REQUEST), Usage(input=3))
    assert not BudgetAlert.objects.exists()
    for _ in range(2):
        api(alice).patch(f"/api/budgets/{budget['id']}", {"limit": f"0.{5 * IN:012d}"})
    assert list(BudgetAlert.objects.values_list("percent", flat=True)) == [50]


def test_the_admin_changes_a_limit_exactly_and_shows_no_secret(alice: Actor, operator: Client) -> None:
    budget = made(alice, limit="1", webhookUrl="https://example.org/hook")
    address = f"/admin/billing/budget/{budget['id']}/change/"
    page = operator.get(address)
    assert page.status_code == 200 and budget["webhookSecret"].encode() not in page.content
    form = {
        "name": "Ours",
        "limit_usd": "0.123456789012",
        "on_end": "refuse",
        "alert_at": "[90, 10]",
        "hard": "on",
    }
    assert operator.post(address, form).status_code == 302
    changed = Budget.objects.get()
    assert (changed.limit, changed.on_end, changed.alert_at) == (123_456_789_012, "refuse", [10, 90])
    assert operator.post(address, {**form, "alert_at": "[0]"}).status_code == 200
