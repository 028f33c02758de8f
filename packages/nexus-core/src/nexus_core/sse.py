"""Chunks as server-sent events: `id: <seq>` and `data: <chunk JSON>`, no `event:` line, so a plain reader works."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import orjson

from .chunks import Chunk, to_wire

CONNECTED = b": connected\n\n"
PING = b": ping\n\n"
"""Send one at least every 15 s: proxies end a silent stream."""

HEADERS: Mapping[str, str] = MappingProxyType(
    {
        "Content-Type": "text/event-stream; charset=utf-8",
        "Cache-Control": "no-cache, no-transform",
        "X-Accel-Buffering": "no",
        "Content-Encoding": "identity",
    }
)
"""What keeps proxies and compressing middleware from holding events back."""


def encode_chunk(chunk: Chunk, seq: int) -> bytes:
    """One event; `seq` is what a reader gives back as `Last-Event-ID`."""
    return b"id: %d\ndata: %b\n\n" % (seq, orjson.dumps(to_wire(chunk)))
