"""What HTTP takes and gives for agents, providers and tools. camelCase; snake_case is accepted too."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from agents.models import (
    LONGEST_EXPIRY,
    LONGEST_TOOL_MS,
    MOST_APPROVERS,
    MOST_PASSAGES,
    MOST_TOKENS,
    MOST_TOOL_STEPS,
    SHORTEST_EXPIRY,
)
from realtime.wire import Wire

ReasoningLevel = Literal["off", "low", "medium", "high"]
Role = Literal["member", "admin", "owner"]


class ModelChoice(Wire):
    provider: str = Field(min_length=1, max_length=64)
    model: str = Field(min_length=1, max_length=160)


class ApprovalRule(Wire):
    """When a tool waits for a person, and for whom. What is left out is as the agent has it."""

    tool: str = Field(min_length=1, max_length=64)
    when: dict[str, Any] | None = Field(
        default=None,
        description="A JSON schema: only calls whose arguments fit it wait. Left out: every call.",
    )
    role: Role | None = None
    quorum: int | None = Field(default=None, ge=1, le=MOST_APPROVERS)
    expiry: int | None = Field(default=None, ge=SHORTEST_EXPIRY, le=LONGEST_EXPIRY)


class AgentFields(Wire):
    """What may be set. In a change, what is left out stays as it is."""

    name: str | None = Field(default=None, max_length=100)
    description: str | None = Field(default=None, max_length=500)
    icon: str | None = Field(default=None, max_length=16, description="An emoji.")
    provider: str | None = Field(default=None, max_length=64)
    model: str | None = Field(default=None, max_length=160)
    system_prompt: str | None = Field(default=None, max_length=100_000)
    temperature: float | None = Field(
        default=None, ge=0, le=2, description="null: the provider's own default."
    )
    max_tokens: int | None = Field(default=None, ge=1, le=MOST_TOKENS)
    reasoning: ReasoningLevel | None = None
    tools: list[str] | None = Field(default=None, max_length=200, description="Names from /api/tools.")
    tool_approval: list[str] | None = Field(
        default=None, max_length=200, description="Tools that wait until a person allows the call."
    )
    approval_role: Role | None = Field(default=None, description="Who may decide on its waiting calls.")
    approval_quorum: int | None = Field(
        default=None, ge=1, le=MOST_APPROVERS, description="How many different people must say yes."
    )
    approval_expiry: int | None = Field(
        default=None, ge=SHORTEST_EXPIRY, le=LONGEST_EXPIRY, description="Seconds to decide."
    )
    approval_rules: list[ApprovalRule] | None = Field(
        default=None, max_length=50, description="Per tool, in place of the three above."
    )
    fallback: list[ModelChoice] | None = Field(
        default=None, max_length=5, description="Tried in order when the first fails."
    )
    tool_call_timeout: int | None = Field(
        default=None, ge=100, le=LONGEST_TOOL_MS, description="Milliseconds."
    )
    max_consecutive_tool_calls: int | None = Field(default=None, ge=1, le=MOST_TOOL_STEPS)
    rag_enabled: bool | None = None
    rag_model: str | None = Field(default=None, max_length=160)
    rag_top_k: int | None = Field(default=None, ge=1, le=MOST_PASSAGES)
    starters: list[str] | None = Field(default=None, max_length=8)
    is_premium: bool | None = None
    is_active: bool | None = None

    def given(self) -> dict[str, Any]:
        """The fields that were sent, by their Python names; null only where it means something."""
        sent = self.model_dump(exclude_unset=True, include=set(AgentFields.model_fields))
        if (rules := sent.get("approval_rules")) is not None:
            sent["approval_rules"] = [
                {name: value for name, value in rule.items() if value is not None} for rule in rules
            ]
        return {name: value for name, value in sent.items() if value is not None or name == "temperature"}


class AgentNew(AgentFields):
    id: str = Field(default="", max_length=64, description="Its id (slug); made of the name when left out.")
    name: str = Field(min_length=1, max_length=100)
    provider: str = Field(min_length=1, max_length=64)
    model: str = Field(min_length=1, max_length=160)


class Agent(Wire):
    id: str
    name: str
    description: str
    icon: str
    provider: str
    model: str
    system_prompt: str
    temperature: float | None
    max_tokens: int
    context_window: int | None = Field(
        description="How many tokens its model takes in; null where nobody knows."
    )
    reasoning: ReasoningLevel
    tools: list[str]
    tool_count: int
    tool_approval: list[str]
    approval_role: Role
    approval_quorum: int
    approval_expiry: int
    approval_rules: list[ApprovalRule]
    fallback: list[ModelChoice]
    tool_call_timeout: int
    max_consecutive_tool_calls: int
    rag_enabled: bool
    rag_model: str
    rag_top_k: int
    starters: list[str]
    is_premium: bool
    is_active: bool
    is_available: bool
    unavailable_reason: str = Field(description="Empty when it is available.")
    needs_key: bool
    created_at: str
    updated_at: str


class AgentList(Wire):
    items: list[Agent]
    next_cursor: str | None


class Provider(Wire):
    """Of a key only its last four characters are ever told."""

    name: str
    label: str
    wire: str
    base_url: str
    needs_key: bool
    has_key: bool
    key_source: Literal["person", "workspace", "environment"] | None
    key_last_four: str | None
    key_variables: list[str]
    note: str


class ProviderList(Wire):
    items: list[Provider]
    next_cursor: str | None


class Tool(Wire):
    name: str
    description: str
    kind: Literal["model", "command", "hybrid"]
    command: str | None
    input_schema: dict[str, Any]
    needs_approval: bool
    requires_premium: bool
    idempotent: bool


class ToolList(Wire):
    items: list[Tool]
    next_cursor: str | None
