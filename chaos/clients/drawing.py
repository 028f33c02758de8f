"""What one watcher has drawn of a run: the protocol's rules for a client, and a note of every breach of them."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import Any

Chunk = dict[str, Any]
TERMINAL = ("complete", "cancelled", "failed")


def terminal(chunk: Chunk) -> bool:
    return chunk["type"] == "metadata" and chunk["data"].get("status") in TERMINAL


@dataclass(slots=True)
class Drawing:
    """Applies a chunk only when its seq follows; at a gap the client asks again.

    Attributes:
        chunks: what was applied, seq 1, 2, 3 …
        times: when, by the harness' monotonic clock.
        breaches: what the server must never do, as people would describe it.
        gaps, repeats: chunks that came too early, or again.
    """

    watcher: str
    run_id: str
    chunks: list[Chunk] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    breaches: list[str] = field(default_factory=list)
    gaps: int = 0
    repeats: int = 0

    @property
    def last(self) -> int:
        return len(self.chunks)

    @property
    def ended(self) -> bool:
        return bool(self.chunks) and terminal(self.chunks[-1])

    def apply(self, seq: int, chunk: Chunk) -> bool:
        """False at a gap: the client has to ask for what follows `last`."""
        if seq <= self.last:
            self.repeats += 1
            if same(self.chunks[seq - 1]) != same(chunk):
                self.breaches.append(f"seq {seq} came again with other contents")
            return True
        if seq != self.last + 1:
            self.gaps += 1
            return False
        if self.ended:
            self.breaches.append(f"seq {seq} came after the terminal chunk")
        self.chunks.append(chunk)
        self.times.append(time.monotonic())
        return True


def same(chunk: Chunk) -> str:
    return json.dumps(chunk, sort_keys=True)


def kept(chunks: list[Chunk]) -> list[tuple[int, Chunk]]:
    """With their seqs, without what resets withdrew."""
    out: list[tuple[int, Chunk]] = []
    for seq, chunk in enumerate(chunks, 1):
        if chunk["type"] == "metadata" and chunk["data"].get("status") == "reset":
            keep = chunk["data"]["keepSeq"]
            out = [(n, c) for n, c in out if n <= keep or c["type"] == "metadata"]
        out.append((seq, chunk))
    return out


def visible(chunks: list[Chunk]) -> str:
    """The text a person sees."""
    return "".join(chunk["data"] for _, chunk in kept(chunks) if chunk["type"] == "content")


def thinking(chunks: list[Chunk]) -> str:
    return "".join(chunk["data"] for _, chunk in kept(chunks) if chunk["type"] == "reasoning")
