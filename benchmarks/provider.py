"""The fake provider: `python -m benchmarks.provider`. OpenAI's chat wire, streaming only.

It prints its port and ends when its standard input closes. What to stream stands in
the last message, so that it passes through any server in between:

    bench stream=7 chunks=5000 delay_us=0 first_us=0 together=1

`delay_us` is the pace (0: as fast as the reader takes it), `first_us` the time until
the first piece; `together` streams begin when that many of them were asked for (or the
last was long in coming), paced ones spread over one step of the pace. `GET /marks/7` tells when the request for stream 7 arrived and when
its first piece left (µs of the shared clock) and how many pieces it sent; `GET /cpu`
what the provider itself took so far.
"""

from __future__ import annotations

import asyncio
import re
import sys
import time
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, cast

import orjson

from .marks import mark, now_us

PIECES_PER_WRITE = 64
GATE_SECONDS = 20
_ORDER = re.compile(r"bench stream=(\d+) chunks=(\d+) delay_us=(\d+) first_us=(\d+) together=(\d+)")
_HEAD = (
    b'{"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1700000000,"model":"bench","choices":'
)
_PIECE = (
    b"data: " + _HEAD + b'[{"index":0,"delta":{"content":"',
    b'"},"finish_reason":null}]}\n\n',
)


@dataclass(frozen=True, slots=True)
class Order:
    """What a request asked for. Times in µs."""

    stream: int
    chunks: int
    delay_us: int = 0
    first_us: int = 0
    together: int = 1

    def text(self) -> str:
        return (
            f"bench stream={self.stream} chunks={self.chunks} delay_us={self.delay_us} "
            f"first_us={self.first_us} together={self.together}"
        )


def order_of(text: str) -> Order | None:
    found = _ORDER.search(text)
    return Order(*(int(group) for group in found.groups())) if found else None


@dataclass(slots=True)
class Log:
    """What happened to a stream; µs of the shared clock."""

    arrived_us: int
    first_us: int = 0
    sent: int = 0
    requests: int = 1


class Gate:
    """Lets streams go when as many have come as belong together."""

    def __init__(self) -> None:
        self._waiting = 0
        self._open = asyncio.Event()

    async def wait(self, together: int) -> int:
        """The place in the queue, from 0. A server that does not let all through is not waited for longer."""
        place = self._waiting
        self._waiting += 1
        mine = self._open
        if self._waiting >= together:
            self._let_go()
        try:
            async with asyncio.timeout(GATE_SECONDS):
                await mine.wait()
        except TimeoutError:
            if self._open is mine:
                self._let_go()
        return place

    def _let_go(self) -> None:
        self._open.set()
        self._waiting, self._open = 0, asyncio.Event()


