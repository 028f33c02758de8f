"""Reading events: for admins and owners, their own workspace's only, newest first, page by page."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db.models import Q, QuerySet, TextField
from django.db.models.functions import Cast

from workspaces.access import Actor, Forbidden
from workspaces.cursors import cursor_of, place_of
from workspaces.models import ApiToken, AuditEvent, Membership, Role, User

from .actions import ACTIONS, GROUPS, actions_of

MOST_LISTED = 200
Place = tuple[datetime, int]


def may_audit(actor: Actor) -> bool:
    """Admins and owners; their read-only tokens too, for it is only read."""
    return actor.role in (Role.ADMIN, Role.OWNER)


def require_audit(actor: Actor) -> None:
    if not may_audit(actor):
        raise Forbidden("Only admins and owners of the workspace read its audit.")


@dataclass(frozen=True, slots=True)
class Chosen:
    """What somebody filters by; empty is everything. Days are whole days of the reader, `until` included."""

    person: UUID | None = None
    group: str = ""
    action: str = ""
    agent: str = ""
    since: date | None = None
    until: date | None = None
    text: str = ""

    @property
    def any(self) -> bool:
        return self != Chosen()


def events_of(actor: Actor, chosen: Chosen) -> QuerySet[AuditEvent]:
    """The workspace's events, newest first. Raises `Forbidden` for others than admins and owners."""
    require_audit(actor)
    events = AuditEvent.objects.filter(workspace_id=actor.workspace_id)
    if chosen.person is not None:
        events = events.filter(user_id=chosen.person)
    if chosen.action:
        events = events.filter(action=chosen.action)
    if chosen.group:
        events = events.filter(action__in=actions_of(chosen.group))
    if chosen.agent:
        target = Q(target_type="agent", target_name=chosen.agent) | Q(
            target_type="agent", target_id=chosen.agent
        )
        events = events.filter(Q(agent_slug=chosen.agent) | target)
    zone = _zone(actor.user)
    if chosen.since is not None:
        events = events.filter(created_at__gte=datetime.combine(chosen.since, time.min, zone))
    if chosen.until is not None:
        following = datetime.combine(chosen.until, time.min, zone) + timedelta(days=1)
        events = events.filter(created_at__lt=following)
    if chosen.text:
        events = events.annotate(told=Cast("metadata", TextField())).filter(_holds(chosen.text))
    return events.order_by("-created_at", "-id")


def _holds(text: str) -> Q:
    """In the target, the request, the address, the words of the action, or anywhere in the metadata."""
    held = Q()
    for name in ("target_name", "target_id", "target_type", "agent_slug", "request_id", "ip", "told"):
        held |= Q(**{f"{name}__icontains": text})
    spoken = [action for action, (_, words) in ACTIONS.items() if text.lower() in f"{action} {words}".lower()]
    return held | Q(action__in=spoken)


def _zone(user: User) -> ZoneInfo:
    try:
        return ZoneInfo(user.timezone or "UTC")
    except (KeyError, ValueError):
        return ZoneInfo("UTC")


def page_of(
    actor: Actor, chosen: Chosen, *, limit: int = 50, cursor: str = ""
) -> tuple[list[dict[str, Any]], str | None]:
    """One page as wire objects, and the cursor of the next one (None at the end). At most 200 at once."""
    limit = max(1, min(limit, MOST_LISTED))
    rows, place = rows_after(actor, chosen, place_in(cursor) if cursor else None, limit)
    return wires(actor, rows), cursor_of(*place) if place is not None else None


def rows_after(
    actor: Actor, chosen: Chosen, after: Place | None, limit: int
) -> tuple[list[AuditEvent], Place | None]:
    """The next rows, and the place behind them where there are more."""
    events = events_of(actor, chosen)
    if after is not None:
        moment, last = after
        events = events.filter(Q(created_at__lt=moment) | Q(created_at=moment, id__lt=last))
    rows = list(events[: limit + 1])
    more, rows = len(rows) > limit, rows[:limit]
    return rows, (rows[-1].created_at, rows[-1].pk) if more else None


def wires(actor: Actor, rows: list[AuditEvent]) -> list[dict[str, Any]]:
    """The rows as they cross the wire, with the names that people and tokens have now."""
    people: dict[UUID | None, str] = dict(_names({row.user_id for row in rows}))
    tokens: dict[UUID | None, str] = {
        key: f"{name} (…{ending})"
        for key, name, ending in ApiToken.objects.filter(
            pk__in={row.token_id for row in rows if row.token_id}, workspace_id=actor.workspace_id
        ).values_list("pk", "name", "last_four")
    }
    return [event_wire(row, people.get(row.user_id), tokens.get(row.token_id)) for row in rows]


def _names(ids: Iterable[UUID | None]) -> list[tuple[UUID, str]]:
    found = User.objects.filter(pk__in={one for one in ids if one is not None})
    return [(key, name or login) for key, name, login in found.values_list("pk", "name", "username")]


def event_wire(row: AuditEvent, person: str | None, token: str | None) -> dict[str, Any]:
    """`type`, `groupId`, `actorId`, `targetId` and `metadata` as other systems know such events, and the rest."""
    return {
        "id": str(row.pk),
        "type": row.action,
        "group": ACTIONS[row.action][0] if row.action in ACTIONS else "",
        "createdAt": row.created_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "groupId": str(row.workspace_id) if row.workspace_id else None,
        "actorKind": row.who,
        "actorId": str(row.user_id) if row.user_id else None,
        "actorName": person,
        "agentId": row.agent_slug or None,
        "tokenId": str(row.token_id) if row.token_id else None,
        "tokenName": token,
        "targetType": row.target_type or None,
        "targetId": row.target_id or None,
        "targetName": row.target_name or None,
        "outcome": row.outcome,
        "metadata": row.metadata,
        "requestId": row.request_id or None,
        "ip": row.ip or None,
    }


def choices_of(actor: Actor) -> dict[str, list[tuple[str, str]]]:
    """What the filters offer: who is or was seen here, the groups, the agents that appear."""
    require_audit(actor)
    mine = AuditEvent.objects.filter(workspace_id=actor.workspace_id).order_by()
    members = set(
        Membership.objects.filter(workspace_id=actor.workspace_id).values_list("user_id", flat=True)
    )
    seen = set(mine.exclude(user_id=None).values_list("user_id", flat=True).distinct())
    people = sorted(_names([*members, *seen]), key=lambda row: row[1].lower())
    agents = sorted(mine.exclude(agent_slug="").values_list("agent_slug", flat=True).distinct())
    return {
        "people": [(str(key), name) for key, name in people],
        "groups": list(GROUPS.items()),
        "agents": [(slug, slug) for slug in agents],
    }


def place_in(cursor: str) -> Place:
    """Raises `Invalid` for what is no cursor of ours."""
    return place_of(cursor, _event_id)


def _event_id(text: str) -> int:
    if not 0 <= int(text) < 2**63:
        raise ValueError("no id")
    return int(text)
