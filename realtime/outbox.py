"""The outbox: what waits to be sent on one socket, bounded in bytes.

A client that does not read is found and dropped (4008), and nobody else is slowed.
Servers whose `send` waits for the network (uvicorn) are enough by themselves. Daphne's
never waits; there the outbox asks the Twisted transport to say when it is full.
"""

from __future__ import annotations

import asyncio
import functools
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from .frames import Frame

Send = Callable[[dict[str, Any]], Awaitable[None]]


class Outbox:
    """`put` never waits; a task sends. `on_overflow` is called once when more than `cap` bytes wait."""

    def __init__(self, send: Send, cap: int, on_overflow: Callable[[], None]) -> None:
        self._send = send
        self._cap = cap
        self._on_overflow = on_overflow
        self._waiting: deque[str] = deque()
        self._bytes = 0
        self._wake = asyncio.Event()
        self._open = True
        self._gate = TransportGate.of(send)
        self._task = asyncio.create_task(self._run(), name="socket-outbox")

    @property
    def waiting_bytes(self) -> int:
        return self._bytes

    def put(self, frame: Frame) -> None:
        if not self._open:
            return
        self._waiting.append(frame.text)
        self._bytes += frame.size
        if self._bytes > self._cap:
            self._open = False
            self._waiting.clear()
            self._bytes = 0
            self._on_overflow()
            return
        self._wake.set()

    async def drain(self) -> None:
        """Waits until all that was put is handed to the server."""
        while self._waiting and not self._task.done():
            await asyncio.sleep(0)

    def close(self) -> None:
        self._open = False
        self._task.cancel()
        if self._gate is not None:
            self._gate.close()

    async def _run(self) -> None:
        while True:
            if not self._waiting:
                self._wake.clear()
                await self._wake.wait()
            if self._gate is not None and self._gate.full:
                await self._gate.wait()
            if not self._waiting:
                continue
            text = self._waiting.popleft()
            self._bytes -= len(text)
            try:
                await self._send({"type": "websocket.send", "text": text})
            except Exception:  # the client is gone; the server's disconnect message ends the socket
                self._open = False
                self._waiting.clear()
                return


class TransportGate:
    """Daphne's socket transport as a producer target: `full` while its buffer is over Twisted's mark."""

    def __init__(self, protocol: Any) -> None:
        self.full = False
        self._free = asyncio.Event()
        self._transport = protocol.transport
        self._transport.registerProducer(self, True)

    @classmethod
    def of(cls, send: Send) -> TransportGate | None:
        """The gate behind an ASGI `send` of Daphne, else None."""
        while isinstance(send, functools.partial) and send.args:
            protocol = send.args[0]
            if getattr(protocol, "transport", None) is not None and hasattr(protocol.transport, "registerProducer"):
                try:
                    return cls(protocol)
                except RuntimeError:  # somebody else's producer is registered
                    return None
            return None
        return None

    async def wait(self) -> None:
        while self.full:
            self._free.clear()
            await self._free.wait()

    def close(self) -> None:
        self.full = False
        self._free.set()
        try:
            self._transport.unregisterProducer()
        except (AttributeError, RuntimeError):
            pass

    # Twisted's IPushProducer
    def pauseProducing(self) -> None:  # noqa: N802
        self.full = True

    def resumeProducing(self) -> None:  # noqa: N802
        self.full = False
        self._free.set()

    def stopProducing(self) -> None:  # noqa: N802
        self.full = False
        self._free.set()
