"""What HTTP takes and gives, for requests and for the OpenAPI document. camelCase; snake_case is accepted too.

Answers are made by `wire`, which is the truth; these models describe them, and the
OpenAPI test holds the two together.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field, StrictBool

from realtime.wire import Wire

Policy = Literal["reject", "enqueue", "interrupt", "rollback"]
Visibility = Literal["workspace", "private", "shared"]
RunStatus = Literal["queued", "running", "waiting", "complete", "cancelled", "failed"]
ToolStatus = Literal["PENDING", "RUNNING", "COMPLETED", "FAILED", "UNKNOWN"]
ChunkType = Literal["content", "reasoning", "tool_call", "metadata", "error"]

Instant = Annotated[str, Field(description="ISO 8601 in UTC: 2026-11-20T14:02:05.120Z")]
Money = Annotated[str | None, Field(description="Exact decimal US dollars; null where no price is known.")]
MessageInput = Annotated[
    str | list[dict[str, Any]],
    Field(
        description='Text, or parts: {"type": "text", "text": …} and {"type": "image", "fileId": …}.',
        examples=["Hello!"],
    ),
]

# --- requests ---------------------------------------------------------------------------------------------


class Invoke(Wire):
    """`agentId` may be left out in a conversation that has one."""

    agent_id: str = Field(default="", max_length=200)
    message: MessageInput = ""
    conversation_id: str | None = None
    client_id: str = Field(
        default="", description="The same id again gives the same run. Or: Idempotency-Key."
    )
    policy: Policy = Field(
        default="reject", description="What to do when this agent is still answering here."
    )
    model: str = Field(default="", max_length=160, description="provider/model, for this run only.")
    parent_message_id: str | None = Field(
        default=None, description="For an edit: the parent of the edited message, null for the first message."
    )
    regenerate_message_id: str | None = Field(default=None, description="An answer that is to be made again.")
    visibility: Visibility | None = Field(default=None, description="Of a conversation that is made by this.")
    background: bool = Field(default=False, description="Answer 202 at once.")


class StreamContext(Wire):
    session_id: str | None = Field(default=None, description="The conversation.")


class AgentStream(Wire):
    agent_id: str = Field(default="", max_length=200)
    input: MessageInput = ""
    context: StreamContext = Field(default_factory=StreamContext)
    client_id: str = ""
    policy: Policy = "reject"
    model: str = Field(default="", max_length=160)


class ResumeBody(Wire):
    client_id: str = ""


class SteerBody(Wire):
    input: MessageInput
    client_id: str = Field(default="", max_length=128, description="Or: Idempotency-Key.")


class DecisionBody(Wire):
    decision: Literal["approve", "deny", "answer", "ran", "rerun"]
    note: str = Field(default="", max_length=2000, description="Of a no, the model is told.")
    answer: str | None = Field(default=None, max_length=20_000, description="To a question of the agent.")
    remember: Literal["once", "conversation", "always"] = Field(
        default="once", description="Of a yes: how far it reaches. `always` is for admins and owners."
    )
    client_id: str = Field(default="", max_length=128, description="Or: Idempotency-Key.")


class ConversationNew(Wire):
    title: str = ""
    agent_id: str = Field(default="", max_length=200)
    visibility: Visibility = "workspace"
    model: str = ""
    shared_with: list[UUID] = Field(default_factory=list, max_length=500)
    temporary: StrictBool = Field(
        default=False, description="The caller's alone, in no list, and removed a day after its last message."
    )


class BulkChange(Wire):
    ids: list[str] = Field(min_length=1, max_length=200)
    action: Literal["archive", "restore", "delete", "read"] = Field(
        description="`restore` brings back what is archived or deleted; `read` marks as read for the caller."
    )


class ConversationChange(Wire):
    """What is left out stays as it is."""

    title: str | None = None
    status: Literal["active", "archived"] | None = None
    pinned: bool | None = None
    visibility: Visibility | None = None
    model: str | None = Field(default=None, description="provider/model; empty for the agent's own.")
    agent_id: str | None = Field(default=None, max_length=200)
    shared_with: list[UUID] | None = Field(default=None, max_length=500)
    temporary: Literal[False] | None = Field(default=None, description="false keeps a temporary chat.")


class ForkBody(Wire):
    message_id: UUID = Field(description="The last message that is copied.")


class FeedbackBody(Wire):
    rating: Literal["good", "poor"]
    comment: str = Field(default="", max_length=2000)


# --- answers ----------------------------------------------------------------------------------------------


class TokenUsage(Wire):
    """Disjoint buckets; `total` is their sum."""

    input: int
    output: int
    cache_read: int
    cache_write: int
    reasoning: int
    total: int


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


class ApprovalVote(Wire):
    user: PersonNamed | None
    decision: Literal["approve", "deny", "answer"]
    note: str | None
    created_at: Instant


class Approval(Wire):
    """A call that was put to people: who may decide (`role` and above), who said what, and what came of it."""

    tool_id: UUID
    tool_name: str
    run_id: UUID
    conversation_id: UUID
    agent_id: str
    kind: Literal["approval", "question"]
    status: Literal["open", "approved", "denied", "answered", "expired", "withdrawn"]
    role: Literal["member", "admin", "owner"]
    quorum: int
    votes: list[ApprovalVote]
    created_at: Instant
    expires_at: Instant
    decided_at: Instant | None
    decided_by: PersonNamed | None
    note: str | None
    answer: str | None


class ApprovalOpen(Approval):
    input: Any
    conversation_title: str


class StandingApproval(Wire):
    id: UUID
    agent_id: str
    tool_name: str
    conversation_id: UUID | None = Field(description="null: in the whole workspace.")
    created_by: PersonNamed | None
    created_at: Instant


class ToolCall(Wire):
    tool_id: UUID
    tool_name: str
    tool_call_id: str
    run_id: UUID
    conversation_id: UUID
    message_id: UUID
    input: Any
    status: ToolStatus
    result: Any
    error: str | None
    duration_ms: int | None
    created_at: Instant
    completed_at: Instant | None
    approval: Approval | None = Field(description="Null where nobody had to be asked.")


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


class ThreadMessage(Message):
    feedback: Feedback | None


class Earlier(Wire):
    before: UUID = Field(description="The first message here: ask for what stands before it.")
    count: int = Field(description="How many messages stand before it.")


class Steering(Wire):
    message_id: UUID
    run_id: UUID
    text: str
    author: PersonNamed | None
    created_at: Instant


class Thread(Wire):
    messages: list[ThreadMessage]
    runs: list[Run]
    approvals: list[Approval] = Field(description="What these runs put to people.")
    steerings: list[Steering] = Field(description="What was said to running agents and is not heard yet.")
    line: list[UUID] = Field(description="What is shown, in reading order.")
    earlier: Earlier | None
    unloaded: list[UUID] = Field(description="Other versions of which only the first message is here.")


class ChunkList(Wire):
    items: list[NumberedChunk]
    next_cursor: str | None


class ApprovalList(Wire):
    items: list[ApprovalOpen]
    next_cursor: str | None


class StandingApprovalList(Wire):
    items: list[StandingApproval]
    next_cursor: str | None


class ToolCallList(Wire):
    items: list[ToolCall]
    next_cursor: str | None


class SearchHits(Wire):
    items: list[SearchHit]
    next_cursor: str | None


class CommandList(Wire):
    items: list[Command]
    next_cursor: str | None
