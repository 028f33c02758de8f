"""What HTTP gives of conversations, messages and runs, for the OpenAPI document. camelCase.

Answers are made by `wire`, which is the truth; these models and those of `tool_call_schemas` and
`thread_schemas` describe them, and the OpenAPI test holds the two together.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field

from billing.schemas import TokenUsage
from realtime.wire import Wire

Visibility = Literal["workspace", "private", "shared"]
RunStatus = Literal["queued", "running", "waiting", "complete", "cancelled", "failed"]
ChunkType = Literal["content", "reasoning", "tool_call", "metadata", "error"]

Instant = Annotated[str, Field(description="ISO 8601 in UTC: 2026-11-20T14:02:05.120Z")]
Money = Annotated[str | None, Field(description="Exact decimal US dollars; null where no price is known.")]


class Preview(Wire):
    """Of the first request of the run; a run with tools makes several, and each is held by itself."""

    agent_id: str
    provider: str
    model: str
    prompt_tokens: int = Field(description="Counted here, near what the provider will count.")
    prompt_cost: str | None = Field(description="Exact decimal US dollars; null where no price is known.")
    output_per_million: str | None = Field(description="What a million tokens of the answer cost.")
    worst_case: str | None = Field(
        description="What budgets hold while it runs: the most that prompt and answer can cost."
    )
    currency: Literal["USD"]
    max_tokens: int = Field(description="The longest answer that the agent asks for.")
    affordable_tokens: int = Field(description="The longest that budgets have room for now; 0: refused.")
    budget: str | None = Field(description="The budget that refuses it or makes the answer shorter.")
    refusal: Literal["budget_exceeded", "price_unknown"] | None


class Cost(Wire):
    input: Money
    output: Money
    total: Money
    currency: Literal["USD"]


class Chunk(Wire):
    """What `data` holds depends on the type: see the wire reference."""

    type: ChunkType
    data: Any
    timestamp: int = Field(description="Milliseconds since 1970.")


class NumberedChunk(Wire):
    seq: int
    chunk: Chunk


class Person(Wire):
    """A person (`id`, `name`) or an agent (`agentId`)."""

    id: str | None = None
    name: str | None = None
    agent_id: str | None = None


class Message(Wire):
    id: UUID
    conversation_id: UUID
    parent_id: UUID | None
    number: int
    role: Literal["system", "user", "assistant", "tool"]
    kinds: list[Literal["message", "thought", "action"]]
    content: str
    parts: list[dict[str, Any]]
    run_id: UUID | None
    author: Person | None
    agent_id: str | None
    superseded: bool
    continues: UUID | None = Field(description="The answer, cut by its length, that this message lets go on.")
    created_at: Instant


class Feedback(Wire):
    """What the caller thinks of an answer."""

    rating: Literal["good", "poor"]
    comment: str
    updated_at: Instant


class Conversation(Wire):
    id: UUID
    title: str
    status: Literal["active", "archived"]
    visibility: Visibility
    agent_id: str
    model: str | None
    message_count: int
    pinned: bool
    temporary: bool
    unread: int = Field(description="Messages of others since the caller last looked.")
    last_read_at: Instant | None
    live: RunStatus | None
    created_by: UUID | None
    created_at: Instant
    updated_at: Instant
    last_active_at: Instant
    deleted_at: Instant | None


class Failure(Wire):
    code: str
    message: str


class Attempt(Wire):
    """One request to a provider."""

    provider: str
    model: str
    status: str
    token_usage: TokenUsage
    cost: Cost
    duration_ms: int | None
    time_to_first_token_ms: int | None
    error: Any = None


class Run(Wire):
    run_id: UUID
    conversation_id: UUID
    agent_id: str
    status: RunStatus
    message_id: UUID
    answer_id: UUID
    requested_by: UUID | None
    resumed_from: UUID | None
    cancelled_by: UUID | None = Field(description="Who asked it to stop; null: nobody, or nobody known.")
    controlled_by: UUID | None = Field(description="Who took control; null: nobody.")
    control_fence: int
    epoch: int
    last_seq: int
    provider: str | None
    model: str | None
    stop_reason: str | None
    error: Failure | None
    token_usage: TokenUsage
    cost: Cost
    context_tokens: int | None = Field(description="What its last model call took in and gave out.")
    context_window: int | None = Field(description="How much that model takes; null where nobody knows.")
    estimated: bool
    confidence: float | None
    time_to_first_token_ms: int | None
    duration_ms: int | None
    created_at: Instant
    started_at: Instant | None
    finished_at: Instant | None
    attempts: list[Attempt] | None = None


class RunAccepted(Wire):
    run_id: UUID
    conversation_id: UUID
    message_id: UUID
    answer_id: UUID
    status: RunStatus
    stream_url: str


class RunResumed(RunAccepted):
    resumed_from: UUID


class RunSteered(Wire):
    run_id: UUID
    message_id: UUID = Field(description="What its message is called when the agent has heard it.")


class RunCancelled(Wire):
    run_id: UUID
    status: RunStatus


class Invoked(Wire):
    """The whole run. `message` is the answer; a run that failed has its `error`, and the partial answer."""

    run_id: UUID
    conversation_id: UUID
    message_id: UUID
    status: RunStatus
    message: Message
    chunks: list[Chunk]
    token_usage: TokenUsage
    cost: Cost
    error: Failure | None


class PersonNamed(Wire):
    id: UUID
    name: str


class Fragment(Wire):
    text: str
    match: bool


class SearchHit(Wire):
    conversation_id: UUID
    conversation_title: str
    message_id: UUID
    role: str
    agent_id: str | None
    author: str | None
    snippet: str
    fragments: list[Fragment] = Field(description="The snippet in pieces; those that match are marked.")
    created_at: Instant


class File(Wire):
    file_id: UUID
    name: str
    media_type: str
    size: int
    url: str


class Command(Wire):
    name: str
    description: str
    usage: str
    kind: Literal["command", "hybrid"]


class ConversationList(Wire):
    items: list[Conversation]
    next_cursor: str | None


class BulkResult(Wire):
    id: str
    status: int = Field(description="200, or what the single request would have been refused with.")
    error: Failure | None


class BulkResults(Wire):
    """One per id, in the order of the request."""

    items: list[BulkResult]
    next_cursor: str | None


class MessageList(Wire):
    items: list[Message]
    next_cursor: str | None


class ChunkList(Wire):
    items: list[NumberedChunk]
    next_cursor: str | None


class SearchHits(Wire):
    items: list[SearchHit]
    next_cursor: str | None


class CommandList(Wire):
    items: list[Command]
    next_cursor: str | None
