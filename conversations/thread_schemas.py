"""What HTTP gives of a conversation as a page shows it: a part of its messages with all that stands beside them."""

from __future__ import annotations

from uuid import UUID

from pydantic import Field

from realtime.wire import Wire

from .schemas import Feedback, Instant, Message, PersonNamed, Run
from .tool_call_schemas import Approval


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
