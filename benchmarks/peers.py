"""The servers that are compared, behind one small interface: open a socket, ask, read.

A `Peer` is a running server. A `Line` is one logged-in connection of it that can start
streams and, where the server has that, watch those of others. Here are the interface, the
provider and the bare relay; every other server has a file of its own.
"""

from __future__ import annotations

import contextlib
import urllib.request
from collections.abc import Iterator, Sized
from pathlib import Path
from typing import Protocol

import orjson

from .marks import Piece
from .processes import Process, free_port, python, running
from .provider import Order
from .wsclient import Socket


class Connection(Protocol):
    """What a scenario needs to know of the connection under a line."""

    wire_bytes: int
    """Bytes received since `forget()`."""

    @property
    def frames(self) -> Sized: ...

    def forget(self) -> None: ...

    async def close(self) -> None: ...


class Line(Protocol):
    """One connection. Between `clear()` and `pieces()` one stream passes."""

    @property
    def socket(self) -> Connection: ...

    async def ask(self, order: Order) -> None:
        """Sends the message that starts the stream; does not wait."""
        ...

    async def watch(self, other: Line) -> None:
        """Follows what `other` asks from now on; returns when it does."""
        ...

    async def leave(self) -> None:
        """Ends `watch`; the line is in its own conversation again."""
        ...

    async def begun(self, seconds: float) -> None:
        """Waits for the first text."""
        ...

    async def ended(self, seconds: float) -> None:
        """Waits until the stream is over for this socket."""
        ...

    def pieces(self) -> list[Piece]: ...

    def clear(self) -> None: ...


class Peer(Protocol):
    """A running server. `shares`: several lines can watch one stream."""

    name: str
    process: Process
    shares: bool

    async def line(self, person: int) -> Line:
        """A new socket of person number `person` in a conversation of its own."""
        ...


@contextlib.contextmanager
def provider(folder: Path, core: set[int]) -> Iterator[str]:
    """The fake provider; gives its base address."""
    with running("provider", python("-m", "benchmarks.provider"), folder=folder, core=core) as process:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"


def answers(port: int, path: str) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=2) as answer:
            return bool(answer.status < 400)
    except OSError:
        return False


# --- the bare relay --------------------------------------------------------------------------------------


class RelayLine:
    def __init__(self, socket: Socket, room: str) -> None:
        self.socket, self._room, self._own = socket, room, room

    async def ask(self, order: Order) -> None:
        self.socket.send({"room": self._room, "prompt": order.text()})

    async def watch(self, other: Line) -> None:
        assert isinstance(other, RelayLine)
        self._room = other._room
        self.socket.send({"room": self._room})
        await self.socket.wait_for(b"joined")

    async def leave(self) -> None:
        self.clear()
        self.socket.send({"room": self._room, "leave": True})
        await self.socket.wait_for(b'"left"')
        self._room = self._own

    async def begun(self, seconds: float) -> None:
        await self.socket.wait_for(b'"text":', seconds=seconds)

    async def ended(self, seconds: float) -> None:
        await self.socket.wait_for(b'"type":"end"', seconds=seconds)

    def pieces(self) -> list[Piece]:
        out = []
        for frame in self.socket.frames:
            text = orjson.loads(frame.payload).get("text")
            if text is not None:
                out.append(Piece(text, frame.at_us))
        return out

    def clear(self) -> None:
        self.socket.forget()


class RelayPeer:
    name = "bare relay"
    shares = True

    def __init__(self, process: Process, port: int) -> None:
        self.process, self._port = process, port
        self._lines = 0

    async def line(self, person: int) -> RelayLine:
        self._lines += 1
        room = f"room{self._lines}"
        return RelayLine(await Socket.open(self._port, "/"), room)


UVICORN = ("--ws", "websockets-sansio", "--ws-per-message-deflate", "false", "--log-level", "warning")


@contextlib.contextmanager
def relay(folder: Path, core: set[int], provider_url: str) -> Iterator[RelayPeer]:
    port = free_port()
    command = python(
        "-m", "uvicorn", "benchmarks.relay:application", "--port", str(port), "--no-access-log", *UVICORN
    )
    with running(
        "relay",
        command,
        folder=folder,
        core=core,
        environment={"BENCH_PROVIDER": f"{provider_url}/v1"},
        answers=lambda: answers(port, "/"),
    ) as process:
        yield RelayPeer(process, port)
