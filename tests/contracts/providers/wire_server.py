"""A loopback HTTP server that plays recorded answers byte for byte, and breaks them where told.

It is written on sockets and knows no provider: what a test gives is what the wire carries.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson

End = Literal["whole", "fin", "rst", "stall"]


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer: `pieces` are written one by one, each flushed before the next.

    `end` is what follows the last piece: the proper end of the body, a cut by FIN or
    by RST, or nothing at all.
    """

    pieces: Sequence[bytes] = ()
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    end: End = "whole"


@dataclass(frozen=True, slots=True)
class Seen:
    """One request as it arrived; header names are lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any


class WireServer:
    """Plays `answers` in order, then the last one again; `seen` has every request."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.seen: list[Seen] = []
        self.connections = 0
        self.closed_by_client = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def address(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self.connections += 1
        try:
            while (seen := await _read(reader)) is not None:
                answer = self.answers[min(len(self.seen), len(self.answers) - 1)]
                self.seen.append(seen)
                if not await self._play(answer, reader, writer):
                    return
        except ConnectionError:
            self.closed_by_client.set()
        except asyncio.CancelledError:
            pass  # by `stop`; what runs the task would log it
        finally:
            writer.close()

    async def _play(self, answer: Answer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """True when the connection can take another request."""
        head = {"Content-Type": "text/event-stream", "Transfer-Encoding": "chunked", **answer.headers}
        lines = [f"HTTP/1.1 {answer.status} Said", *(f"{k}: {v}" for k, v in head.items()), "", ""]
        writer.write("\r\n".join(lines).encode())
        for piece in answer.pieces:
            if piece:
                writer.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
                await writer.drain()
                await asyncio.sleep(0)
        match answer.end:
            case "whole":
                writer.write(b"0\r\n\r\n")
                await writer.drain()
                return True
            case "fin":
                await writer.drain()
            case "rst":
                await writer.drain()
                raw: socket.socket = writer.get_extra_info("socket")
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
            case "stall":
                await reader.read(1)  # until the client goes
                self.closed_by_client.set()
        return False


async def _read(reader: asyncio.StreamReader) -> Seen | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.strip().split("\r\n")
    method, path, _ = first.split(" ", 2)
    headers = {k.strip().lower(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Seen(method, path, headers, orjson.loads(body) if body else None)


@asynccontextmanager
async def serving(*answers: Answer) -> AsyncIterator[WireServer]:
    server = WireServer(*answers)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()
