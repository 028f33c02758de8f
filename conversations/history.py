"""What the model is told of a conversation: the branch on the screen up to the question, as much as fits [P10].

Tool calls and results of earlier answers go along in neutral form, thinking does
not. The last ten messages are always sent; older ones while they fit into the
model's window beside the answer.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection

from nexus_core.messages import ImagePart, Part, TextPart, ToolCallPart, ToolResultPart
from nexus_core.messages import Message as ModelMessage
from workspaces.statements import as_id

from .branches import Node, shown_line
from .models import Message, Upload

ALWAYS_SENT = 10
MOST_TURNS = 2000
"""More messages than any window holds."""
CHARACTERS_PER_TOKEN = 4
IMAGE_TOKENS = 1600
DEFAULT_WINDOW = 128_000


@dataclass(slots=True)
class Turn:
    """What history needs of a message; its ids are as the database gives them, its parts are parsed when they are
    looked at."""

    id: Any
    parent_id: Any
    number: int
    role: str
    superseded: bool
    clears_history: bool
    stored_parts: str | list[dict[str, Any]]

    @property
    def parts(self) -> list[dict[str, Any]]:
        return json.loads(self.stored_parts) if isinstance(self.stored_parts, str) else self.stored_parts


def branch_to(message: Message) -> list[Turn]:
    """What a reader of this message sees above it, and the message: the shown line (`branches.py`), without
    what stands before the last /clear; of a very long conversation only the last `MOST_TURNS`. One query."""
    asked = Turn(
        as_id(message.pk),
        as_id(message.parent_id),
        message.number,
        message.role,
        message.superseded,
        message.clears_history,
        message.parts,
    )
    if message.parent_id is None:
        return [asked]
    turns = _turns_of(message.conversation_id)
    line = turns if _straight(turns, asked) else _shown(turns, asked)
    clears = next((turn for turn in reversed(line[:-1]) if turn.clears_history), None)
    if clears is None:
        return line
    # The /clear itself and its own answer are not for the model.
    later = line[line.index(clears) + 1 :]
    return [turn for turn in later if turn.role == Message.Role.USER or turn.parent_id != clears.id]


def _straight(turns: Sequence[Turn], asked: Turn) -> bool:
    """Whether each message hangs below the one before it, as in most conversations: then all of them are the line."""
    above: Any = None
    for turn in turns:
        if turn.parent_id != above or turn.superseded:
            return False
        above = turn.id
    return bool(above == asked.id)


def _shown(turns: Sequence[Turn], asked: Turn) -> list[Turn]:
    everything = {turn.id: turn for turn in turns}
    everything[asked.id] = asked
    # What is asked is on its own line, also where it was withdrawn meanwhile.
    nodes = (
        Node(turn.id, turn.parent_id, turn.number, turn.role, turn.superseded and turn is not asked)
        for turn in everything.values()
    )
    line: list[Turn] = []
    for node in shown_line(nodes, through=asked.id).nodes:
        line.append(everything[node.id])
        if node.id == asked.id:
            break
    return line


def _turns_of(conversation_id: UUID) -> list[Turn]:
    """Oldest first. Without building a model per message: a long conversation has hundreds, and each start reads
    them."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, parent_id, number, role, superseded, clears_history, parts "  # noqa: S608
            f"FROM {Message._meta.db_table} WHERE conversation_id = %s ORDER BY number DESC LIMIT {MOST_TURNS}",
            [as_id(conversation_id)],
        )
        return [Turn(*row) for row in reversed(cursor.fetchall())]


def model_messages(
    line: Sequence[Turn], *, window: int = DEFAULT_WINDOW, answer_tokens: int = 4096
) -> list[ModelMessage]:
    """The branch in the provider-neutral form, newest kept first; images are read from their files."""
    budget = max(window - answer_tokens, 1000)
    chosen: list[list[ModelMessage]] = []
    spent = 0
    for age, message in enumerate(reversed(line)):
        turns = _turns(message)
        size = sum(_tokens(turn) for turn in turns)
        if age >= ALWAYS_SENT and spent + size > budget:
            break
        spent += size
        chosen.append(turns)
    flat = [turn for turns in reversed(chosen) for turn in turns]
    while flat and flat[0].role != "user":  # providers want a person's turn first
        flat.pop(0)
    return flat


def _turns(message: Turn) -> list[ModelMessage]:
    if message.role == Message.Role.USER:
        parts = [part for raw in message.parts if (part := _user_part(raw)) is not None]
        return [ModelMessage("user", tuple(parts))] if parts else []
    out: list[ModelMessage] = []
    said: list[Part] = []
    calls: list[dict[str, Any]] = []

    def close_calls() -> None:
        nonlocal calls, said
        if not calls:
            return
        said += [ToolCallPart(c["toolId"], c["toolName"], _as_object(c["input"])) for c in calls]
        out.append(ModelMessage("assistant", tuple(said)))
        out.append(ModelMessage("tool", tuple(_result(c) for c in calls)))
        calls, said = [], []

    for raw in message.parts:
        if raw["type"] == "tool_call":
            calls.append(raw)
        elif raw["type"] == "text" and raw["text"]:
            close_calls()
            said.append(TextPart(raw["text"]))
    close_calls()
    if said:
        out.append(ModelMessage("assistant", tuple(said)))
    return out


def _result(call: dict[str, Any]) -> ToolResultPart:
    if call["status"] == "COMPLETED":
        content = json.dumps(call.get("result"), ensure_ascii=False)
        return ToolResultPart(call["toolId"], call["toolName"], content)
    said = call.get("error") or f"The call ended {call['status']}."
    return ToolResultPart(
        call["toolId"], call["toolName"], json.dumps({"error": said}, ensure_ascii=False), True
    )


def _as_object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {"value": value}


def _user_part(raw: dict[str, Any]) -> Part | None:
    if raw["type"] == "text":
        return TextPart(raw["text"])
    if raw["type"] == "image":
        upload = Upload.objects.filter(pk=raw["fileId"]).first()
        if upload is None:
            return TextPart(f"[image {raw.get('name', '')} is no longer stored]")
        return ImagePart((Path(settings.MEDIA_ROOT) / upload.path).read_bytes(), upload.media_type)
    return None


def _tokens(turn: ModelMessage) -> int:
    size = 4
    for part in turn.parts:
        if isinstance(part, ImagePart):
            size += IMAGE_TOKENS
        elif isinstance(part, TextPart):
            size += len(part.text) // CHARACTERS_PER_TOKEN
        elif isinstance(part, ToolCallPart):
            size += len(json.dumps(dict(part.input))) // CHARACTERS_PER_TOKEN
        elif isinstance(part, ToolResultPart):
            size += len(part.content) // CHARACTERS_PER_TOKEN
    return size
