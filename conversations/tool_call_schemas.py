"""What HTTP gives of tool calls, and of those that people decide on."""

from __future__ import annotations

from typing import Any, Literal
from uuid import UUID

from pydantic import Field

from realtime.wire import Wire

from .schemas import Instant, PersonNamed

ToolStatus = Literal["PENDING", "RUNNING", "COMPLETED", "FAILED", "UNKNOWN"]


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
    conversation_title: str | None
    created_by: PersonNamed | None
    created_at: Instant
    holds: bool = Field(
        description="false: who gave it has left or may not give it any more; calls are asked again."
    )
    may_forget: bool = Field(description="Whether the caller may take it back.")


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


class ApprovalList(Wire):
    items: list[ApprovalOpen]
    next_cursor: str | None


class StandingApprovalList(Wire):
    items: list[StandingApproval]
    next_cursor: str | None


class ToolCallList(Wire):
    items: list[ToolCall]
    next_cursor: str | None
