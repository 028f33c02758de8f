"""The outbox: what waits to be sent on one socket, bounded in bytes.

A client that does not read is found and dropped (4008), and nobody else is slowed:
`put` never waits, a task sends as fast as the network takes it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from .frames import Frame
from .line import Line, Send


class Outbox:
    """`on_overflow` is called once when more than `cap` bytes wait; after that nothing is sent any more."""

    def __init__(self, send: Send, line: Line, cap: int, on_overflow: Callable[[], None]) -> None:
        self._send = send
        self._line = line
        self._cap = cap
        self._on_overflow = on_overflow
        self._waiting: deque[str] = deque()
        self._bytes = 0
        self._wake: asyncio.Future[None] | None = None
        self._open = True
        self._loop = asyncio.get_running_loop()
        self._task = self._loop.create_task(self._run(), name="socket-outbox")

    @property
    def waiting_bytes(self) -> int:
        return self._bytes

    def put(self, frame: Frame) -> None:
        if not self._open:
            return
        self._waiting.append(frame.text)
        self._bytes += frame.size
        if self._bytes > self._cap:
            self.close()
            self._on_overflow()
        elif self._wake is not None:
            if not self._wake.done():
                self._wake.set_result(None)
            self._wake = None

    async def emptied(self) -> None:
        """Closes for new frames and waits until those that were put are handed to the server."""
        self._open = False
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)
        await asyncio.gather(self._task, return_exceptions=True)

    def close(self) -> None:
        self._open = False
        self._waiting.clear()
        self._bytes = 0
        self._task.cancel()

    async def _run(self) -> None:
        waiting, line, send = self._waiting, self._line, self._send
        while True:
            while waiting:
                if line.full:
                    await line.free()
                    continue
                text = waiting.popleft()
                self._bytes -= len(text)
                try:
                    await send({"type": "websocket.send", "text": text})
                except Exception:  # the client is gone; the server's disconnect message ends the socket
                    self._open = False
                    waiting.clear()
                    return
            if not self._open:
                return
            self._wake = self._loop.create_future()
            await self._wake
