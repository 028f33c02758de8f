"""From a row to an agent that runs: providers with their keys, fallbacks, tools."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from functools import cache
from uuid import UUID

from django.conf import settings

from agents import toolbox
from agents.catalogue import model_window
from agents.models import Agent
from agents.providers import address_of, find_spec, guard_of, key_for
from nexus_core.agent import BaseAgent, ModelAgent
from nexus_core.approval import ApprovalRule
from nexus_core.errors import AgentNotFound, LLMError
from nexus_core.fallback import Route, UnavailableProvider
from nexus_core.providers.table import create_provider
from nexus_core.registry import AgentRegistry, registry
from nexus_core.tools import Tool

MODEL_KIND = "model"
"""The kind of agents that need no class."""

DEMO_DELAY = 0.015
"""Seconds between two words of the demo, so that one sees it stream."""

log = logging.getLogger(__name__)


@cache
def class_agents() -> AgentRegistry:
    """Agents implemented as classes, those of installed packages included."""
    registry.discover()
    return registry


class RowAgent(ModelAgent):
    """A `ModelAgent` made of a row. `context_window` in tokens, `None` where nobody knows."""

    context_window: int | None = None


def build_agent(
    agent: Agent | None, *, workspace_id: UUID, user_id: UUID | None = None, model: str | None = None
) -> BaseAgent:
    """The agent of a row, ready to run for that person in that workspace. Reads the database.

    `model` is another model for this run: `provider/model`, or a model of the agent's own
    provider. A provider that cannot be set up (no key) takes its place in the chain and
    says what is missing when it is asked. Raises `AgentNotFound` for an agent that is gone.
    """
    if agent is None or agent.deleted_at is not None:
        raise AgentNotFound("Agent not found: it was deleted.")
    if agent.kind != MODEL_KIND:
        return class_agents().get(agent.kind)
    choices = [_choice(agent, model), *((str(one["provider"]), str(one["model"])) for one in agent.fallback)]
    built = RowAgent(
        id=agent.slug,
        name=agent.name,
        description=agent.description,
        is_premium=agent.is_premium,
        routes=[_route(provider, name, workspace_id, user_id) for provider, name in dict.fromkeys(choices)],
        system_prompt=agent.system_prompt,
        tools=_tools(agent),
        temperature=agent.temperature,
        max_tokens=agent.max_tokens,
        max_consecutive_tool_calls=agent.max_consecutive_tool_calls,
        tool_call_timeout=agent.tool_call_timeout,
        tool_approval=approval_rules(agent),
        reasoning=agent.reasoning,  # type: ignore[arg-type]
    )
    built.context_window = model_window(*choices[0])
    return built


def approval_rules(agent: Agent) -> dict[str, ApprovalRule]:
    """Which calls of this agent wait for a person: those of the tools it names, and those its rules speak of."""
    rules: dict[str, ApprovalRule] = dict.fromkeys(agent.tool_approval, True)
    for rule in agent.approval_rules:
        if rule.get("when"):
            rules[rule["tool"]] = rule["when"]
        else:
            rules[rule["tool"]] = True
    return rules


def _choice(agent: Agent, model: str | None) -> tuple[str, str]:
    if not model:
        return agent.provider, agent.model
    provider, slash, name = model.partition("/")
    if slash and name and find_spec(provider) is not None:
        return provider, name
    return agent.provider, model


def _route(provider: str, model: str, workspace_id: UUID, user_id: UUID | None) -> Route:
    spec = find_spec(provider)
    if spec is None:
        missing = LLMError(
            f"The provider {provider} is unknown here or switched off. An operator can change that in admin.",
            provider=provider,
            model=model,
        )
        missing.code = "provider_unknown"
        return Route(UnavailableProvider(provider, missing), model)
    try:
        key = key_for(spec, workspace_id=workspace_id, user_id=user_id)
        pace = {"delay": DEMO_DELAY} if spec.wire == "scripted" else {}
        return Route(
            create_provider(
                spec,
                key=key,
                base_url=address_of(spec),
                data_dir=settings.NEXUS_DATA_DIR,
                guard=guard_of(spec),
                **pace,
            ),
            model,
        )
    except LLMError as fault:
        return Route(UnavailableProvider(provider, fault), model)


def _tools(agent: Agent) -> Iterable[Tool]:
    """The agent's tools. One whose plugin is gone is left out, and the operator told in the log."""
    gone = toolbox.unknown(agent.tools)
    if gone:
        log.warning("agent %s names tools that are not installed: %s", agent.slug, ", ".join(gone))
    return [toolbox.get(name) for name in agent.tools if name not in gone]
