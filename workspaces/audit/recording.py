"""Writing events: always inside the transaction of what they tell, so that neither is there without the other."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from nexus_core.jsonsafe import json_safe
from workspaces.access import Actor
from workspaces.models import AuditEvent, Membership
from workspaces.statements import Table

from .actions import ACTIONS
from .origin import address, request_id, somebody

_EVENTS = Table(AuditEvent)
SHORTEST_DIGEST = 16
LONGEST_TOLD = 120


def record(
    action: str,
    *,
    actor: Actor | None = None,
    workspace_id: UUID | None = None,
    user_id: UUID | None = None,
    token_id: UUID | None = None,
    agent_slug: str = "",
    target_type: str = "",
    target_id: object = "",
    target_name: str = "",
    metadata: Mapping[str, Any] | None = None,
    outcome: str = AuditEvent.Outcome.OK,
) -> None:
    """Records one event of `ACTIONS`. One INSERT on the caller's connection, in the caller's transaction.

    Args:
        actor: who did it and where; or, where there is none, `workspace_id`, and `user_id`, `token_id` or `agent_slug`.
            Without all of these it is who is behind the request, and without a request Nexus itself, or a command
            on its machine.
        agent_slug: the agent that did it; the person then is the one it worked for.
        target_type, target_id, target_name: what it was done to; a name, never text of a conversation.
        metadata: JSON. No secrets, no prompts, no message text: `told` and `digest_of` help.
        outcome: `ok`, `denied` or `failed`.
    """
    if actor is None and user_id is None and token_id is None and not agent_slug:
        user_id, token_id = somebody()
    event = _event(
        action,
        workspace_id=actor.workspace_id if actor is not None else workspace_id,
        user_id=actor.user_id if actor is not None else user_id,
        token_id=actor.token_id if actor is not None else token_id,
        agent_slug=agent_slug,
        target_type=target_type,
        target_id=target_id,
        target_name=target_name,
        metadata=metadata,
        outcome=outcome,
    )
    _EVENTS.insert(event)


def record_of_person(
    action: str,
    user_id: UUID | None,
    *,
    by: UUID | None = None,
    workspaces: Iterable[UUID | None] | None = None,
    **fields: Any,
) -> None:
    """Records what belongs to a person, not to one workspace (a login): once in each workspace they are in at that
    moment, so that its admins see it; for somebody who is in none, or is unknown, once for the instance."""
    if workspaces is None and user_id is not None:
        workspaces = Membership.objects.filter(user_id=user_id).values_list("workspace_id", flat=True)
    found = list(workspaces or ()) or [None]
    _EVENTS.insert(*(_event(action, workspace_id=one, user_id=by or user_id, **fields) for one in found))


def _event(
    action: str,
    *,
    workspace_id: UUID | None,
    user_id: UUID | None = None,
    token_id: UUID | None = None,
    agent_slug: str = "",
    target_type: str = "",
    target_id: object = "",
    target_name: str = "",
    metadata: Mapping[str, Any] | None = None,
    outcome: str = AuditEvent.Outcome.OK,
) -> AuditEvent:
    if action not in ACTIONS:
        raise ValueError(f"{action!r} is no action of the audit; add it to workspaces/audit/actions.py")
    if agent_slug:
        who = AuditEvent.Who.AGENT
    elif token_id is not None:
        who = AuditEvent.Who.TOKEN
    else:
        who = AuditEvent.Who.USER if user_id is not None else AuditEvent.Who.SYSTEM
    return AuditEvent(
        workspace_id=workspace_id,
        who=str(who),
        user_id=user_id,
        token_id=token_id,
        agent_slug=agent_slug[:64],
        action=action,
        target_type=target_type,
        target_id=str(target_id)[:64],
        target_name=str(json_safe(target_name))[:200],
        outcome=str(outcome),
        metadata=json_safe(dict(metadata)) if metadata else {},
        request_id=request_id(),
        ip=address(),
    )


def told(
    before: Mapping[str, Any], after: Mapping[str, Any], *, hidden: Iterable[str] = ()
) -> dict[str, Any]:
    """What changed, as `{"field": {"from": …, "to": …}}`; of `hidden` fields, and of long values, a digest."""
    secretive = set(hidden)
    return {
        name: {
            "from": _value(before.get(name), name in secretive),
            "to": _value(after.get(name), name in secretive),
        }
        for name in after
        if before.get(name) != after.get(name)
    }


def digest_of(value: object) -> dict[str, Any]:
    """How long a text is and the beginning of its SHA-256: enough to say that it is the same, not what it says."""
    text = value if isinstance(value, str) else repr(value)
    return {"length": len(text), "sha256": hashlib.sha256(text.encode()).hexdigest()[:SHORTEST_DIGEST]}


def _value(value: Any, hide: bool) -> Any:
    if value is None or value == "":
        return value
    return digest_of(value) if hide or len(str(value)) > LONGEST_TOLD else value
