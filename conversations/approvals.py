"""Reads of what waits, or waited, for people."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Q

from agents.models import Agent
from workspaces.access import Actor, Forbidden, NotFound
from workspaces.audit import record
from workspaces.models import Membership

from .access import as_uuid, readable, require_write
from .models import Approval, Run, StandingApproval, Steering
from .services.asking import may_decide, terms_of
from .wire import approval_wire, instant, person_wire, steering_wire

MOST_OPEN = 200

Wire = dict[str, Any]


def approvals_of_runs(run_ids: Iterable[UUID]) -> list[Wire]:
    """All that these runs put to people, oldest first; two queries, one where there is none."""
    rows = Approval.objects.filter(run_id__in=list(run_ids)).select_related("decided_by")
    return [approval_wire(row) for row in rows.prefetch_related("votes__user").order_by("created_at", "pk")]


def steerings_of(runs: Iterable[Run]) -> list[Wire]:
    """What was said to these runs and is not heard yet; no query where nothing was."""
    said = [run.pk for run in runs if run.steerings]
    if not said:
        return []
    rows = Steering.objects.filter(run_id__in=said, step=None).select_related("author")
    return [steering_wire(row) for row in rows]


def approvals_open(actor: Actor) -> list[Wire]:
    """What waits in conversations this person may read, the most pressing first, with the calls' arguments."""
    rows = (
        Approval.objects.filter(
            status=Approval.Status.OPEN,
            conversation__in=readable(actor),
            run__status__in=Run.UNFINISHED,
        )
        .select_related("decided_by", "call", "conversation")
        .prefetch_related("votes__user")
        .order_by("expires_at", "pk")[:MOST_OPEN]
    )
    return [
        approval_wire(row) | {"input": row.call.input, "conversationTitle": str(row.conversation)}
        for row in rows
    ]


def standing_of(actor: Actor) -> list[Wire]:
    """What is allowed for good: in the whole workspace, and in conversations this person may read."""
    found = StandingApproval.objects.filter(
        Q(conversation=None) | Q(conversation__in=readable(actor)), workspace_id=actor.workspace_id
    )
    rows = list(found.select_related("created_by", "conversation").order_by("created_at", "pk"))
    agents = {
        agent.slug: agent
        for agent in Agent.objects.filter(
            workspace_id=actor.workspace_id, slug__in={row.agent_slug for row in rows}
        )
    }
    roles: dict[UUID | None, str] = dict(
        Membership.objects.filter(
            workspace_id=actor.workspace_id, user_id__in={row.created_by_id for row in rows}
        ).values_list("user_id", "role")
    )
    return [
        {
            "id": str(row.pk),
            "agentId": row.agent_slug,
            "toolName": row.tool_name,
            "conversationId": str(row.conversation_id) if row.conversation_id else None,
            "conversationTitle": str(row.conversation) if row.conversation is not None else None,
            "createdBy": person_wire(row.created_by),
            "createdAt": instant(row.created_at),
            "holds": may_decide(
                roles.get(row.created_by_id, ""), terms_of(agents.get(row.agent_slug), row.tool_name).role
            ),
            "mayForget": may_forget(actor, row),
        }
        for row in rows
    ]


def may_forget(actor: Actor, standing: StandingApproval) -> bool:
    """Whoever gave the yes may take it back, and admins and owners."""
    return actor.is_admin or (actor.can_write and standing.created_by_id == actor.user_id)


def access_standing(actor: Actor, standing_id: UUID | str) -> StandingApproval:
    found = StandingApproval.objects.filter(
        Q(conversation=None) | Q(conversation__in=readable(actor)),
        pk=as_uuid(standing_id),
        workspace_id=actor.workspace_id,
    ).first()
    if found is None:
        raise NotFound()
    return found


@transaction.atomic
def standing_forget(*, actor: Actor, standing_id: UUID | str) -> None:
    """Asks again from the next call on. Whoever gave the yes may take it back, and admins and owners."""
    found = access_standing(actor, standing_id)
    require_write(actor)
    if not may_forget(actor, found):
        raise Forbidden("Only who allowed this, admins and owners may take it back.")
    found.delete()
    record(
        "tool_forgotten",
        actor=actor,
        target_type="tool",
        target_name=found.tool_name,
        metadata={"agentId": found.agent_slug, "standing": str(standing_id)},
    )
