"""What HTTP gives of presence and activity."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from .wire import Wire


class Cursor(Wire):
    x: float
    y: float


class Selection(Wire):
    start: int
    end: int
    file_path: str | None = None


class Here(Wire):
    user_id: str = Field(description="A person's id, or an agent's.")
    name: str
    kind: Literal["person", "agent"]
    activity: str
    since: datetime
    icon: str | None = None
    conversation_id: str | None = Field(default=None, description="Only where the caller may read it.")
    cursor: Cursor | None = None
    selection: Selection | None = None


class HereList(Wire):
    items: list[Here]
    next_cursor: str | None


class Activity(Wire):
    id: str
    activity_type: str
    user_id: str | None
    user_name: str | None
    agent_id: str | None
    metadata: dict[str, Any]
    created_at: datetime
    conversation_id: str | None = Field(default=None, description="Only where the caller may read it.")


class ActivityList(Wire):
    items: list[Activity]
    next_cursor: str | None
