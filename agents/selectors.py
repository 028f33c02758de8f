"""Reading agents on behalf of a person, and how they look on the wire."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet

from agents import toolbox
from agents.availability import AVAILABLE, Availability, availabilities
from agents.catalogue import model_window
from agents.models import Agent
from agents.providers import address_of, all_specs, key_in_environment, known_keys
from nexus_core.tools import Tool
from workspaces.access import Actor


def agents_visible(actor: Actor, *, inactive: bool = False) -> QuerySet[Agent]:
    """The agents of the actor's workspace that are for everybody or their own; inactive ones on demand."""
    found = Agent.objects.filter(
        Q(owner__isnull=True) | Q(owner_id=actor.user_id),
        workspace_id=actor.workspace_id,
        deleted_at__isnull=True,
    )
    return found if inactive else found.filter(is_active=True)


def agent_availability(agent: Agent, actor: Actor) -> Availability:
    """Whether one agent can answer this person now."""
    return _availabilities([agent], actor)[agent.pk]


def agents_with_availability(actor: Actor, *, inactive: bool = False) -> list[dict[str, Any]]:
    """All visible agents on the wire, in the order they were made. Three queries, and at most a blink."""
    agents = list(agents_visible(actor, inactive=inactive))
    available = _availabilities(agents, actor)
    return [agent_wire(agent, available[agent.pk]) for agent in agents]


def agent_wire(agent: Agent, availability: Availability = AVAILABLE) -> dict[str, Any]:
    """An agent as PROTOCOL has it."""
    return {
        "id": agent.slug,
        "name": agent.name,
        "description": agent.description,
        "icon": agent.icon,
        "provider": agent.provider,
        "model": agent.model,
        "systemPrompt": agent.system_prompt,
        "temperature": agent.temperature,
        "maxTokens": agent.max_tokens,
        "contextWindow": model_window(agent.provider, agent.model),
        "reasoning": agent.reasoning,
        "tools": agent.tools,
        "toolCount": len(agent.tools),
        "toolApproval": agent.tool_approval,
        "approvalRole": agent.approval_role,
        "approvalQuorum": agent.approval_quorum,
        "approvalExpiry": agent.approval_expiry,
        "approvalRules": agent.approval_rules,
        "fallback": agent.fallback,
        "toolCallTimeout": agent.tool_call_timeout,
        "maxConsecutiveToolCalls": agent.max_consecutive_tool_calls,
        "ragEnabled": agent.rag_enabled,
        "ragModel": agent.rag_model,
        "ragTopK": agent.rag_top_k,
        "starters": agent.starters,
        "isPremium": agent.is_premium,
        "isActive": agent.is_active,
        "isAvailable": availability.is_available,
        "unavailableReason": availability.reason,
        "needsKey": availability.needs_key,
        "createdAt": _instant(agent.created_at),
        "updatedAt": _instant(agent.updated_at),
    }


def providers_wire(actor: Actor) -> list[dict[str, Any]]:
    """The providers that are switched on, and whether there is a key; of a key the last four characters."""
    keys = known_keys(actor.workspace, actor.user_id)
    items = []
    for spec in sorted(all_specs().values(), key=lambda spec: spec.label.lower()):
        key = keys.get(spec.name)
        environment = key_in_environment(spec) if key is None else None
        items.append(
            {
                "name": spec.name,
                "label": spec.label,
                "wire": spec.wire,
                "baseUrl": address_of(spec),
                "needsKey": bool(spec.key_vars),
                "hasKey": key is not None or environment is not None,
                "keySource": key.source if key is not None else ("environment" if environment else None),
                "keyLastFour": key.last_four
                if key is not None
                else (environment[-4:] if environment else None),
                "keyVariables": list(spec.key_vars),
                "note": spec.note,
            }
        )
    return items


def tools_wire() -> list[dict[str, Any]]:
    """Every tool of this installation, for models, for people (commands), or both."""
    return [tool_wire(tool) for tool in toolbox.all()]


def tool_wire(tool: Tool) -> dict[str, Any]:
    return {
        "name": tool.name,
        "description": tool.description,
        "kind": tool.kind,
        "command": tool.command or None,
        "inputSchema": dict(tool.input_schema),
        "needsApproval": tool.asks_person or tool.needs_approval is not False,
        "requiresPremium": tool.requires_premium,
        "idempotent": tool.idempotent,
    }


LastUsed = Callable[[Iterable[UUID]], dict[UUID, datetime]]
_last_used: list[LastUsed] = []


def register_last_used(reader: LastUsed) -> None:
    """The floor above tells when agents were used last; the last one registered counts."""
    _last_used[:] = [reader]


def last_used(agent_ids: Iterable[UUID]) -> dict[UUID, datetime]:
    """When each was asked last, by agent id; without those that never were."""
    return _last_used[0](agent_ids) if _last_used else {}


def _availabilities(agents: Iterable[Agent], actor: Actor) -> dict[object, Availability]:
    return availabilities(agents, all_specs(), known_keys(actor.workspace, actor.user_id))


def _instant(value: datetime) -> str:
    return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
