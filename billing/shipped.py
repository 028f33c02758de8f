"""Prices that an installation starts with: explicit rows for the shipped agents' models, 0 for own hardware."""

from __future__ import annotations

from django.utils import timezone

from agents.providers import table
from agents.seeds import on_seed
from agents.selectors import register_last_used
from agents.shipped import AGENTS
from billing.models import PriceVersion
from billing.plans import plans_seed
from billing.prices import price_sheet_for
from billing.selectors import agents_last_used


def prices_seed() -> int:
    """Writes the rows that are missing; how many. A price in force stays as it is."""
    before = PriceVersion.objects.count()
    now = timezone.now()
    wanted = {(agent.provider, agent.model) for agent in AGENTS}
    wanted |= {choice for agent in AGENTS for choice in agent.fallback}
    wanted |= {(spec.name, "*") for spec in table().values() if spec.free}
    for provider, model in sorted(wanted):
        price_sheet_for(provider, model, now)
    return PriceVersion.objects.count() - before


def register() -> None:
    """Called once, when the apps are ready."""
    on_seed(_seed)
    register_last_used(agents_last_used)


def _seed() -> str:
    return f"{prices_seed()} prices, {plans_seed()} plans"
