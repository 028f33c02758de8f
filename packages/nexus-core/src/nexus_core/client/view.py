"""One run, read chunk by chunk: what it says now, after every reset.

The same rules as the browser's `run.js`; a contract test plays the same frames to both. A chunk
is applied only if its seq follows the last one; one that leaves a hole is only noted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ..chunks import (
    TERMINAL,
    Chunk,
    ContentChunk,
    ErrorChunk,
    MetadataChunk,
    ReasoningChunk,
    ToolCallChunk,
    from_wire,
)

JSON = Any


@dataclass(frozen=True, slots=True)
class UnknownChunk:
    """A chunk of a type that this version does not know: a newer server's. Its seq counts all the same."""

    type: str
    data: JSON
    timestamp: int = field(default=0, compare=False)


AnyChunk = Chunk | UnknownChunk


def read_chunk(wire: Mapping[str, JSON]) -> AnyChunk:
    """The chunk of a wire object; never raises for one that a newer server made up."""
    try:
        return from_wire(wire)
    except (ValueError, KeyError, TypeError):
        at = wire.get("timestamp")
        return UnknownChunk(str(wire.get("type")), wire.get("data"), at if isinstance(at, int) else 0)


def is_terminal(chunk: AnyChunk) -> bool:
    """Only such a chunk ends a run."""
    return isinstance(chunk, MetadataChunk) and chunk.terminal


@dataclass(slots=True)
class Written:
    """A stretch of text or reasoning. It keeps its pieces with their seqs, so that a reset can cut it."""

    kind: Literal["text", "reasoning"]
    section: str | None = None
    pieces: list[tuple[int, str]] = field(default_factory=list, repr=False)

    @property
    def text(self) -> str:
        return "".join(text for _, text in self.pieces)


@dataclass(slots=True)
class Called:
    """A tool call as it stands now, and how it stood at each seq before."""

    versions: list[tuple[int, ToolCallChunk]]
    kind: Literal["tool"] = "tool"

    @property
    def call(self) -> ToolCallChunk:
        return self.versions[-1][1]


Item = Written | Called


