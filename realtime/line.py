"""What lies under a socket's ASGI `send`: whether the network takes more, the short way there, and how to cut it off.

uvicorn's `send` waits until the network takes more. Daphne's never waits: Twisted's
transport is asked to say when its buffer is full. Both transports can be cut off,
which is the only end for a client that never reads: it would not take a close frame either.

The short way: a frame for a hundred viewers is the same bytes for each of them. Where
uvicorn speaks WebSocket without compression they go to its transport as they are, a
tenth of the price of a hundred ASGI messages. Anywhere else, and whenever the
connection is not simply open, `write` declines and the frame goes the ASGI way.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from websockets.protocol import OPEN
from websockets.server import ServerProtocol

from .frames import Frame

Send = Callable[[dict[str, Any]], Awaitable[None]]

MOST_WRAPPERS = 8


def server_send(send: Any) -> Any:
    """The server's own `send` behind the wrappers of Channels. Those only look at HTTP and at the handshake."""
    for _ in range(MOST_WRAPPERS):
        inner = getattr(getattr(send, "__self__", None), "real_send", None)  # the session middleware
        if inner is None:
            break
        send = inner
    return send


def server_protocol(send: Any) -> Any:
    """The server's protocol object behind its `send`; None if unknown."""
    if isinstance(send, functools.partial) and send.args:  # Daphne: partial(server.handle_reply, protocol)
        return send.args[0]
    return getattr(send, "__self__", None)


class Straight(Protocol):
    """uvicorn's protocol over the sans-I/O layer of `websockets`, as far as it is used here."""

    conn: ServerProtocol
    transport: Any
    writable: asyncio.Event
    disconnected: bool
    close_sent: bool


def straight(protocol: Any) -> Straight | None:
    """The protocol if whole messages may be written below it: no compression, nothing unknown."""
    conn = getattr(protocol, "conn", None)
    if not isinstance(conn, ServerProtocol) or conn.extensions:
        return None
    parts = ("writable", "disconnected", "close_sent", "transport")
    return protocol if all(hasattr(protocol, part) for part in parts) else None


class Line:
    """The connection below one socket. `full` while the network does not take more; `send` is the server's own."""

    def __init__(self, send: Send) -> None:
        self.full = False
        self.send: Send = server_send(send)
        self._free: asyncio.Event | None = None
        protocol = server_protocol(self.send)
        self._straight = straight(protocol)
        transport: Any = getattr(protocol, "transport", None)
        self._transport = transport
        self._asked = False
        if hasattr(transport, "registerProducer"):
            # The HTTP channel that the socket grew out of is still registered, and has nothing left to pause.
            transport.unregisterProducer()
            transport.registerProducer(self, True)
            self._asked = True

    def write(self, frame: Frame) -> bool:
        """Hands the frame to the network; False: send it the ASGI way."""
        way = self._open_way()
        if way is None:
            return False
        way.transport.write(frame.wire)
        return True

    def write_piece(self, messages: bytes) -> bool:
        """The same for whole WebSocket messages, one behind the other."""
        way = self._open_way()
        if way is None:
            return False
        way.transport.write(messages)
        return True

    def _open_way(self) -> Straight | None:
        way = self._straight
        if (
            way is None
            or not way.writable.is_set()
            or way.disconnected
            or way.close_sent
            or way.conn.state is not OPEN
            or way.transport.is_closing()
        ):
            return None
        return way

    async def free(self) -> None:
        """Waits until the network takes more."""
        while self.full:
            if self._free is None:
                self._free = asyncio.Event()
            self._free.clear()
            await self._free.wait()

    def cut(self) -> None:
        """Ends the connection without another word."""
        end = getattr(self._transport, "abortConnection", None) or getattr(self._transport, "abort", None)
        if end is not None:
            end()

    def close(self) -> None:
        self._set_free()
        if self._asked:
            self._asked = False
            with contextlib.suppress(Exception):  # the connection may be gone already
                self._transport.unregisterProducer()

    def _set_free(self) -> None:
        self.full = False
        if self._free is not None:
            self._free.set()

    # Twisted's IPushProducer
    def pauseProducing(self) -> None:
        self.full = True

    def resumeProducing(self) -> None:
        self._set_free()

    def stopProducing(self) -> None:
        self._set_free()
