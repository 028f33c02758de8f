"""Budgets on behalf of a person: who may see one, making, changing and ending it, and how it stands."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from agents.models import Agent
from billing.alerts import MOST_ALERTS, MOST_PERCENT, alerts_tell
from billing.budget_models import MOST_PICO, Budget, BudgetPeriod
from billing.dashboard import Wire, instant, names_of
from billing.reserving import period_key
from nexus_core.usage import pico_to_usd, usd_to_pico
from workspaces.access import Actor, Forbidden, Invalid, NotFound, require_admin
from workspaces.audit import record
from workspaces.models import ApiToken, Membership

MOST_BUDGETS = 200
TOKENS_PER_PRICE = 10**6
CHANGEABLE = frozenset(
    {"name", "limit", "hard", "on_end", "alert_at", "ceiling_per_million", "email", "webhook_url"}
)


def budgets_seen(actor: Actor) -> list[Budget]:
    """The workspace's budgets that this person may see, oldest first: all of them for admins; for others those of
    the workspace and its agents, and those of themselves, their tokens and the conversations they may read."""
    found = list(Budget.objects.filter(workspace_id=actor.workspace_id, deleted_at=None))
    if actor.is_admin:
        return found
    tokens = {
        str(pk)
        for pk in ApiToken.objects.filter(user=actor.user, workspace=actor.workspace).values_list(
            "pk", flat=True
        )
    }
    conversations = names_of(
        actor, "conversation", {UUID(one.scope_id) for one in found if one.scope == "conversation"}
    )
    mine = {
        "user": {str(actor.user_id)},
        "token": tokens,
        "conversation": {str(key) for key in conversations},
    }
    return [one for one in found if one.scope not in mine or one.scope_id in mine[one.scope]]


def access_budget(actor: Actor, budget_id: UUID | str) -> Budget:
    """Raises `NotFound` for one that is not there, or not for this person to see."""
    try:
        key = UUID(str(budget_id))
    except ValueError:
        raise NotFound() from None
    found = next((one for one in budgets_seen(actor) if one.pk == key), None)
    if found is None:
        raise NotFound()
    return found


@transaction.atomic
def budget_create(
    *, actor: Actor, scope: str, scope_id: str = "", period: str, fields: Mapping[str, Any]
) -> Budget:
    """Raises Forbidden, NotFound for a thing of another workspace, Invalid."""
    require_admin(actor)
    if Budget.objects.filter(workspace_id=actor.workspace_id, deleted_at=None).count() >= MOST_BUDGETS:
        raise Invalid(f"A workspace has {MOST_BUDGETS} budgets at most.")
    budget = Budget(
        workspace_id=actor.workspace_id,
        scope=scope,
        scope_id=_thing(actor, scope, scope_id),
        period=period,
        created_by_id=actor.user_id,
        limit=-1,
    )
    _set(budget, fields)
    if budget.limit < 0:
        raise Invalid("limit is missing: US dollars as a decimal string.")
    budget.save(force_insert=True)
    _record(actor, budget, "budget_created")
    return budget


@transaction.atomic
def budget_change(*, actor: Actor, budget_id: UUID | str, changes: Mapping[str, Any]) -> Budget:
    """What is left out stays. The new limit holds at once, in the period under way too. Raises as `budget_create`."""
    require_admin(actor)
    budget = access_budget(actor, budget_id)
    budget = Budget.objects.select_for_update().get(pk=budget.pk)
    _refuse_of_plan(budget)
    _set(budget, changes)
    budget.save()
    alerts_look_again(budget)
    _record(actor, budget, "budget_changed")
    return budget


@transaction.atomic
def budget_end(*, actor: Actor, budget_id: UUID | str) -> None:
    """It holds nobody from now on; what was spent of it stays. Raises Forbidden, NotFound."""
    require_admin(actor)
    budget = access_budget(actor, budget_id)
    _refuse_of_plan(budget)
    Budget.objects.filter(pk=budget.pk).update(deleted_at=timezone.now())
    _record(actor, budget, "budget_deleted")


def budgets_wire(actor: Actor, budgets: Sequence[Budget], now: datetime | None = None) -> list[Wire]:
    """As the API shows them, each with the period that is under way."""
    at = now or timezone.now()
    keys = {budget.pk: period_key(budget.period, at) for budget in budgets}
    periods = {
        (period.budget_id, period.key): period
        for period in BudgetPeriod.objects.filter(budget__in=keys, key__in=set(keys.values()))
    }
    people = names_of(actor, "user", {UUID(one.scope_id) for one in budgets if one.scope == "user"})
    agents = names_of(actor, "agent", {one.scope_id for one in budgets if one.scope == "agent"})
    talks = names_of(
        actor, "conversation", {UUID(one.scope_id) for one in budgets if one.scope == "conversation"}
    )
    tokens = {
        str(pk): name
        for pk, name in ApiToken.objects.filter(
            workspace_id=actor.workspace_id, pk__in=[one.scope_id for one in budgets if one.scope == "token"]
        ).values_list("pk", "name")
    }
    named: dict[str, dict[str, str | None]] = {
        "user": {str(key): name for key, name in people.items()},
        "agent": {str(key): name for key, name in agents.items()},
        "conversation": {str(key): name for key, name in talks.items()},
        "token": dict(tokens),
    }
    return [
        _wire(one, keys[one.pk], periods.get((one.pk, keys[one.pk])), named.get(one.scope, {}), actor)
        for one in budgets
    ]


def _wire(
    budget: Budget, key: str, period: BudgetPeriod | None, names: Mapping[str, str | None], actor: Actor
) -> Wire:
    spent, reserved = (period.spent, period.reserved) if period is not None else (0, 0)
    begins, ends = span_of(key)
    return {
        "id": str(budget.pk),
        "name": budget.title,
        "scope": budget.scope,
        "scopeId": budget.scope_id or None,
        "scopeName": names.get(budget.scope_id),
        "period": budget.period,
        "periodKey": key,
        "periodStart": instant(begins) if begins else None,
        "periodEnd": instant(ends) if ends else None,
        "limit": pico_to_usd(budget.limit),
        "spent": pico_to_usd(spent),
        "reserved": pico_to_usd(reserved),
        "remaining": pico_to_usd(max(0, budget.limit - spent - reserved)),
        "currency": "USD",
        "hard": budget.hard,
        "onEnd": budget.on_end,
        "alertAt": list(budget.alert_at),
        "ceilingPerMillion": None
        if budget.ceiling is None
        else pico_to_usd(budget.ceiling * TOKENS_PER_PRICE),
        "email": budget.email,
        # Its address may hold a secret of its own.
        "webhookUrl": (budget.webhook_url or None) if actor.is_admin else None,
        "fromPlan": budget.from_plan,
        "createdAt": instant(budget.created_at),
    }


def span_of(key: str) -> tuple[datetime | None, datetime | None]:
    """From when until when a period goes; `total` has no ends."""
    if key == "total":
        return None, None
    if len(key) == 10:
        begins = datetime.fromisoformat(key).replace(tzinfo=UTC)
        return begins, begins + timedelta(days=1)
    begins = datetime.fromisoformat(f"{key}-01").replace(tzinfo=UTC)
    return begins, (begins + timedelta(days=32)).replace(day=1)


def _thing(actor: Actor, scope: str, scope_id: str) -> str:
    """The id as it is kept, of a thing of this workspace. Raises NotFound, Invalid."""
    if scope == Budget.Scope.WORKSPACE:
        if scope_id and scope_id != str(actor.workspace_id):
            raise NotFound()
        return ""
    if not scope_id:
        raise Invalid(f"scopeId is missing: which {scope} the budget is for.")
    if scope == Budget.Scope.AGENT:
        there = Agent.objects.filter(workspace_id=actor.workspace_id, slug=scope_id, deleted_at=None).exists()
        if not there:
            raise NotFound()
        return scope_id
    try:
        key = UUID(scope_id)
    except ValueError:
        raise NotFound() from None
    match scope:
        case Budget.Scope.USER:
            found = Membership.objects.filter(workspace_id=actor.workspace_id, user_id=key).exists()
        case Budget.Scope.TOKEN:
            found = ApiToken.objects.filter(workspace_id=actor.workspace_id, pk=key, revoked_at=None).exists()
        case _:
            found = bool(names_of(actor, "conversation", {key}))
    if not found:
        raise NotFound()
    return str(key)


def _set(budget: Budget, fields: Mapping[str, Any]) -> None:
    """Raises `Invalid` for values that cannot be."""
    given = {name: value for name, value in fields.items() if name in CHANGEABLE}
    if "limit" in given:
        budget.limit = _pico("limit", given["limit"])
    if "ceiling_per_million" in given:
        budget.ceiling = _ceiling(given["ceiling_per_million"])
    if "alert_at" in given:
        budget.alert_at = _alerts(given["alert_at"] or ())
    if "webhook_url" in given:
        url = (given["webhook_url"] or "").strip()
        _check_url(url)
        if url != budget.webhook_url:
            budget.webhook_url = url
            budget.webhook_secret = f"whsec_{secrets.token_urlsafe(32)}" if url else ""
    for name in ("hard", "on_end", "email"):
        if given.get(name) is not None:
            setattr(budget, name, given[name])
    if given.get("name") is not None:
        budget.name = " ".join(str(given["name"]).replace("\0", " ").split())[:100]


def _pico(name: str, usd: Any) -> int:
    try:
        pico = usd_to_pico(usd)
    except ValueError as why:
        raise Invalid(f"{name}: {why}.") from None
    if pico > MOST_PICO:
        raise Invalid(f"{name} is more than any budget holds.")
    return pico


def _ceiling(usd_per_million: Any) -> int | None:
    if usd_per_million is None:
        return None
    each, rest = divmod(_pico("ceilingPerMillion", usd_per_million), TOKENS_PER_PRICE)
    if rest:
        raise Invalid("ceilingPerMillion is finer than a pico-USD for a token.")
    return each


def _alerts(value: Sequence[int]) -> list[int]:
    found = sorted(set(value))
    if len(found) > MOST_ALERTS or any(not 1 <= percent <= MOST_PERCENT for percent in found):
        raise Invalid(f"alertAt has {MOST_ALERTS} percentages at most, each from 1 to {MOST_PERCENT}.")
    return found


def _check_url(url: str) -> None:
    if not url:
        return
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and not parts.username
    except ValueError:
        good = False
    if not good or len(url) > 500 or not url.isprintable() or " " in url:
        raise Invalid("webhookUrl is an http or https address without a user name in it.")


def alerts_look_again(budget: Budget) -> None:
    """With another limit or other percentages, something may be reached now, and is told once."""
    now = timezone.now()
    periods = BudgetPeriod.objects.select_for_update().filter(
        budget=budget, key=period_key(budget.period, now)
    )
    for period in periods.order_by("id"):
        alerts_tell(period.pk)


def _refuse_of_plan(budget: Budget) -> None:
    if budget.from_plan:
        raise Forbidden("This budget belongs to the workspace's plan. Whoever runs this server sets it.")


def _record(actor: Actor, budget: Budget, action: str) -> None:
    record(
        action,
        actor=actor,
        target_type="budget",
        target_id=budget.pk,
        target_name=budget.title,
        metadata={
            "scope": budget.scope,
            "scopeId": budget.scope_id,
            "period": budget.period,
            "limit": pico_to_usd(budget.limit),
            "hard": budget.hard,
        },
    )