class Connection(asyncio.Protocol):
    """One HTTP/1.1 connection; requests one after the other."""

    logs: ClassVar[dict[int, Log]] = {}
    gate: ClassVar[Gate] = Gate()

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._arrived_us = 0
        self._transport: asyncio.Transport | None = None
        self._task: asyncio.Task[None] | None = None
        self._room = asyncio.Event()
        self._room.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports do not derive from asyncio's.
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._task is not None:
            self._task.cancel()

    def pause_writing(self) -> None:
        self._room.clear()

    def resume_writing(self) -> None:
        self._room.set()

    def data_received(self, data: bytes) -> None:
        if not self._buffer:
            self._arrived_us = now_us()
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = bytes(self._buffer[:end]).decode("latin-1")
        body = _body(head, bytes(self._buffer[end + 4 :]))
        if body is None:
            return
        self._buffer.clear()
        method, path = head.split(" ", 2)[:2]
        self._task = asyncio.get_running_loop().create_task(self._answer(method, path, body))

    async def _answer(self, method: str, path: str, body: bytes) -> None:
        if method == "GET" and path.startswith("/marks/"):
            log = self.logs.get(int(path.rsplit("/", 1)[1]))
            self._json(asdict(log) if log else {})
        elif method == "GET" and path == "/cpu":
            self._json({"cpu_s": time.process_time()})
        elif method == "GET" and path.endswith("/models"):
            self._json({"object": "list", "data": [{"id": "bench", "object": "model"}]})
        elif method == "POST" and path.endswith("/chat/completions"):
            order = order_of(_last_text(orjson.loads(body)))
            if order is None:
                self._json({"error": {"message": "the last message holds no bench order"}}, "400 Bad Request")
                return
            await self._stream(order)
        else:
            self._json({"error": {"message": f"{method} {path} is not spoken here"}}, "404 Not Found")

    def _json(self, value: Any, status: str = "200 OK") -> None:
        body = orjson.dumps(value)
        head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        self._write(head.encode() + body)

    def _write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def _part(self, data: bytes) -> None:
        """One part of a body in chunked transfer encoding."""
        self._write(b"%x\r\n%b\r\n" % (len(data), data))

    async def _stream(self, order: Order) -> None:
        earlier = self.logs.get(order.stream)
        log = Log(self._arrived_us, requests=earlier.requests + 1 if earlier else 1)
        self.logs[order.stream] = log
        self._write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )
        if order.together > 1:
            place = await self.gate.wait(order.together)
            await asyncio.sleep(order.delay_us / 1e6 * place / order.together)
        if order.first_us:
            await asyncio.sleep(order.first_us / 1e6)
        role = b'[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}\n\n'
        self._part(b"data: " + _HEAD + role)
        log.first_us = now_us()
        if order.delay_us:
            await self._paced(order, log)
        else:
            await self._at_full_speed(order, log)
        usage = b'[],"usage":{"prompt_tokens":12,"completion_tokens":%d,"total_tokens":%d}}\n\n'
        self._part(
            b"data: "
            + _HEAD
            + b'[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
            + b"data: "
            + _HEAD
            + usage % (order.chunks, order.chunks + 12)
            + b"data: [DONE]\n\n"
        )
        self._write(b"0\r\n\r\n")

    async def _paced(self, order: Order, log: Log) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        for number in range(order.chunks):
            self._part(_PIECE[0] + mark(order.stream, number, now_us()).encode() + _PIECE[1])
            log.sent += 1
            due += order.delay_us / 1e6
            if (wait := due - loop.time()) > 0:
                await asyncio.sleep(wait)

    async def _at_full_speed(self, order: Order, log: Log) -> None:
        for start in range(0, order.chunks, PIECES_PER_WRITE):
            numbers = range(start, min(start + PIECES_PER_WRITE, order.chunks))
            at_us = now_us()
            self._part(
                b"".join([_PIECE[0] + mark(order.stream, n, at_us).encode() + _PIECE[1] for n in numbers])
            )
            log.sent += len(numbers)
            await self._room.wait()
            await asyncio.sleep(0)


def _body(head: str, rest: bytes) -> bytes | None:
    """The whole body, or None while it is still arriving."""
    lower = head.lower()
    if "transfer-encoding: chunked" in lower:
        if not rest.endswith(b"0\r\n\r\n"):
            return None
        out = b""
        while True:
            size, _, rest = rest.partition(b"\r\n")
            length = int(size, 16)
            if length == 0:
                return out
            out, rest = out + rest[:length], rest[length + 2 :]
    found = re.search(r"content-length: (\d+)", lower)
    length = int(found.group(1)) if found else 0
    return rest[:length] if len(rest) >= length else None


def _last_text(request: dict[str, Any]) -> str:
    for message in reversed(request.get("messages", [])):
        content = message.get("content")
        if message.get("role") != "user":
            continue
        if isinstance(content, str):
            return content
        return " ".join(part.get("text", "") for part in content)
    return ""


async def serve() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Connection, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


def main() -> None:
    import uvloop

    # The exit skips streams that nobody reads any more.
    uvloop.run(serve())


if __name__ == "__main__":
    main()
