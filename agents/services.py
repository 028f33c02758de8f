"""Fetching, creating, changing and deleting agents on behalf of a person; `build_agent` makes one that runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.text import slugify

from agents.building import build_agent
from agents.errors import AgentInvalid
from agents.models import Agent
from agents.selectors import agents_visible
from agents.validation import check_agent
from nexus_core.errors import AgentNotFound
from workspaces.access import Actor, Forbidden
from workspaces.audit import record, told

__all__ = [
    "access_agent",
    "agent_create",
    "agent_delete",
    "agent_duplicate",
    "agent_record",
    "agent_update",
    "build_agent",
]

CHANGEABLE = frozenset(
    {
        "name",
        "description",
        "icon",
        "provider",
        "model",
        "system_prompt",
        "temperature",
        "max_tokens",
        "reasoning",
        "tools",
        "tool_approval",
        "approval_role",
        "approval_quorum",
        "approval_expiry",
        "approval_rules",
        "fallback",
        "tool_call_timeout",
        "max_consecutive_tool_calls",
        "rag_enabled",
        "rag_model",
        "rag_top_k",
        "starters",
        "is_premium",
        "is_active",
    }
)
LONGEST_SLUG = 64
WORDS = ("system_prompt", "description", "starters")
"""Fields whose words the audit does not keep: only how long they are, and a digest."""


def access_agent(actor: Actor, slug: str, *, inactive: bool = False) -> Agent:
    """The agent this person may use. Raises `AgentNotFound` with the ids there are [A7]."""
    agents = agents_visible(actor, inactive=inactive)
    found = agents.filter(slug=slug).first()
    if found is None:
        known = ", ".join(agents.values_list("slug", flat=True)) or "none"
        raise AgentNotFound(f"Agent not found: {slug}. There are: {known}.", agent_id=slug)
    return found


@transaction.atomic
def agent_create(*, actor: Actor, fields: Mapping[str, Any], slug: str = "") -> Agent:
    """Adds an agent to the actor's workspace.

    Raises `Forbidden` for others than admins and owners, `AgentInvalid` for fields that are
    wrong, missing (name, provider, model) or unknown, and for an id that is taken.
    """
    _require_admin(actor)
    _refuse_unknown(fields)
    missing = {name: "is required" for name in ("name", "provider", "model") if not fields.get(name)}
    if missing:
        raise AgentInvalid(missing)
    check_agent(fields)
    chosen = slug or free_slug(actor.workspace_id, str(fields["name"]))
    if slugify(chosen) != chosen or len(chosen) > LONGEST_SLUG:
        raise AgentInvalid({"id": "small letters, digits and hyphens, at most 64"})
    try:
        with transaction.atomic():
            agent = Agent.objects.create(workspace=actor.workspace, slug=chosen, **fields)
    except IntegrityError:
        raise AgentInvalid({"id": f"{chosen} is taken"}) from None
    agent_record(agent=agent, before=None, actor=actor)
    return agent


@transaction.atomic
def agent_update(*, actor: Actor, slug: str, changes: Mapping[str, Any]) -> Agent:
    """Changes fields of an agent. Raises `AgentNotFound`, `Forbidden`, `AgentInvalid`."""
    agent = access_agent(actor, slug, inactive=True)
    _require_admin(actor)
    _refuse_unknown(changes)
    check_agent(changes)
    before = {name: getattr(agent, name) for name in CHANGEABLE}
    for name, value in changes.items():
        setattr(agent, name, value)
    agent.save(update_fields=[*changes, "updated_at"])
    agent_record(agent=agent, before=before, actor=actor)
    return agent


@transaction.atomic
def agent_delete(*, actor: Actor, slug: str) -> None:
    """Takes the agent away; its conversations and what it cost remain. Raises `AgentNotFound`, `Forbidden`."""
    agent = access_agent(actor, slug, inactive=True)
    _require_admin(actor)
    agent.deleted_at = timezone.now()
    agent.is_active = False
    agent.save(update_fields=["deleted_at", "is_active", "updated_at"])
    record("agent_deleted", actor=actor, target_type="agent", target_id=agent.slug, target_name=agent.name)


@transaction.atomic
def agent_duplicate(*, agent: Agent) -> Agent:
    """A copy with a name and id of its own, switched off until somebody looked at it."""
    name = f"{agent.name[:90]} copy"
    fields = {field: getattr(agent, field) for field in CHANGEABLE}
    copy = Agent.objects.create(
        workspace_id=agent.workspace_id,
        slug=free_slug(agent.workspace_id, name),
        kind=agent.kind,
        owner_id=agent.owner_id,
        **{**fields, "name": name, "is_active": False},
    )
    agent_record(agent=copy, before=None)
    return copy


def agent_record(*, agent: Agent, before: Mapping[str, Any] | None, actor: Actor | None = None) -> None:
    """Tells the audit that an agent was made (`before` is None), or which of its fields changed from what they were."""
    after = {name: getattr(agent, name) for name in CHANGEABLE}
    if before is None:
        metadata: dict[str, Any] = {"provider": agent.provider, "model": agent.model}
    elif not (metadata := told(before, after, hidden=WORDS)):
        return
    record(
        "agent_created" if before is None else "agent_changed",
        actor=actor,
        workspace_id=agent.workspace_id,
        target_type="agent",
        target_id=agent.slug,
        target_name=agent.name,
        metadata=metadata,
    )


def free_slug(workspace_id: UUID, name: str) -> str:
    """An id made of the name that no agent of the workspace has or had."""
    base = slugify(name)[: LONGEST_SLUG - 4] or "agent"
    taken = set(
        Agent.objects.filter(workspace_id=workspace_id, slug__startswith=base).values_list("slug", flat=True)
    )
    number = 1
    while (slug := base if number == 1 else f"{base}-{number}") in taken:
        number += 1
    return slug


def _require_admin(actor: Actor) -> None:
    if not actor.is_admin:
        raise Forbidden("Only admins and owners of the workspace change agents. Ask one of them.")


def _refuse_unknown(fields: Mapping[str, Any]) -> None:
    unknown = sorted(set(fields) - CHANGEABLE)
    if unknown:
        raise AgentInvalid(dict.fromkeys(unknown, "cannot be set"))
