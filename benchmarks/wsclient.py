"""A raw WebSocket client: it stamps what arrives and parses it later.

A library's receive loop costs more per frame than the servers that are measured
here, so bytes are put on a tape with the moment they came; frames are cut from it
when somebody looks, or when what somebody waits for is in it. Pings are answered.
No extension is offered, so nothing is compressed.
"""

from __future__ import annotations

import asyncio
import base64
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import orjson

from .marks import now_us

TEXT, CLOSE, PING = 0x1, 0x8, 0x9
SEAM = 95
"""Bytes of one read that are looked at again with the next: longer than anything that is waited for."""
TAPE_SECONDS = 5
"""A ping may lie behind text on the tape: it is not left there for longer."""


class Refused(Exception):
    """The server did not open the socket; the message holds its answer."""


@dataclass(slots=True)
class Frame:
    """A text frame and when its bytes arrived (µs of the shared clock)."""

    payload: bytes
    at_us: int


@dataclass(slots=True)
class _Watch:
    needles: tuple[bytes, ...]
    done: asyncio.Future[Frame]


class Socket(asyncio.Protocol):
    """One open socket. `frames` holds everything that arrived since `forget()`."""

    def __init__(self) -> None:
        self.wire_bytes = 0
        self.close_code: int | None = None
        self.answers: Mapping[bytes, bytes] = {}
        """What a text frame is answered with, at once, where the protocol has pings of its own."""
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._frames: list[Frame] = []
        self._tape: list[tuple[bytes, int]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._seam = b""
        self._buffer = bytearray()
        self._watches: list[_Watch] = []
        self._transport: asyncio.Transport | None = None

    @property
    def frames(self) -> list[Frame]:
        self._cut()
        return self._frames

    @classmethod
    async def open(
        cls, port: int, path: str, headers: Mapping[str, str] | None = None, seconds: float = 15
    ) -> Socket:
        """Connects and shakes hands. Raises `Refused`."""
        transport, socket = await asyncio.get_running_loop().create_connection(cls, "127.0.0.1", port)
        lines = [
            f"GET {path} HTTP/1.1",
            f"Host: 127.0.0.1:{port}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}",
            "Sec-WebSocket-Version: 13",
            *(f"{name}: {value}" for name, value in (headers or {}).items()),
        ]
        transport.write("\r\n".join([*lines, "", ""]).encode())
        async with asyncio.timeout(seconds):
            await socket.opened
        return socket

    # --- what can be done ---

    @property
    def port(self) -> int:
        """Our own."""
        assert self._transport is not None
        return int(self._transport.get_extra_info("sockname")[1])

    def send(self, frame: Mapping[str, object]) -> None:
        self.send_text(orjson.dumps(frame))

    def send_text(self, payload: bytes) -> None:
        key = os.urandom(4)
        masked = bytes(byte ^ key[i & 3] for i, byte in enumerate(payload))
        self._write(_header(TEXT, len(payload), masked=True) + key + masked)

    async def wait_for(self, *needles: bytes, seconds: float = 60) -> Frame:
        """The first kept frame that contains one of them, now or later. Raises `TimeoutError`, `ConnectionError`."""
        for frame in self.frames:
            if any(needle in frame.payload for needle in needles):
                return frame
        if self.closed.done():
            raise ConnectionError(f"the socket was closed with {self.close_code}")
        watch = _Watch(needles, asyncio.get_running_loop().create_future())
        self._watches.append(watch)
        self._seam = b""
        try:
            async with asyncio.timeout(seconds):
                return await watch.done
        except TimeoutError:
            refused = [frame for frame in self.frames if frame.payload.startswith(b'{"type":"error"')]
            told = [frame.payload[:300] for frame in (refused or self.frames)[-1:]]
            raise TimeoutError(f"no {needles[0]!r} within {seconds:.0f} s; there came {told}") from None

    def forget(self) -> None:
        self._cut()
        self._frames = []
        self.wire_bytes = 0

    def pause(self, buffer: int = 0) -> None:
        """Stops reading, as a reader on a dead link does; with `buffer`, the system keeps but few bytes for it."""
        if self._transport is not None:
            if buffer:
                own = self._transport.get_extra_info("socket")
                own.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
            self._transport.pause_reading()

    def resume(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def cut(self) -> None:
        """Goes without a word."""
        if self._transport is not None:
            self._transport.abort()

    async def close(self) -> None:
        if self._transport is not None:
            self._write(_header(CLOSE, 2, masked=True) + b"\0\0\0\0" + (1000).to_bytes(2, "big"))
            self._transport.close()
            await self.closed

    # --- asyncio's side ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports do not derive from asyncio's.
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.opened.done():
            self._cut()
        if self._timer is not None:
            self._timer.cancel()
        fault = ConnectionError(f"the socket was closed with {self.close_code}")
        if not self.opened.done():
            self.opened.set_exception(Refused(bytes(self._buffer[:200]).decode("latin-1")))
        if not self.closed.done():
            self.closed.set_result(None)
        for watch in self._watches:
            if not watch.done.done():
                watch.done.set_exception(fault)

    def data_received(self, data: bytes) -> None:
        at_us = now_us()
        if not self.opened.done():
            self._buffer += data
            if not self._shaken():
                return
            data = bytes(self._buffer)
            self._buffer.clear()
        self.wire_bytes += len(data)
        self._tape.append((data, at_us))
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(TAPE_SECONDS, self._untape)
        # A control frame comes alone: it is answered at once.
        if data and data[0] & 0x08:
            self._cut()
        elif self._watches:
            seen = self._seam + data
            if any(needle in seen for watch in self._watches for needle in watch.needles):
                self._cut()
            self._seam = seen[-SEAM:]

    def _untape(self) -> None:
        self._timer = None
        self._cut()

    def _cut(self) -> None:
        """Cuts what is on the tape into frames."""
        if not self._tape:
            return
        tape, self._tape = self._tape, []
        for data, at_us in tape:
            self._buffer += data
            buffer, start, size = self._buffer, 0, len(self._buffer)
            while size - start >= 2:
                length, head = buffer[start + 1] & 0x7F, 2
                if length == 126:
                    length, head = int.from_bytes(buffer[start + 2 : start + 4], "big"), 4
                elif length == 127:
                    length, head = int.from_bytes(buffer[start + 2 : start + 10], "big"), 10
                end = start + head + length
                if end > size or size - start < head:
                    break
                self._frame(buffer[start], bytes(buffer[start + head : end]), at_us)
                start = end
            del buffer[:start]

    def _shaken(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return False
        if b" 101 " not in self._buffer[:20]:
            self.opened.set_exception(Refused(bytes(self._buffer[:300]).decode("latin-1")))
            if self._transport is not None:
                self._transport.close()
            return False
        del self._buffer[: end + 4]
        self.opened.set_result(None)
        return True

    def _frame(self, first: int, payload: bytes, at_us: int) -> None:
        kind = first & 0x0F
        if kind == TEXT and payload in self.answers:
            self.send_text(self.answers[payload])
        elif kind == TEXT:
            frame = Frame(payload, at_us)
            self._frames.append(frame)
            if self._watches:
                self._tell(frame)
        elif kind == PING:
            self._write(_header(0xA, len(payload), masked=True) + b"\0\0\0\0" + payload)
        elif kind == CLOSE:
            self.close_code = int.from_bytes(payload[:2], "big") if len(payload) >= 2 else 1005
            if self._transport is not None:
                self._transport.close()

    def _tell(self, frame: Frame) -> None:
        left = []
        for watch in self._watches:
            if any(needle in frame.payload for needle in watch.needles):
                if not watch.done.done():
                    watch.done.set_result(frame)
            else:
                left.append(watch)
        self._watches = left

    def _write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)


def _header(kind: int, length: int, *, masked: bool) -> bytes:
    bit = 0x80 if masked else 0
    if length < 126:
        return bytes((0x80 | kind, bit | length))
    if length < 1 << 16:
        return bytes((0x80 | kind, bit | 126)) + length.to_bytes(2, "big")
    return bytes((0x80 | kind, bit | 127)) + length.to_bytes(8, "big")
