"""The outbox: what waits to be sent on one socket, bounded in bytes.

A client that does not read is found and dropped (4008), and nobody else is slowed.
While the network takes everything, a frame is handed to the server right in `put`;
only when it does not, frames wait and a task sends them.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Generator
from typing import Any

from .frames import Bundle, Frame
from .line import Line, Send


class Rest:
    """What is left of a coroutine that was begun outside of a task: `await` it to finish it in one."""

    def __init__(self, begun: Any, waits_for: Any) -> None:
        self._begun, self._waits_for = begun, waits_for

    def __await__(self) -> Generator[Any, Any, None]:
        while True:
            try:
                value = yield self._waits_for
            except BaseException as fault:
                step, argument = self._begun.throw, fault
            else:
                step, argument = self._begun.send, value
            try:
                self._waits_for = step(argument)
            except StopIteration:
                return

    def drop(self) -> None:
        self._begun.close()


class Outbox:
    """`on_overflow` is called once when more than `cap` bytes wait; after that nothing is sent any more."""

    def __init__(self, send: Send, line: Line, cap: int, on_overflow: Callable[[], None]) -> None:
        self._send = send
        self._line = line
        self._cap = cap
        self._on_overflow = on_overflow
        self._waiting: deque[str] | None = None
        # Made when something has to wait: an empty one takes more than half a KiB, for every idle socket.
        self._bytes = 0
        self._rest: Rest | None = None
        self._open = True
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[None] | None = None

    @property
    def waiting_bytes(self) -> int:
        return self._bytes

    def put(self, frame: Frame) -> None:
        if not self._open:
            return
        if self._task is None and not self._line.full:
            if not self._line.write(frame):
                self._hand_over(frame.text)
            return
        if self._waiting is None:
            self._waiting = deque()
        self._waiting.append(frame.text)
        self._bytes += frame.size
        if self._bytes > self._cap:
            self.close()
            self._on_overflow()
        elif self._task is None:
            self._task = self._loop.create_task(self._run(), name="socket-outbox")

    def put_all(self, frames: Bundle) -> None:
        """Several that belong together, in few calls to the network: a list's news is many small frames."""
        for piece, part in frames.pieces:
            straight = self._open and self._task is None and not self._line.full
            if not (straight and self._line.write_piece(piece)):
                for frame in part:
                    self.put(frame)

    def close(self) -> None:
        self._open = False
        self._waiting = None
        self._bytes = 0
        if self._task is not None:
            self._task.cancel()
        if self._rest is not None:
            self._rest.drop()
            self._rest = None

    def _hand_over(self, text: str) -> None:
        """Gives the frame to the server. As long as it does not wait for the network, no task is needed."""
        begun: Any = self._send({"type": "websocket.send", "text": text})
        try:
            waits_for = begun.send(None)
        except StopIteration:
            return
        except Exception:  # the client is gone; the server's disconnect message ends the socket
            self._open = False
            return
        self._rest = Rest(begun, waits_for)
        self._task = self._loop.create_task(self._run(), name="socket-outbox")

    async def _run(self) -> None:
        """Sends what waits, then ends: the next frame goes the direct way again."""
        try:
            if self._rest is not None:
                rest, self._rest = self._rest, None
                await rest
            while self._waiting:
                if self._line.full:
                    await self._line.free()
                    continue
                text = self._waiting.popleft()
                self._bytes -= len(text)
                await self._send({"type": "websocket.send", "text": text})
        except Exception:  # the client is gone; the server's disconnect message ends the socket
            self._open = False
        finally:
            self._task = self._waiting = None
            self._bytes = 0