class RunView:
    """A run as its chunks tell it. `apply` is the only way in; everything else is to be read.

    Attributes:
        items: what the agent did, in order: `Written` (text, reasoning) and `Called` (tools).
        last_seq: the last chunk that was applied.
        gap_at: the seq of a chunk that came too early, 0 if none is missing.
        status: queued, running, waiting, or one of the terminal three.
        notice: what goes on at the moment that is no text (`retrying`), or None.
        token_usage, cost: the wire objects of the terminal chunk, None before.
    """

    def __init__(self, run_id: str, conversation_id: str | None = None) -> None:
        self.id = run_id
        self.conversation_id = conversation_id
        self.agent_id: str | None = None
        self.prompt_id: str | None = None
        self.answer_id: str | None = None
        self.status = "queued"
        self.last_seq = 0
        self.stored_seq = 0
        self.gap_at = 0
        self.epoch = 1
        self.superseded = False
        self.items: list[Item] = []
        self.notice: Mapping[str, JSON] | None = None
        self.progress: Mapping[str, JSON] | None = None
        self.waiting_for: str | None = None
        self.error: Mapping[str, JSON] | None = None
        self.provider: str | None = None
        self.model: str | None = None
        self.token_usage: Mapping[str, JSON] | None = None
        self.cost: Mapping[str, JSON] | None = None
        self.estimated = False
        self.duration_ms: int | None = None
        self.stop_reason: str | None = None
        self.confidence: float | None = None
        self._calls: dict[str, Called] = {}

    @property
    def text(self) -> str:
        """All visible text, over all steps, after resets."""
        return "".join(item.text for item in self.items if isinstance(item, Written) and item.kind == "text")

    @property
    def reasoning(self) -> str:
        return "".join(
            item.text for item in self.items if isinstance(item, Written) and item.kind == "reasoning"
        )

    @property
    def tool_calls(self) -> tuple[ToolCallChunk, ...]:
        return tuple(item.call for item in self.items if isinstance(item, Called))

    @property
    def live(self) -> bool:
        """True while chunks can still come."""
        return self.status not in TERMINAL

    def apply(self, seq: int, chunk: AnyChunk) -> bool:
        """Takes the chunk if it is the next one; says whether it did.

        One that was seen already changes nothing. One that leaves a hole sets `gap_at`, so that whoever
        holds this view asks for what is missing.
        """
        if seq <= self.last_seq:
            return False
        if seq != self.last_seq + 1:
            self.gap_at = max(self.gap_at, seq)
            return False
        self.last_seq = seq
        self._interpret(seq, chunk)
        if self.gap_at <= seq:
            self.gap_at = 0
        return True

    def _interpret(self, seq: int, chunk: AnyChunk) -> None:
        match chunk:
            case ContentChunk(text, section):
                self._write("text", section, seq, text)
            case ReasoningChunk(text):
                self._write("reasoning", None, seq, text)
            case ToolCallChunk():
                self._call(seq, chunk)
            case ErrorChunk():
                self.error, self.notice = chunk.data, None
            case MetadataChunk(status, fields):
                self._metadata(status, fields)

    def _write(self, kind: Literal["text", "reasoning"], section: str | None, seq: int, text: str) -> None:
        self.notice = None
        last = self.items[-1] if self.items else None
        if not (isinstance(last, Written) and last.kind == kind and last.section == section):
            last = Written(kind, section)
            self.items.append(last)
        last.pieces.append((seq, text))

    def _call(self, seq: int, chunk: ToolCallChunk) -> None:
        self.notice = None
        if self.waiting_for == chunk.tool_id and chunk.status != "PENDING":
            self.waiting_for = None
        if self.status == "waiting" and self.waiting_for is None:
            self.status = "running"
        known = self._calls.get(chunk.tool_id)
        if known is None:
            self._calls[chunk.tool_id] = called = Called([(seq, chunk)])
            self.items.append(called)
        else:
            known.versions.append((seq, chunk))

    def _metadata(self, status: str, data: Mapping[str, JSON]) -> None:
        match status:
            case "started":
                self.status = "running"
                self.conversation_id = data.get("conversationId") or self.conversation_id
                self.agent_id = data.get("agentId") or self.agent_id
                self.prompt_id = data.get("questionId") or self.prompt_id
                self.answer_id = data.get("messageId") or self.answer_id
            case "progress" if not data.get("toolId"):  # those with one are about a tool call
                self.progress = data
            case "retrying":
                self.notice = {"status": status, **data}
            case "fallback":
                self.provider = data.get("provider") or self.provider
                self.model = data.get("model") or self.model
                self.notice = None
            case "waiting":
                self.status, self.waiting_for = "waiting", data.get("toolId")
            case "resumed":
                self.status, self.notice, self.waiting_for = "running", None, None
                self.epoch = data.get("epoch") or self.epoch + 1
            case "reset":
                self._withdraw(int(data.get("keepSeq") or 1))
            case "complete" | "cancelled" | "failed":
                self._finish(status, data)

    def _finish(self, status: str, data: Mapping[str, JSON]) -> None:
        self.status, self.notice, self.waiting_for = status, None, None
        self.token_usage = data.get("tokenUsage") or self.token_usage
        self.cost = data.get("cost") or self.cost
        self.estimated = bool(data.get("estimated", self.estimated))
        duration = data.get("durationMs")
        self.duration_ms = self.duration_ms if duration is None else duration
        self.stop_reason = data.get("stopReason")
        self.confidence = data.get("confidence")
        self.answer_id = data.get("messageId") or self.answer_id

    def _withdraw(self, keep: int) -> None:
        """Takes back what a cut step had written after seq `keep`; a tool call falls back to how it stood then."""
        items: list[Item] = []
        for item in self.items:
            if isinstance(item, Called):
                item.versions = [version for version in item.versions if version[0] <= keep]
                if item.versions:
                    items.append(item)
            else:
                item.pieces = [piece for piece in item.pieces if piece[0] <= keep]
                if item.pieces:
                    items.append(item)
        self.items, self.notice = items, None
        self._calls = {item.call.tool_id: item for item in items if isinstance(item, Called)}
