"""The fold: a run's chunks → the parts of its answer. Pure; the browser's reducer does the same.

After a `reset {keepSeq: k}` everything with k < seq < the reset's own is withdrawn.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from nexus_core.chunks import Chunk, ContentChunk, MetadataChunk, ReasoningChunk, ToolCallChunk

Numbered = tuple[int, Chunk]
Part = dict[str, Any]


def kept(log: Iterable[Numbered]) -> list[Numbered]:
    """The log without what its resets withdrew."""
    out: list[Numbered] = []
    for seq, chunk in log:
        if isinstance(chunk, MetadataChunk) and chunk.status == "reset":
            keep = int(chunk.fields["keepSeq"])
            while out and out[-1][0] > keep:
                out.pop()
        out.append((seq, chunk))
    return out


def fold(log: Iterable[Numbered]) -> list[Part]:
    """Text, reasoning and tool calls in the order in which they began."""
    parts: list[Part] = []
    calls: dict[str, Part] = {}
    texts: list[tuple[Part, list[str]]] = []
    """Of each part of text its pieces; adding them one by one would copy all that came before each time."""
    thought_since: int | None = None
    for _, chunk in kept(log):
        last = parts[-1] if parts else None
        if isinstance(chunk, ReasoningChunk):
            if last is None or last["type"] != "reasoning":
                thought_since = chunk.timestamp
                last = {"type": "reasoning", "text": "", "durationMs": 0}
                parts.append(last)
                texts.append((last, []))
            texts[-1][1].append(chunk.text)
            last["durationMs"] = chunk.timestamp - (thought_since or chunk.timestamp)
            continue
        if thought_since is not None and last is not None and last["type"] == "reasoning":
            last["durationMs"] = chunk.timestamp - thought_since
            thought_since = None
        if isinstance(chunk, ContentChunk):
            section = chunk.section
            if last is None or last["type"] != "text" or last.get("section") != section:
                last = {"type": "text", "text": ""} | ({"section": section} if section is not None else {})
                parts.append(last)
                texts.append((last, []))
            texts[-1][1].append(chunk.text)
        elif isinstance(chunk, ToolCallChunk):
            part = calls.get(chunk.tool_id)
            if part is None:
                part = calls[chunk.tool_id] = {"type": "tool_call"}
                parts.append(part)
            part.clear()
            part.update({"type": "tool_call", **chunk.data})
    for part, pieces in texts:
        part["text"] = "".join(pieces)
    return parts


def visible_text(parts: Iterable[Part]) -> str:
    """All visible text of an answer, in order."""
    return "".join(part["text"] for part in parts if part["type"] == "text")
