"""Agents and tools by id, also those of installed packages [A7].

A third party's package offers agents and tools by entry points:

    [project.entry-points."nexus.agents"]
    my-agent = "my_package:MyAgent"          # a BaseAgent, its class, or a function that gives one
    [project.entry-points."nexus.tools"]
    my-tools = "my_package.tools:TOOLS"      # a Tool, or several
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from importlib.metadata import EntryPoint, entry_points

from .agent import BaseAgent
from .errors import AgentNotFound
from .tools import Tool

AGENTS_GROUP = "nexus.agents"
TOOLS_GROUP = "nexus.tools"

_log = logging.getLogger(__name__)


class AgentRegistry:
    """Agents by id. Two of one id raise `ValueError`."""

    def __init__(self) -> None:
        self._agents: dict[str, BaseAgent] = {}

    def register(self, agent: BaseAgent) -> BaseAgent:
        """Adds the agent and gives it back."""
        if not agent.id:
            raise ValueError(f"{type(agent).__name__} has no id")
        if agent.id in self._agents:
            raise ValueError(f"Two agents have the id {agent.id!r}")
        self._agents[agent.id] = agent
        return agent

    def get(self, agent_id: str) -> BaseAgent:
        """The agent, or `AgentNotFound` with the known ids."""
        try:
            return self._agents[agent_id]
        except KeyError:
            known = ", ".join(sorted(self._agents)) or "none"
            raise AgentNotFound(
                f"Agent not found: {agent_id}. Known agents: {known}", agent_id=agent_id
            ) from None

    def get_all(self) -> list[BaseAgent]:
        """All agents, in the order in which they were registered."""
        return list(self._agents.values())

    def discover(self, group: str = AGENTS_GROUP) -> list[BaseAgent]:
        """Registers the agents that installed packages offer and gives the new ones.

        One that cannot be loaded, or whose id is taken, is logged and left out: a broken
        plug-in does not stop the start.
        """
        found: list[BaseAgent] = []
        for point, loaded in _load(group):
            try:
                agent = loaded if isinstance(loaded, BaseAgent) else loaded()  # type: ignore[operator]
                if not isinstance(agent, BaseAgent):
                    raise TypeError(f"gives a {type(agent).__name__}, not a BaseAgent")
                found.append(self.register(agent))
            except Exception as error:
                _log.warning("agent plug-in %s (%s) is left out: %s", point.name, point.value, error)
        return found

    def __contains__(self, agent_id: str) -> bool:
        return agent_id in self._agents

    def __iter__(self) -> Iterator[BaseAgent]:
        return iter(self.get_all())


def discover_tools(group: str = TOOLS_GROUP) -> list[Tool]:
    """The tools that installed packages offer; what is no tool is logged and left out."""
    found: list[Tool] = []
    for point, loaded in _load(group):
        offered = (
            [loaded] if isinstance(loaded, Tool) else list(loaded) if isinstance(loaded, Iterable) else []
        )
        tools = [item for item in offered if isinstance(item, Tool)]
        if not tools or len(tools) != len(offered):
            _log.warning("tool plug-in %s (%s): not everything it offers is a Tool", point.name, point.value)
        found += tools
    return found


def _load(group: str) -> Iterator[tuple[EntryPoint, object]]:
    for point in sorted(entry_points(group=group), key=lambda p: p.name):
        try:
            yield point, point.load()
        except Exception as error:
            _log.warning("plug-in %s (%s) cannot be loaded: %s", point.name, point.value, error)


registry = AgentRegistry()
"""The process's own; a host may use others."""
