"""A TCP proxy that does to connections what networks do: cut them, swallow them, slow them, refuse them."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class TcpProxy:
    """Attributes:
    target: port of the real server.
    black_hole: nothing passes in either direction, and nothing ends.
    refuse: new connections are closed at once.
    delay: seconds that each piece waits on its way to the client.
    no_sockets: a WebSocket handshake is answered with 400, as by a proxy that knows none.
    connections: how many were accepted.
    """

    def __init__(self, target: int) -> None:
        self.target = target
        self.black_hole = self.refuse = self.no_sockets = False
        self.delay = 0.0
        self.connections = 0
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    @property
    def address(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def cut(self) -> int:
        """Resets every connection (RST); how many there were."""
        cut = list(self._open)
        for writer in cut:
            raw = writer.get_extra_info("socket")
            if raw is not None:
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
        self._open.clear()
        return len(cut)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            if self.refuse:
                return
            first = await reader.read(65536)
            if self.no_sockets and b"upgrade: websocket" in first.lower():
                writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                await writer.drain()
                return
            up_reader, up = await asyncio.open_connection("127.0.0.1", self.target)
            self._open |= {writer, up}
            up.write(first)
            await asyncio.gather(self._pass(reader, up, 0.0), self._pass(up_reader, writer, 1.0))
        except OSError:
            pass
        finally:
            self._tasks.discard(task)
            self._open.discard(writer)
            writer.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, slow: float) -> None:
        try:
            while piece := await reader.read(4096):
                if self.delay * slow:
                    await asyncio.sleep(self.delay * slow)
                while self.black_hole:
                    await asyncio.sleep(0.05)
                writer.write(piece)
                await writer.drain()
        except OSError:
            pass
        finally:
            self._open.discard(writer)
            writer.close()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[TcpProxy]:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        try:
            yield self
        finally:
            self._server.close()
            self.black_hole = False
            self.cut()
            if self._tasks:
                await asyncio.wait(self._tasks, timeout=5)
