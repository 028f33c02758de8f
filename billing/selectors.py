"""What reading usage needs to know of people: their days, and the titles that they may read."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Literal
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.db.models import Max
from django.utils import timezone

from billing.models import Attempt
from billing.spans import span_of
from workspaces.access import Actor
from workspaces.models import User

Range = Literal["today", "week", "month", "all"]

Namer = Callable[[Actor, Iterable[UUID]], dict[UUID, str]]
"""Titles of those conversations that the actor may read."""

_name_conversations: list[Namer] = []


def register_conversation_names(namer: Namer) -> None:
    """The floor above tells the titles; the last one registered counts."""
    _name_conversations[:] = [namer]


def conversation_names(actor: Actor, ids: Iterable[UUID]) -> dict[UUID, str]:
    """Titles of those conversations that the actor may read."""
    return dict(_name_conversations[0](actor, list(ids))) if _name_conversations else {}


def zone_of(user: User) -> ZoneInfo:
    """The person's time zone; UTC where they named none that exists."""
    try:
        return ZoneInfo(user.timezone or "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo("UTC")


def range_start(chosen: str, zone: ZoneInfo, now: datetime | None = None) -> datetime | None:
    """Where a range of the person's own days begins, today included; `None` for all. Raises `Invalid`."""
    return None if chosen == "all" else span_of(chosen, zone, now=now or timezone.now()).start


def agents_last_used(agent_ids: Iterable[UUID]) -> dict[UUID, datetime]:
    """When a model was asked last for each agent."""
    rows = Attempt.objects.filter(agent_id__in=list(agent_ids)).order_by().values("agent_id")
    return {row["agent_id"]: row["at"] for row in rows.annotate(at=Max("reserved_at")) if row["agent_id"]}
