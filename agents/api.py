"""HTTP of agents, providers and tools: parse, call one service, answer."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from ninja import Router

from agents import schemas
from agents.models import Agent
from agents.selectors import (
    agent_availability,
    agent_wire,
    agents_with_availability,
    providers_wire,
    tools_wire,
)
from agents.services import access_agent, agent_create, agent_delete, agent_update
from workspaces.access import Actor, require_admin
from workspaces.request import ApiRequest

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")

router = Router(tags=["Agents"])


def guard(request: HttpRequest, actor: Actor) -> None:
    """Before the body is looked at: an absent or foreign agent is 404, then others' writes are 403."""
    found = request.resolver_match.kwargs if request.resolver_match else {}
    if "agent_id" in found:
        access_agent(actor, found["agent_id"], inactive=True)
    if request.method not in SAFE_METHODS:
        require_admin(actor)


@router.get("/agents", response=schemas.AgentList, summary="All agents")
def agents_list(request: ApiRequest, inactive: bool = False) -> HttpResponse:
    """The agents of the workspace that this person may use; `inactive=true` also shows those switched off."""
    return _listed(agents_with_availability(request.auth, inactive=inactive))


@router.post("/agents", response={201: schemas.Agent}, summary="Create an agent")
def agents_create(request: ApiRequest, body: schemas.AgentNew) -> HttpResponse:
    """Admins and owners. `name`, `provider` and `model` are required."""
    require_admin(request.auth)
    return _answer(request.auth, agent_create(actor=request.auth, fields=body.given(), slug=body.id), 201)


@router.get("/agents/{agent_id}", response=schemas.Agent, summary="An agent")
def agents_detail(request: ApiRequest, agent_id: str) -> HttpResponse:
    return _answer(request.auth, access_agent(request.auth, agent_id, inactive=True))


@router.patch("/agents/{agent_id}", response=schemas.Agent, summary="Change an agent")
def agents_change(request: ApiRequest, agent_id: str, body: schemas.AgentFields) -> HttpResponse:
    """Admins and owners. What is left out stays as it is."""
    return _answer(request.auth, agent_update(actor=request.auth, slug=agent_id, changes=body.given()))


@router.delete("/agents/{agent_id}", response={204: None}, summary="Delete an agent")
def agents_remove(request: ApiRequest, agent_id: str) -> HttpResponse:
    """Admins and owners. Its conversations, and what it cost, remain."""
    agent_delete(actor=request.auth, slug=agent_id)
    return HttpResponse(status=204)


@router.get("/providers", response=schemas.ProviderList, summary="Model providers", tags=["Providers"])
def providers_list(request: ApiRequest) -> HttpResponse:
    """Which providers there are, and whether a key is known; never the key."""
    return _listed(providers_wire(request.auth))


@router.get("/tools", response=schemas.ToolList, summary="Tools", tags=["Tools"])
def tools_list(request: ApiRequest) -> HttpResponse:
    """What agents may be given (`model`, `hybrid`) and what people may type (`command`, `hybrid`)."""
    return _listed(tools_wire())


def _answer(actor: Actor, agent: Agent, status: int = 200) -> HttpResponse:
    return JsonResponse(agent_wire(agent, agent_availability(agent, actor)), status=status)


def _listed(items: list[dict[str, Any]]) -> HttpResponse:
    return JsonResponse({"items": items, "nextCursor": None})
