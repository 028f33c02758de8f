"""What the server tells, as frozen values: the nouns of the wire in snake_case.

Ids are strings, times are aware datetimes, money is an exact `Decimal` of US dollars (None: no price known).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Generic, Literal, TypeVar

from .decode import WireObject

JSON = Any
T = TypeVar("T")

RunStatus = Literal["queued", "running", "waiting", "complete", "cancelled", "failed"]
Policy = Literal["reject", "enqueue", "interrupt", "rollback"]
Visibility = Literal["workspace", "private", "shared"]
UsageRange = Literal["today", "week", "month", "all"]
GroupBy = Literal["agent", "user", "model", "provider", "conversation", "day"]
ENDED: frozenset[str] = frozenset({"complete", "cancelled", "failed"})

Input = str | list[dict[str, Any]]
"""A text, or parts: `{"type": "text", "text": …}` and `{"type": "image", "fileId": …}`."""


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A part of a list; `next_cursor` is None at its end."""

    items: tuple[T, ...]
    next_cursor: str | None = None


@dataclass(frozen=True, kw_only=True)
class TokenUsage(WireObject):
    """Disjoint buckets; `total` is their sum."""

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0
    reasoning: int = 0
    total: int = 0


@dataclass(frozen=True, kw_only=True)
class Cost(WireObject):
    input: Decimal | None = None
    output: Decimal | None = None
    total: Decimal | None = None
    currency: str = "USD"


@dataclass(frozen=True, kw_only=True)
class Failure(WireObject):
    code: str
    message: str


@dataclass(frozen=True, kw_only=True)
class ModelChoice(WireObject):
    provider: str
    model: str


@dataclass(frozen=True, kw_only=True)
class Agent(WireObject):
    id: str
    name: str
    description: str = ""
    icon: str = ""
    provider: str = ""
    model: str = ""
    system_prompt: str = ""
    temperature: float | None = None
    max_tokens: int | None = None
    reasoning: str = "off"
    tools: tuple[str, ...] = ()
    tool_approval: tuple[str, ...] = ()
    fallback: tuple[ModelChoice, ...] = ()
    starters: tuple[str, ...] = ()
    is_premium: bool = False
    is_active: bool = True
    is_available: bool = True
    unavailable_reason: str = ""
    needs_key: bool = False


@dataclass(frozen=True, kw_only=True)
class Author(WireObject):
    """A person (`id`, `name`) or an agent (`agent_id`)."""

    id: str | None = None
    name: str | None = None
    agent_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class Message(WireObject):
    id: str
    conversation_id: str
    role: str
    content: str = ""
    parts: tuple[Mapping[str, Any], ...] = ()
    parent_id: str | None = None
    number: int | None = None
    run_id: str | None = None
    author: Author | None = None
    agent_id: str | None = None
    superseded: bool = False
    created_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Conversation(WireObject):
    id: str
    title: str = ""
    status: str = "active"
    visibility: str = "workspace"
    agent_id: str = ""
    model: str | None = None
    message_count: int = 0
    pinned: bool = False
    live: RunStatus | None = None
    created_by: str | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    last_active_at: datetime | None = None
    deleted_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Attempt(WireObject):
    """One request to a provider."""

    provider: str
    model: str
    status: str
    token_usage: TokenUsage = TokenUsage()
    cost: Cost = Cost()
    duration_ms: int | None = None
    time_to_first_token_ms: int | None = None
    error: JSON = None


@dataclass(frozen=True, kw_only=True)
class Run(WireObject):
    """How a run stands. `message_id` is the question, `answer_id` the answer's message."""

    run_id: str
    conversation_id: str
    status: RunStatus
    agent_id: str = ""
    message_id: str | None = None
    answer_id: str | None = None
    requested_by: str | None = None
    resumed_from: str | None = None
    cancelled_by: str | None = None
    superseded: bool = False
    epoch: int = 0
    last_seq: int = 0
    provider: str | None = None
    model: str | None = None
    stop_reason: str | None = None
    error: Failure | None = None
    token_usage: TokenUsage = TokenUsage()
    cost: Cost = Cost()
    estimated: bool = False
    confidence: float | None = None
    time_to_first_token_ms: int | None = None
    duration_ms: int | None = None
    created_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    attempts: tuple[Attempt, ...] = ()

    @property
    def ended(self) -> bool:
        return self.status in ENDED


@dataclass(frozen=True, kw_only=True)
class ToolCall(WireObject):
    tool_id: str
    tool_name: str
    status: str
    run_id: str = ""
    conversation_id: str = ""
    message_id: str = ""
    input: JSON = None
    result: JSON = None
    error: str | None = None
    duration_ms: int | None = None
    created_at: datetime | None = None
    completed_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class SearchHit(WireObject):
    conversation_id: str
    conversation_title: str
    message_id: str
    role: str
    snippet: str
    agent_id: str | None = None
    author: str | None = None
    created_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class File(WireObject):
    file_id: str
    name: str
    media_type: str
    size: int
    url: str = ""


@dataclass(frozen=True, kw_only=True)
class Tool(WireObject):
    name: str
    description: str = ""
    kind: str = "model"
    command: str | None = None
    input_schema: Mapping[str, Any] = field(default_factory=dict)
    needs_approval: bool = False
    requires_premium: bool = False
    idempotent: bool = False


@dataclass(frozen=True, kw_only=True)
class Here(WireObject):
    """Somebody who is here now. `user_id` is a person's id, or an agent's."""

    user_id: str
    name: str = ""
    kind: str = "person"
    activity: str = "viewing"
    conversation_id: str | None = None
    cursor: Mapping[str, Any] | None = None
    selection: Mapping[str, Any] | None = None
    since: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Activity(WireObject):
    id: str
    activity_type: str
    user_id: str | None = None
    user_name: str | None = None
    agent_id: str | None = None
    conversation_id: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    created_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Percentiles(WireObject):
    p50: int | None = None
    p95: int | None = None


@dataclass(frozen=True, kw_only=True)
class UsageLine(WireObject):
    """`requests` counts requests to providers, failed and retried ones too. `key` and `name`: of a group."""

    requests: int = 0
    errors: int = 0
    unpriced: int = 0
    cost: Decimal | None = None
    token_usage: TokenUsage = TokenUsage()
    time_to_first_token_ms: Percentiles = Percentiles()
    duration_ms: Percentiles = Percentiles()
    key: str | None = None
    name: str | None = None


@dataclass(frozen=True, kw_only=True)
class Usage(WireObject):
    totals: UsageLine
    items: tuple[UsageLine, ...] = ()
    range: str = "all"
    group_by: str | None = None


@dataclass(frozen=True, kw_only=True)
class Workspace(WireObject):
    id: str
    slug: str
    name: str


@dataclass(frozen=True, kw_only=True)
class Me(WireObject):
    id: str
    name: str
    role: str
    workspace: Workspace
    username: str = ""
    timezone: str = ""
    workspaces: tuple[Workspace, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Member(WireObject):
    user_id: str
    name: str
    role: str = "member"


@dataclass(frozen=True, kw_only=True)
class Token(WireObject):
    """`token`, the secret itself, is told once: when it is made."""

    id: str
    name: str
    last_four: str
    scopes: tuple[str, ...] = ()
    user_id: str = ""
    created_at: datetime | None = None
    expires_at: datetime | None = None
    last_used_at: datetime | None = None
    token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True)
class Accepted(WireObject):
    """The server took a run: it is stored and will be executed, whatever dies now."""

    run_id: str
    conversation_id: str
    message_id: str
    answer_id: str | None = None
    status: RunStatus = "queued"
