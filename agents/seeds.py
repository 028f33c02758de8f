"""Filling an installation and its workspaces with what they start with. Everything can run twice.

Nothing that somebody changed or deleted is put back. Floors above register what they
want to be filled at `manage.py seed` with `on_seed`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict

from django.db import transaction

from agents.models import Agent, NewsFeed
from agents.providers import endpoints_seed
from agents.shipped import AGENTS, FEEDS, ShippedAgent
from workspaces.models import Workspace
from workspaces.services import on_workspace_created

Seed = Callable[[], str]
"""Does its part and says in a few words what it did."""

_seeds: list[Seed] = []


def on_seed(seed: Seed) -> Seed:
    """Registers a function that `manage.py seed` runs; registering it again changes nothing."""
    if seed not in _seeds:
        _seeds.append(seed)
    return seed


def registered() -> tuple[Seed, ...]:
    return tuple(_seeds)


@transaction.atomic
def agents_seed(workspace: Workspace) -> int:
    """Adds the shipped agents that this workspace never had; how many."""
    had = set(Agent.objects.filter(workspace=workspace).values_list("slug", flat=True))
    missing = [agent for agent in AGENTS if agent.slug not in had]
    for shipped in missing:
        Agent.objects.create(workspace=workspace, **fields_of(shipped))
    return len(missing)


@transaction.atomic
def feeds_seed() -> int:
    """Adds the shipped news feeds to an installation that has none; how many."""
    if NewsFeed.objects.exists():
        return 0
    NewsFeed.objects.bulk_create(NewsFeed(category=c, title=t, url=u) for c, t, u in FEEDS)
    return len(FEEDS)


def fields_of(shipped: ShippedAgent) -> dict[str, object]:
    fields = asdict(shipped)
    fields["tools"] = list(shipped.tools)
    fields["tool_approval"] = list(shipped.tool_approval)
    fields["starters"] = list(shipped.starters)
    fields["fallback"] = [{"provider": provider, "model": model} for provider, model in shipped.fallback]
    return fields


def register() -> None:
    """Called once, when the apps are ready."""
    on_workspace_created(_fill)
    on_seed(_providers)
    on_seed(_feeds)


def _fill(workspace: Workspace) -> None:
    agents_seed(workspace)


def _providers() -> str:
    return f"{endpoints_seed()} provider addresses"


def _feeds() -> str:
    return f"{feeds_seed()} news feeds"
