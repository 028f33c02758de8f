"""Prices are added in dollars and kept exactly; requests are looked up with their sums."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from billing.models import Attempt, PriceVersion
from billing.prices import price_for
from nexus_core.usage import Usage
from workspaces.access import Actor

pytestmark = pytest.mark.django_db

BACKEND = "django.contrib.auth.backends.ModelBackend"
PRICE = {
    "provider": "acme",
    "model": "acme-1",
    "valid_from_0": "2026-11-01",
    "valid_from_1": "00:00:00",
    "valid_to_0": "",
    "valid_to_1": "",
    "source": "their page",
    "input": "0.0375",
    "output": "0.15",
    "cache_read": "",
    "cache_write_5m": "",
    "cache_write_1h": "",
    "reasoning": "",
}


def test_a_price_is_entered_in_dollars_and_kept_exactly(operator: Client) -> None:
    response = operator.post("/admin/billing/priceversion/add/", PRICE)
    assert response.status_code == 302, response.content
    row = PriceVersion.objects.get()
    # $0.0375 per million tokens are 37,500 pico-USD a token
    assert (row.origin, row.input, row.output, row.cache_read, row.reasoning) == (
        "override",
        37_500,
        150_000,
        37_500,
        None,
    )


def test_a_second_price_ends_the_first(operator: Client) -> None:
    operator.post("/admin/billing/priceversion/add/", PRICE)
    operator.post("/admin/billing/priceversion/add/", {**PRICE, "valid_from_0": "2026-11-15", "input": "1"})
    first, second = PriceVersion.objects.order_by("valid_from")
    assert first.valid_to == second.valid_from
    assert second.input == 1_000_000


def test_fees_are_entered_in_dollars_and_kept_exactly(operator: Client) -> None:
    fees = {"per_request": "0.005", "per_search": "0.010000000001"}
    assert b"Each web search" in operator.get("/admin/billing/priceversion/add/").content
    operator.post(
        "/admin/billing/priceversion/add/",
        {**PRICE, **fees, "tier_over": "200000", "tier_input": "2", "tier_output": "3"},
    )
    at = PriceVersion.objects.first().valid_from  # type: ignore[union-attr]
    for tokens in (1_000, 300_000):
        found = price_for("acme", "acme-1", at, tokens)
        assert found is not None
        assert (found[1].per_request, found[1].per_search) == (5_000_000_000, 10_000_000_001)
        asked = Usage(input=tokens, searches=3)
        assert found[1].cost(asked).input == tokens * found[1].input + 5_000_000_000 + 3 * 10_000_000_001


def test_no_fee_entered_is_none(operator: Client) -> None:
    operator.post("/admin/billing/priceversion/add/", PRICE)
    row = PriceVersion.objects.get()
    assert (row.per_request, row.per_search) == (None, None)


def test_a_second_tier_is_entered_with_it(operator: Client) -> None:
    operator.post(
        "/admin/billing/priceversion/add/",
        {**PRICE, "tier_over": "200000", "tier_input": "2", "tier_output": "3"},
    )
    at = PriceVersion.objects.first().valid_from  # type: ignore[union-attr]
    low, high = (price_for("acme", "acme-1", at, tokens) for tokens in (200_000, 200_001))
    assert low is not None
    assert high is not None
    assert (low[1].input, high[1].input) == (37_500, 2_000_000)


@pytest.mark.parametrize(
    "wrong",
    [
        {"input": "-1"},
        {"input": "NaN"},
        {"input": "0.0000001"},
        {"input": ""},
        {"tier_over": "5"},
        {"per_request": "-1"},
        {"per_search": "0.0000000000001"},
        {"valid_to_0": "2020-01-01", "valid_to_1": "00:00"},
    ],
)
def test_what_is_no_price_is_refused(operator: Client, wrong: dict[str, str]) -> None:
    response = operator.post("/admin/billing/priceversion/add/", {**PRICE, **wrong})
    assert response.status_code == 200
    assert not PriceVersion.objects.exists()


def test_a_price_is_neither_changed_nor_deleted(operator: Client) -> None:
    operator.post("/admin/billing/priceversion/add/", PRICE)
    row = PriceVersion.objects.get()
    page = f"/admin/billing/priceversion/{row.pk}/"
    assert operator.get(page + "change/").status_code == 200
    assert operator.post(page + "change/", {**PRICE, "input": "9"}).status_code == 403
    assert operator.post(page + "delete/", {"post": "yes"}).status_code == 403
    assert operator.get("/admin/billing/priceversion/").status_code == 200
    assert PriceVersion.objects.get().input == 37_500


def test_requests_are_listed_with_the_sums_of_what_is_selected(
    operator: Client, alice: Actor, spend: Callable[..., Any]
) -> None:
    for _ in range(3):
        spend(alice, usage=Usage(input=1000))
    spend(alice, "no-such-model", Usage(input=5), provider="openai")
    page = operator.get("/admin/billing/attempt/").content.decode()
    assert "4 requests (0 failed), 3,005 tokens, $0.006, 1 unpriced" in page
    assert "Alice" in page
    page = operator.get("/admin/billing/attempt/?provider=openai").content.decode()
    assert "1 request (0 failed), 5 tokens, $0, 1 unpriced" in page
    row = Attempt.objects.first()
    assert row is not None
    assert operator.get(f"/admin/billing/attempt/{row.pk}/change/").status_code == 200
    assert str(row.pk) in operator.get(f"/admin/billing/attempt/?q={row.pk}").content.decode()
    assert operator.get("/admin/billing/attempt/?q=no-such-thing").status_code == 200


def test_staff_of_one_workspace_see_nothing_of_another(
    alice: Actor, charlie: Actor, spend: Callable[..., Any]
) -> None:
    from django.contrib.auth.models import Permission

    spend(alice, agent_slug="acmes-agent")
    spend(charlie, agent_slug="charlies-agent")
    charlie.user.is_staff = True
    charlie.user.save()
    charlie.user.user_permissions.set(Permission.objects.filter(content_type__app_label="billing"))
    client = Client()
    client.force_login(charlie.user, backend=BACKEND)
    page = client.get("/admin/billing/attempt/").content.decode()
    assert "charlies-agent" in page
    assert "acmes-agent" not in page
    row = Attempt.objects.get(agent_slug="acmes-agent")
    assert client.get(f"/admin/billing/attempt/{row.pk}/change/").status_code == 302
    assert client.get("/admin/billing/priceversion/add/").status_code == 403
