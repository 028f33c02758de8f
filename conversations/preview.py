"""What the next message would cost at most, before it is sent: the same history, prompt and tools as the run's first request."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from agents.services import access_agent, build_agent
from billing.plans import plan_terms
from billing.preview import request_preview
from billing.reserving import Caller
from nexus_core.agent import ModelAgent
from nexus_core.context import ExecutionContext
from nexus_core.messages import for_provider
from nexus_core.providers.base import ModelRequest
from nexus_core.tools import Toolset
from nexus_core.usage import pico_to_usd
from workspaces.access import Actor

from .access import access_conversation
from .engine.runner import agent_window
from .history import branch_to, model_messages
from .models import Message
from .services.input import BadInput, message_parts


def run_preview(
    *,
    actor: Actor,
    agent_id: str,
    input_: str | list[Any],
    conversation_id: str | None = None,
    model: str = "",
) -> dict[str, Any]:
    """As the API shows it. Nothing is stored, asked or held. Raises NotFound, AgentNotFound, BadInput, KeyMissing."""
    conversation = access_conversation(actor, conversation_id) if conversation_id else None
    agent = access_agent(actor, agent_id or (conversation.agent_slug if conversation is not None else ""))
    parts, text, _ = message_parts(actor, input_)
    built = build_agent(
        agent,
        workspace_id=actor.workspace_id,
        user_id=actor.user_id,
        model=model or (conversation.model if conversation is not None else "") or None,
    )
    question = Message(
        id=uuid4(), role=Message.Role.USER, content=text, parts=parts, number=1, parent_id=None
    )
    if conversation is not None:
        newest = (
            Message.objects.filter(conversation=conversation, superseded=False).order_by("-number").first()
        )
        question.conversation_id = conversation.pk
        question.parent_id = newest.pk if newest is not None else None
        question.number = conversation.message_count + 1
    caller = Caller(
        actor.workspace_id,
        actor.user_id,
        agent.slug,
        actor.token_id,
        conversation.pk if conversation is not None else None,
    )
    if not isinstance(built, ModelAgent):
        raise BadInput(f"{agent.name} asks no model that could be priced beforehand.")
    premium = plan_terms(actor.workspace.plan).is_premium
    request, provider = _request(built, question, premium=premium)
    found = request_preview(caller, request, provider)
    return {
        "agentId": agent.slug,
        "provider": provider,
        "model": request.model,
        "promptTokens": found.prompt_tokens,
        "promptCost": pico_to_usd(found.prompt_cost),
        "outputPerMillion": pico_to_usd(found.output_price),
        "worstCase": pico_to_usd(found.most),
        "currency": "USD",
        "maxTokens": request.max_tokens,
        "affordableTokens": found.max_tokens,
        "budget": found.budget or None,
        "refusal": found.refusal or None,
    }


def _request(agent: ModelAgent, question: Message, *, premium: bool) -> tuple[ModelRequest, str]:
    """The first request of the run that this message would begin."""
    spec = agent.spec(ExecutionContext(premium=premium))
    route = spec.routes[0]
    messages = model_messages(branch_to(question), **agent_window(agent))
    request = ModelRequest(
        model=route.model,
        messages=tuple(for_provider(messages, route.provider.name)),
        system=spec.system,
        tools=tuple(one.schema for one in Toolset(spec.tools).for_model),
        max_tokens=spec.max_tokens,
        reasoning=spec.reasoning,
        response_schema=spec.response_schema,
    )
    return request, route.provider.name
