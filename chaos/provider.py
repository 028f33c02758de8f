"""The provider that breaks on purpose: an HTTP server with OpenAI's and Anthropic's streams, and the truth.

It runs on the harness' own loop. What leaves is counted when it is handed to the kernel; a
connection that the product closed ends the answer there.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from .play import PlayStep, ProviderFault, play_of
from .truth import Request, TruthLog
from .wires import WIRES, Piece, asked, usage_of

ABSURD = -(10**13)
"""As a request's number it makes the usage negative."""
ERRORS = {"error": {"message": "the chaos provider refuses", "type": "chaos_error"}}


class ChaosProvider:
    """`async with ChaosProvider(folder) as provider:` serves at `provider.url`; `provider.truth` is its log."""

    def __init__(self, folder: Path) -> None:
        self.truth = TruthLog(folder / "provider.jsonl")
        self._server: asyncio.Server | None = None
        self._answers: set[asyncio.Task[None]] = set()
        self.hold = asyncio.Event()
        """Cleared: answers stand still where they are."""
        self.hold.set()

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aenter__(self) -> ChaosProvider:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0, backlog=1024)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in list(self._answers):
            task.cancel()
        await asyncio.gather(*self._answers, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._answers.add(task)
        try:
            while await self._one(reader, writer):
                pass
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.CancelledError):
            pass  # the product went away, or the campaign is over
        finally:
            self._answers.discard(task)
            with contextlib.suppress(OSError):
                writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request; whether the connection may carry another."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        lines = head.split("\r\n")
        headers = {
            name.strip().lower(): value.strip()
            for name, _, value in (line.partition(":") for line in lines[1:] if line)
        }
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        path = lines[0].split(" ")[1]
        if path.endswith("/chat/completions"):
            wire = "openai"
        elif path.endswith("/messages"):
            wire = "anthropic"
        else:
            await _answer(writer, 404, ERRORS)
            return True
        told = asked(wire, json.loads(body))
        play = play_of(told.text)
        if play is None or told.step >= len(play.steps):
            await _answer(writer, 400, {"error": {"message": f"no step {told.step} in this play"}})
            return True
        request = self.truth.begin(wire=wire, key=play.key, step=told.step, results=told.results)
        try:
            return await self._play(writer, request, play.steps[told.step])
        finally:
            self.truth.end(request)

    async def _play(self, writer: asyncio.StreamWriter, request: Request, step: PlayStep) -> bool:
        fault = step.faults[request.attempt] if request.attempt < len(step.faults) else None
        request.fault = fault.kind if fault is not None else ""
        if fault is not None and fault.kind == "status":
            more = {"Retry-After": fault.retry_after} if fault.retry_after else {}
            await _answer(writer, fault.status, ERRORS, more)
            return True
        if request.fault == "refused":
            writer.transport.abort()
            return False
        number = ABSURD if request.fault == "absurd_usage" else request.number
        pieces = WIRES[request.wire](request.key, step, request.step, request.attempt, number)
        stream = _Stream(writer, request, usage_of(step, request.number), chunked=step.framing == "chunked")
        stream.head()
        await stream.write(self._paced(_broken(pieces, fault), step.pace_ms, fault), fault, self.hold)
        if request.finished:
            stream.end()
            await writer.drain()
        return request.finished and step.framing == "chunked"

    def _paced(
        self, pieces: Iterable[Piece], pace_ms: float, fault: ProviderFault | None
    ) -> Iterable[tuple[Piece, float]]:
        if fault is not None and fault.kind == "drip":
            for piece in pieces:
                for at in range(len(piece.data)):
                    last = at == len(piece.data) - 1
                    one = replace(piece, data=piece.data[at : at + 1])
                    yield (one if last else Piece(one.data)), fault.seconds
        else:
            for piece in pieces:
                yield piece, pace_ms / 1000


class _Stream:
    """The body of one answer, cut where the fault says."""

    def __init__(
        self, writer: asyncio.StreamWriter, request: Request, usage: dict[str, int], *, chunked: bool
    ) -> None:
        self._writer, self._request, self._usage, self._chunked = writer, request, usage, chunked

    def head(self) -> None:
        more = "Transfer-Encoding: chunked" if self._chunked else "Connection: close"
        self._writer.write(
            f"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n{more}\r\n\r\n".encode()
        )

    async def write(
        self, pieces: Iterable[tuple[Piece, float]], fault: ProviderFault | None, hold: asyncio.Event
    ) -> None:
        request = self._request
        breaks = fault is not None and fault.kind in ("cut_fin", "cut_rst", "silent")
        for piece, pause in pieces:
            await hold.wait()
            if breaks and fault is not None and 0 <= fault.at < request.sent + len(piece.data):
                breaks = False
                self._part(piece.data[: fault.at - request.sent])
                await self._writer.drain()
                if fault.kind == "silent":
                    await asyncio.sleep(fault.seconds)
                    self._part(piece.data[fault.at - request.sent :])
                else:
                    request.sent = fault.at
                    await self._cut(fault.kind == "cut_rst")
                    return
            else:
                self._part(piece.data)
            await self._writer.drain()
            if self._writer.is_closing():
                raise ConnectionError("the product closed the connection")
            request.sent += len(piece.data)
            request.text += piece.text
            request.thinking += piece.thinking
            if piece.usage and request.fault != "absurd_usage":
                request.usage = self._usage
            if pause:
                await asyncio.sleep(pause)
        if breaks and fault is not None and fault.kind != "silent":  # all was said, and then the line was cut
            await self._cut(fault.kind == "cut_rst")
            return
        request.finished = True

    def _part(self, data: bytes) -> None:
        if data:
            self._writer.write(b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data)

    def end(self) -> None:
        if self._chunked:
            self._writer.write(b"0\r\n\r\n")

    async def _cut(self, reset: bool) -> None:
        if reset:
            raw = self._writer.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._writer.transport.abort()
        else:
            self._writer.close()


def _broken(pieces: Iterable[Piece], fault: ProviderFault | None) -> Iterable[Piece]:
    """The pieces with what the fault does to their contents."""
    kind = fault.kind if fault is not None else ""
    sent = 0
    for piece in pieces:
        if kind == "malformed" and fault is not None and sent + len(piece.data) > fault.at >= 0:
            kind = ""
            yield Piece(b"data: {this is no JSON\n\n")
        if piece.usage and kind == "no_usage":
            continue
        sent += len(piece.data)
        yield piece
        if piece.usage and kind == "repeated_usage":
            yield piece


async def _answer(
    writer: asyncio.StreamWriter, status: int, body: object, headers: dict[str, str] | None = None
) -> None:
    data = json.dumps(body).encode()
    more = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
    writer.write(
        f"HTTP/1.1 {status} Chaos\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\n{more}\r\n".encode()
        + data
    )
    await writer.drain()
