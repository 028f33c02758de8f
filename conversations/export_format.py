"""The exported JSON as types: what `exports` writes and `services/importing` takes, strictly.

Version 2 has everything that an import needs: the images' bytes, tool calls, the exporter's own feedback, and
no state of the machine. Version 1 has none of those and is read all the same.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, Field, StrictBool, StrictInt, StrictStr

from realtime.wire import Wire

LATEST = 2
MOST_MESSAGES = 20_000
MOST_RUNS = 20_000
MOST_TOOL_CALLS = 50_000
MOST_FILES = 500
LONGEST_TEXT = 4_000_000
LONGEST_NUMBER = 2**31 - 1
TERMINAL = ("complete", "cancelled", "failed")


def _sane(moment: datetime) -> datetime:
    if not 2000 <= moment.year < 2100:
        raise ValueError("not a time between 2000 and 2100")
    return moment


Moment = Annotated[AwareDatetime, AfterValidator(_sane)]
Text = Annotated[StrictStr, Field(max_length=LONGEST_TEXT)]
Slug = Annotated[StrictStr, Field(max_length=64)]
Model = Annotated[StrictStr, Field(max_length=160)]
Count = Annotated[StrictInt, Field(ge=0, le=2**53)]
Small = Annotated[StrictInt, Field(ge=0, le=LONGEST_NUMBER)]
Duration = Annotated[
    StrictInt, Field(ge=-LONGEST_NUMBER, le=LONGEST_NUMBER, description="ms; clocks may step back")
]
Money = Annotated[StrictStr, Field(pattern=r"^\d{1,6}(\.\d{1,12})?$")]
ToolStatus = Literal["PENDING", "RUNNING", "COMPLETED", "FAILED", "UNKNOWN"]


class TextPart(Wire):
    type: Literal["text"]
    text: Text
    section: Annotated[StrictStr, Field(max_length=200)] | None = None


class ImagePart(Wire):
    type: Literal["image"]
    file_id: UUID
    media_type: Annotated[StrictStr, Field(max_length=100)] = ""
    name: Annotated[StrictStr, Field(max_length=200)] = ""


class ReasoningPart(Wire):
    type: Literal["reasoning"]
    text: Text
    duration_ms: Duration | None = None


class ToolCallPart(Wire):
    type: Literal["tool_call"]
    tool_id: UUID
    tool_name: Annotated[StrictStr, Field(max_length=128)]
    status: ToolStatus
    input: Any = None
    result: Any = None
    error: Any = None
    duration_ms: Duration | None = None


Part = Annotated[TextPart | ImagePart | ReasoningPart | ToolCallPart, Field(discriminator="type")]


class PersonName(Wire):
    id: UUID | None = None
    name: Annotated[StrictStr, Field(min_length=1, max_length=150)]


class AgentName(Wire):
    agent_id: Slug


class ExportedFeedback(Wire):
    rating: Literal["good", "poor"]
    comment: Annotated[StrictStr, Field(max_length=2000)] = ""
    updated_at: Moment


class ExportedMessage(Wire):
    id: UUID
    parent_id: UUID | None
    number: Annotated[StrictInt, Field(ge=1, le=LONGEST_NUMBER)]
    role: Literal["system", "user", "assistant", "tool"]
    content: Text
    parts: Annotated[list[Part], Field(max_length=5000)]
    run_id: UUID | None = None
    author: PersonName | AgentName | None = None
    agent_id: Slug | None = None
    superseded: StrictBool = False
    clears_history: StrictBool = False
    continues: UUID | None = None
    feedback: ExportedFeedback | None = None
    created_at: Moment

    @property
    def plain_parts(self) -> list[dict[str, Any]]:
        """As they are stored: what was not said is not there."""
        return [part.model_dump(mode="json", by_alias=True, exclude_unset=True) for part in self.parts]


class ExportedConversation(Wire):
    id: UUID
    title: Annotated[StrictStr, Field(max_length=200)]
    titled_by_person: StrictBool = False
    status: Literal["active", "archived"] = "active"
    agent_id: Slug = ""
    model: Model | None = None
    created_at: Moment
    last_active_at: Moment | None = None


class ExportedUsage(Wire):
    input: Count = 0
    output: Count = 0
    cache_read: Count = 0
    cache_write: Count = 0
    reasoning: Count = 0


class ExportedCost(Wire):
    input: Money | None = None
    output: Money | None = None


class ExportedError(Wire):
    code: Annotated[StrictStr, Field(max_length=64)]
    message: Text


class ExportedRun(Wire):
    id: UUID
    agent_id: Slug
    status: Literal["queued", "running", "waiting", "complete", "cancelled", "failed"]
    message_id: UUID
    answer_id: UUID
    requested_by: UUID | None = None
    resumed_from: UUID | None = None
    superseded: StrictBool = False
    provider: Slug | None = None
    model: Model | None = None
    stop_reason: Annotated[StrictStr, Field(max_length=32)] | None = None
    error: ExportedError | None = None
    token_usage: ExportedUsage = Field(default_factory=ExportedUsage)
    cost: ExportedCost = Field(default_factory=ExportedCost)
    context_tokens: Count | None = None
    estimated: StrictBool = False
    confidence: Annotated[float, Field(ge=0, le=1)] | None = None
    time_to_first_token_ms: Small | None = None
    duration_ms: Duration | None = None
    created_at: Moment
    started_at: Moment | None = None
    finished_at: Moment | None = None


class ExportedToolCall(Wire):
    tool_id: UUID
    tool_name: Annotated[StrictStr, Field(max_length=128)]
    tool_call_id: Annotated[StrictStr, Field(max_length=200)]
    run_id: UUID
    message_id: UUID
    step: Small = 0
    position: Small = 0
    input: Any = None
    status: ToolStatus
    result: Any = None
    error: Text | None = None
    duration_ms: Small | None = None
    created_at: Moment
    completed_at: Moment | None = None


class ExportedFile(Wire):
    id: UUID
    name: Annotated[StrictStr, Field(max_length=200)]
    media_type: Annotated[StrictStr, Field(max_length=100)]
    sha256: Annotated[StrictStr, Field(pattern=r"^[0-9a-f]{64}$")]
    data: Annotated[StrictStr, Field(description="base64")]


class ConversationFile(Wire):
    format: Literal["nexus.conversation"]
    version: Literal[1, 2]
    exported_at: datetime | None = None
    conversation: ExportedConversation
    messages: Annotated[list[ExportedMessage], Field(max_length=MOST_MESSAGES)]
    runs: Annotated[list[ExportedRun], Field(default_factory=list, max_length=MOST_RUNS)]
    tool_calls: Annotated[list[ExportedToolCall], Field(default_factory=list, max_length=MOST_TOOL_CALLS)]
    files: Annotated[list[ExportedFile], Field(default_factory=list, max_length=MOST_FILES)]
