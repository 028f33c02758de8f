"""A raw HTTP client for server-sent events, as wsclient is for sockets: bytes are stamped, and cut later.

One request after the other on a connection that is kept; the answer may be of any kind, its
body is there as bytes. Chunked transfer encoding and `Content-Length` are understood.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import cast

from .marks import now_us
from .wsclient import SEAM, Frame


class Answer(asyncio.Protocol):
    """A connection and the answer that comes over it; `frames` are its events since `forget()`."""

    def __init__(self) -> None:
        self.wire_bytes = 0
        self._tape: list[tuple[bytes, int]] = []
        self._seam = b""
        self._watch: tuple[tuple[bytes, ...], asyncio.Future[None]] | None = None
        self._transport: asyncio.Transport | None = None
        self._lost = asyncio.Event()

    @classmethod
    async def open(cls, port: int) -> Answer:
        _, answer = await asyncio.get_running_loop().create_connection(cls, "127.0.0.1", port)
        return answer

    @property
    def lost(self) -> bool:
        return self._lost.is_set()

    def request(self, method: str, path: str, headers: Mapping[str, str], body: bytes = b"") -> None:
        """Sends it; what is still there of the answer before is dropped."""
        self.forget()
        lines = [
            f"{method} {path} HTTP/1.1",
            "Host: 127.0.0.1",
            f"Content-Length: {len(body)}",
            *(f"{name}: {value}" for name, value in headers.items()),
        ]
        if self._transport is None or self._transport.is_closing():
            raise ConnectionError("the server closed the connection")
        self._transport.write("\r\n".join([*lines, "", ""]).encode() + body)

    async def wait_for(self, *needles: bytes, seconds: float = 60) -> None:
        """Until one of them has come. Raises `TimeoutError`, `ConnectionError`."""
        seen = b"".join(data for data, _ in self._tape)
        if any(needle in seen for needle in needles):
            return
        if self._lost.is_set():
            raise ConnectionError("the server closed the connection")
        self._seam = seen[-SEAM:]
        self._watch = (needles, asyncio.get_running_loop().create_future())
        try:
            async with asyncio.timeout(seconds):
                await self._watch[1]
        except TimeoutError:
            raise TimeoutError(
                f"no {needles[0]!r} within {seconds:.0f} s; there came {seen[:200]!r}"
            ) from None
        finally:
            self._watch = None

    async def whole(self, seconds: float = 30) -> tuple[int, bytes]:
        """Status and body of an answer with a length or in chunks."""
        await self.wait_for(b"\r\n\r\n", seconds=seconds)
        async with asyncio.timeout(seconds):
            while (found := self._complete()) is None:
                if self._lost.is_set():
                    raise ConnectionError("the server closed the connection")
                self._watch = ((b"",), asyncio.get_running_loop().create_future())
                await self._watch[1]
                self._watch = None
        return found

    def _complete(self) -> tuple[int, bytes] | None:
        head, _, body = b"".join(data for data, _ in self._tape).partition(b"\r\n\r\n")
        status, lower = int(head[9:12]), head.lower()
        if b"transfer-encoding: chunked" in lower:
            return (status, _unchunk(body)[0]) if body.endswith(b"0\r\n\r\n") else None
        found = re.search(rb"content-length: (\d+)", lower)
        length = int(found.group(1)) if found else 0
        return (status, body[:length]) if len(body) >= length else None

    @property
    def frames(self) -> list[Frame]:
        """What stands behind `data:` of each event, and when its end arrived."""
        out: list[Frame] = []
        rest, body, in_body = b"", b"", False
        for data, at_us in self._tape:
            rest += data
            if not in_body:
                head, found, rest = rest.partition(b"\r\n\r\n")
                if not found:
                    rest = head
                    continue
                in_body, chunked = True, b"transfer-encoding: chunked" in head.lower()
            if chunked:
                piece, rest = _unchunk(rest)
                body += piece
            else:
                body, rest = body + rest, b""
            *events, body = body.replace(b"\r\n", b"\n").split(b"\n\n")
            out += [
                Frame(line[5:].lstrip(), at_us)
                for event in events
                for line in event.split(b"\n")
                if line.startswith(b"data:")
            ]
        return out

    def forget(self) -> None:
        self._tape = []
        self._seam = b""
        self.wire_bytes = 0

    async def close(self) -> None:
        if self._transport is not None:
            self._transport.close()
            await self._lost.wait()

    # --- asyncio's side ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports do not derive from asyncio's.
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost.set()
        if self._watch is not None and not self._watch[1].done():
            self._watch[1].set_exception(ConnectionError("the server closed the connection"))

    def data_received(self, data: bytes) -> None:
        self.wire_bytes += len(data)
        self._tape.append((data, now_us()))
        if self._watch is not None and not self._watch[1].done():
            needles, done = self._watch
            seen = self._seam + data
            if any(needle in seen for needle in needles):
                done.set_result(None)
            self._seam = seen[-SEAM:]


def _unchunk(data: bytes) -> tuple[bytes, bytes]:
    """The whole parts of a chunked body, decoded, and what is left over."""
    out: list[bytes] = []
    while True:
        size, found, rest = data.partition(b"\r\n")
        if not found:
            return b"".join(out), data
        length = int(size or b"0", 16)
        if length == 0 or len(rest) < length + 2:
            return b"".join(out), data
        out.append(rest[:length])
        data = rest[length + 2 :]
