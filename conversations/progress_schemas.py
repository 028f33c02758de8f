"""How progress looks over HTTP, for the OpenAPI document."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from realtime.wire import Wire

from .schemas import Instant, Money, RunStatus

Percentage = Annotated[
    float | None, Field(ge=0, le=100, description="Null while nobody knows; it never falls.")
]
Seconds = Annotated[float | None, Field(ge=0, description="Seconds; null when it is not known.")]


class Measures(Wire):
    percentage: Percentage
    current_step: int | None = Field(description="Model calls that are complete, or an agent's own count.")
    total_steps: int | None = Field(description="Null unless the agent told it.")
    estimated_time_remaining: Seconds
    tokens_used: int | None
    cost: Money


class ProgressPoint(Measures):
    """One moment: `started`, a `progress` chunk (of a tool call where there is a `toolId`), or the end."""

    seq: int
    at: Instant
    status: Literal["started", "progress", "complete", "cancelled", "failed"]
    tool_id: str | None = None
    message: str | None = None


class ToolProgress(Wire):
    """A tool call that runs now."""

    tool_id: UUID
    tool_name: str
    percentage: Percentage
    current_step: int | None
    total_steps: int | None
    estimated_time_remaining: Seconds
    message: str | None


class AgentProgress(Measures):
    run_id: UUID
    conversation_id: UUID
    agent_id: str
    status: RunStatus
    message: str | None = Field(description="What the agent said last of what it does.")
    started_at: Instant | None
    last_updated: Instant


class RunProgress(AgentProgress):
    tools: list[ToolProgress] | None = None
    history: list[ProgressPoint] | None = None


class ConversationPoint(ProgressPoint):
    run_id: UUID
    agent_id: str
    overall: Percentage


class ConversationProgress(Wire):
    conversation_id: UUID
    status: Literal["waiting", "running", "queued", "idle"]
    overall: Annotated[
        float | None,
        Field(
            description="Mean of the agents; one that says nothing counts as 0; null when none says anything."
        ),
    ]
    agents: list[AgentProgress] = Field(description="The newest run of each agent.")
    estimated_completion: Instant | None = Field(
        description="Of the last agent that works; null if one does not know."
    )
    last_updated: Instant | None
    tokens_used: int = Field(description="Of all runs of the conversation.")
    cost: Money
    history: list[ConversationPoint] | None = None
