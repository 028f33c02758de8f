"""Chunks: the closed set of pieces that a run streams, to and from the wire.

The wire shape is the documents' `{type, data, timestamp}` [C1, C2]. A chunk has
no seq of its own: whoever stores it (in Nexus the recorder) numbers it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

ToolStatus = Literal["PENDING", "RUNNING", "COMPLETED", "FAILED", "UNKNOWN"]
MetadataStatus = Literal[
    "started",
    "progress",
    "retrying",
    "fallback",
    "waiting",
    "resumed",
    "steered",
    "reset",
    "complete",
    "cancelled",
    "failed",
]
TERMINAL: frozenset[str] = frozenset({"complete", "cancelled", "failed"})

JSON = Any
"""A JSON value: what `json.loads` gives."""


def now_ms() -> int:
    """Milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class ContentChunk:
    """The next piece of visible text; with `section` a piece of that section (progressive content)."""

    text: str
    section: str | None = None
    timestamp: int = field(default_factory=now_ms, compare=False)

    @property
    def data(self) -> JSON:
        return self.text if self.section is None else {"section": self.section, "content": self.text}

    type = "content"


@dataclass(frozen=True, slots=True)
class ReasoningChunk:
    """The next piece of the model's thinking."""

    text: str
    timestamp: int = field(default_factory=now_ms, compare=False)

    @property
    def data(self) -> JSON:
        return self.text

    type = "reasoning"


@dataclass(frozen=True, slots=True)
class ToolCallChunk:
    """A tool call as it stands now, sent whole at each change of status; readers replace by `tool_id`."""

    tool_id: str
    tool_name: str
    input: JSON
    status: ToolStatus
    result: JSON = None
    error: str | None = None
    duration_ms: int | None = None
    timestamp: int = field(default_factory=now_ms, compare=False)

    @property
    def data(self) -> JSON:
        out: dict[str, JSON] = {
            "toolId": self.tool_id,
            "toolName": self.tool_name,
            "input": self.input,
            "status": self.status,
        }
        if self.status == "COMPLETED":
            out["result"] = self.result
        if self.error is not None:
            out["error"] = self.error
        if self.duration_ms is not None:
            out["durationMs"] = self.duration_ms
        return out

    type = "tool_call"


@dataclass(frozen=True, slots=True)
class MetadataChunk:
    """What happens around the text; `fields` are the further wire fields (camelCase) of that status."""

    status: MetadataStatus
    fields: Mapping[str, JSON] = field(default_factory=dict)
    timestamp: int = field(default_factory=now_ms, compare=False)

    @property
    def data(self) -> JSON:
        return {"status": self.status, **self.fields}

    @property
    def terminal(self) -> bool:
        return self.status in TERMINAL

    type = "metadata"


@dataclass(frozen=True, slots=True)
class ErrorChunk:
    """A failure: `message` for a person, `code` for a program."""

    message: str
    code: str
    retryable: bool = False
    timestamp: int = field(default_factory=now_ms, compare=False)

    @property
    def data(self) -> JSON:
        return {"message": self.message, "code": self.code, "retryable": self.retryable}

    type = "error"


Chunk = ContentChunk | ReasoningChunk | ToolCallChunk | MetadataChunk | ErrorChunk
CHUNK_TYPES = ("content", "reasoning", "tool_call", "metadata", "error")


def to_wire(chunk: Chunk) -> dict[str, JSON]:
    """`{"type", "data", "timestamp"}`, ready for JSON."""
    return {"type": chunk.type, "data": chunk.data, "timestamp": chunk.timestamp}


def from_wire(wire: Mapping[str, JSON]) -> Chunk:
    """The chunk of a wire object. Raises `ValueError` with what is wrong."""
    kind, data, ts = wire.get("type"), wire.get("data"), wire.get("timestamp")
    if not isinstance(ts, int):
        raise ValueError("a chunk needs an integer timestamp in milliseconds")
    match kind:
        case "content" if isinstance(data, str):
            return ContentChunk(data, None, ts)
        case "content" if isinstance(data, Mapping):
            return ContentChunk(data["content"], data["section"], ts)
        case "reasoning" if isinstance(data, str):
            return ReasoningChunk(data, ts)
        case "tool_call" if isinstance(data, Mapping):
            return ToolCallChunk(
                data["toolId"],
                data["toolName"],
                data["input"],
                data["status"],
                data.get("result"),
                data.get("error"),
                data.get("durationMs"),
                ts,
            )
        case "metadata" if isinstance(data, Mapping):
            return MetadataChunk(data["status"], {k: v for k, v in data.items() if k != "status"}, ts)
        case "error" if isinstance(data, Mapping):
            return ErrorChunk(data["message"], data["code"], data.get("retryable", False), ts)
    raise ValueError(
        f"not a chunk: type {kind!r} with data of {type(data).__name__}; types are {CHUNK_TYPES}"
    )
