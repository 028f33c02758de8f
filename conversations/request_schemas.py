"""What HTTP takes, for requests and for the OpenAPI document. camelCase; snake_case is accepted too."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field, StrictBool

from realtime.wire import Wire

from .schemas import Visibility

Policy = Literal["reject", "enqueue", "interrupt", "rollback"]
MessageInput = Annotated[
    str | list[dict[str, Any]],
    Field(
        description='Text, or parts: {"type": "text", "text": …} and {"type": "image", "fileId": …}.',
        examples=["Hello!"],
    ),
]


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


class PreviewAsked(Wire):
    """A message that is not sent yet."""

    agent_id: str = Field(default="", max_length=200)
    message: MessageInput = ""
    conversation_id: str | None = None
    model: str = Field(default="", max_length=160, description="provider/model")


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
