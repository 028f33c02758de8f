"""Frames: what goes over the socket, and the table of what a client may send.

A server frame is serialised once, whoever receives it. A client frame is looked up in
`CLIENT_FRAMES`; an app adds its own by `@client_frame` in a module that is imported
at start.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import orjson

from .wire import Wire

if TYPE_CHECKING:
    from .consumer import NexusConsumer

RECHECK = "control.recheck"
"""Sent to nobody: each process asks at once which of a room's sockets still may be in it."""
PIECE_BYTES = 32 * 1024
"""As much goes to the network at once before it is asked whether it takes more."""
TEXT_MESSAGE = 0x81
"""The first byte of a WebSocket frame: the only one of a text message."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One serialised server frame; `run_id` and `seq` are set for chunks, which pass a sequence gate."""

    text: str
    type: str
    run_id: str | None = None
    seq: int | None = None
    _wire: list[bytes] = field(default_factory=list, compare=False, repr=False)

    @property
    def wire(self) -> bytes:
        """The whole WebSocket message (RFC 6455, from a server, uncompressed); made once for all who get it."""
        if not self._wire:
            payload = self.text.encode()
            size = len(payload)
            if size < 126:
                head = bytes((TEXT_MESSAGE, size))
            elif size < 65536:
                head = struct.pack("!BBH", TEXT_MESSAGE, 126, size)
            else:
                head = struct.pack("!BBQ", TEXT_MESSAGE, 127, size)
            self._wire.append(head + payload)
        return self._wire[0]

    @property
    def size(self) -> int:
        """Bytes it takes on its way, near enough for a cap."""
        return len(self.text)


class Bundle(tuple[Frame, ...]):
    """Several frames that belong together and pass no gate: a list's news. Made into few pieces once, for all who
    get them."""

    @cached_property
    def pieces(self) -> list[tuple[bytes, tuple[Frame, ...]]]:
        """WebSocket messages one behind the other, some `PIECE_BYTES` each, with the frames they are."""
        out: list[tuple[bytes, tuple[Frame, ...]]] = []
        begin = size = 0
        for end, frame in enumerate(self, 1):
            size += frame.size
            if size >= PIECE_BYTES or end == len(self):
                part = tuple(self[begin:end])
                out.append((b"".join([one.wire for one in part]), part))
                begin, size = end, 0
        return out


def bundled(frames: Sequence[Frame]) -> Sequence[Frame]:
    """As a bundle, where they can be one."""
    if len(frames) > 1 and all(frame.seq is None and frame.type != RECHECK for frame in frames):
        return Bundle(frames)
    return frames


def make_frame(type_: str, **payload: Any) -> Frame:
    """A frame from its fields (camelCase, JSON values)."""
    frame = {"type": type_, **payload}
    try:
        text = orjson.dumps(frame, default=str).decode()
    except TypeError:  # integers beyond 64 bits, lone surrogates: Python's own encoder writes them
        text = json.dumps(frame, default=str, separators=(",", ":"))
    return Frame(text, type_)


W = TypeVar("W", bound=Wire)
Handler = Callable[["NexusConsumer", Any], Awaitable[dict[str, Any] | None]]


@dataclass(frozen=True, slots=True)
class ClientFrame:
    """A row of the table: the frame's name, its fields, who answers it, and whether it needs the right to write."""

    model: type[Wire]
    type: str
    handler: Handler
    writes: bool
    doc: str


CLIENT_FRAMES: dict[str, ClientFrame] = {}


def client_frame(
    type_: str, model: type[W], *, writes: bool = False
) -> Callable[
    [Callable[[NexusConsumer, W], Awaitable[dict[str, Any] | None]]],
    Callable[[NexusConsumer, W], Awaitable[dict[str, Any] | None]],
]:
    """Registers a handler: it gets the socket and the checked frame, starts what is to be done, and
    returns its answer (a frame as a dict) or None. It never waits for a model or a tool."""

    def add(
        handler: Callable[[NexusConsumer, W], Awaitable[dict[str, Any] | None]],
    ) -> Callable[[NexusConsumer, W], Awaitable[dict[str, Any] | None]]:
        if type_ in CLIENT_FRAMES:
            raise RuntimeError(f"the client frame {type_!r} has two handlers")
        CLIENT_FRAMES[type_] = ClientFrame(model, type_, handler, writes, (handler.__doc__ or "").strip())
        return handler

    return add
