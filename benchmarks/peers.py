"""The servers that are compared, behind one small interface: open a socket, ask, read.

A `Peer` is a running server. A `Line` is one logged-in socket of it that can start
streams and watch those of others.
"""

from __future__ import annotations

import contextlib
import secrets
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import orjson

from .fill import Filled, fill
from .marks import Piece
from .processes import Process, free_port, python, running
from .provider import Order
from .wsclient import Socket


class Line(Protocol):
    """One socket. Between `clear()` and `pieces()` one stream passes."""

    socket: Socket

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
    name: str
    process: Process

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

    def __init__(self, process: Process, port: int) -> None:
        self.process, self._port = process, port
        self._lines = 0

    async def line(self, person: int) -> RelayLine:
        self._lines += 1
        return RelayLine(await Socket.open(self._port, "/"), f"room{self._lines}")


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


# --- Nexus -----------------------------------------------------------------------------------------------


_TERMINAL = b'"chunk":{"type":"metadata","data":{"status":"'
ENDS = tuple(_TERMINAL + status for status in (b"complete", b"failed", b"cancelled"))
"""Only a terminal chunk ends a run."""


class NexusLine:
    def __init__(self, socket: Socket, agent: str) -> None:
        self.socket = socket
        self.conversation: str | None = None
        self._own: str | None = None
        self._agent = agent
        self._asked = 0

    async def ask(self, order: Order) -> None:
        self._asked += 1
        frame: dict[str, object] = {
            "type": "run.start",
            "id": f"q{self._asked}",
            "clientId": f"bench-{order.stream}-{id(self)}-{self._asked}",
            "agentId": self._agent,
            "input": order.text(),
        }
        if self.conversation is not None:
            frame["conversationId"] = self.conversation
        self.socket.send(frame)

    async def open_conversation(self, order: Order) -> None:
        """A first, short stream, so that there is a conversation that others can watch."""
        await self.ask(order)
        await self.ended(30)
        accepted = await self.socket.wait_for(b'"run.accepted"')
        self.conversation = self._own = orjson.loads(accepted.payload)["conversationId"]
        self.clear()

    async def watch(self, other: Line) -> None:
        assert isinstance(other, NexusLine)
        self.conversation = other.conversation
        self.socket.send({"type": "subscribe", "id": "s", "conversationId": self.conversation})
        answer = await self.socket.wait_for(b'"id":"s"')
        if b'"subscribed"' not in answer.payload:
            raise RuntimeError(f"subscribe was answered with {answer.payload[:200]!r}")

    async def leave(self) -> None:
        self.clear()
        self.socket.send({"type": "unsubscribe", "id": "u", "conversationId": self.conversation})
        await self.socket.wait_for(b'"unsubscribed"')
        self.conversation = self._own

    async def begun(self, seconds: float) -> None:
        await self.socket.wait_for(b'{"type":"content","data":"', seconds=seconds)

    async def ended(self, seconds: float) -> None:
        await self.socket.wait_for(*ENDS, seconds=seconds)
        for frame in self.socket.frames:
            if frame.payload.startswith(b'{"type":"error"') or b'"type":"error","data"' in frame.payload:
                raise RuntimeError(f"the run failed: {frame.payload[:300]!r}")

    def pieces(self) -> list[Piece]:
        out, last = [], 0
        for frame in self.socket.frames:
            if not frame.payload.startswith(b'{"type":"chunk"'):
                continue
            wire = orjson.loads(frame.payload)
            if wire["seq"] != last + 1:
                # Shown as text that belongs to nothing, so that it counts as a fault.
                out.append(Piece(f"<seq {wire['seq']} after {last}>", frame.at_us))
            last = wire["seq"]
            if wire["chunk"]["type"] == "content":
                out.append(Piece(wire["chunk"]["data"], frame.at_us))
        return out

    def clear(self) -> None:
        self.socket.forget()


class NexusPeer:
    def __init__(self, name: str, process: Process, port: int, filled: Filled) -> None:
        self.name, self.process, self.port, self._filled = name, process, port, filled

    async def line(self, person: int) -> NexusLine:
        headers = {"Cookie": self._filled.cookies[person], "Origin": f"http://127.0.0.1:{self.port}"}
        socket = await Socket.open(self.port, "/ws/", headers)
        await socket.wait_for(b'"type":"welcome"')
        return NexusLine(socket, self._filled.agent)


def server_command(server: str, port: int, application: str) -> list[str]:
    if server == "daphne":
        return python("-m", "daphne", "-b", "127.0.0.1", "-p", str(port), application)
    return python("-m", "uvicorn", application, "--port", str(port), "--no-access-log", *UVICORN)


@contextlib.contextmanager
def nexus(
    server: str,
    folder: Path,
    core: set[int],
    provider_url: str,
    *,
    people: int,
    application: str = "nexus_site.asgi:application",
    environment: dict[str, str] | None = None,
) -> Iterator[NexusPeer]:
    """Nexus as it is served: fresh database, default settings, `server` is "daphne" or "uvicorn"."""
    name = f"nexus-{server}{'-stops' if environment else ''}"
    own = folder / name
    own.mkdir()
    port = free_port()
    variables = {
        "NEXUS_DATA_DIR": str(own),
        "DEBUG": "0",
        "SECRET_KEY": secrets.token_urlsafe(48),
        "DATABASE_URL": f"sqlite:///{own / 'nexus.sqlite3'}",
        "REDIS_URL": "",
        "BENCH_BASE_URL": f"{provider_url}/v1",
        "LOG_LEVEL": "WARNING",
        "LOG_JSON": "1",
        **(environment or {}),
    }
    filled = fill(people, variables)
    with running(
        name,
        server_command(server, port, application),
        folder=folder,
        core=core,
        environment=variables,
        answers=lambda: answers(port, "/livez"),
    ) as process:
        yield NexusPeer(f"Nexus on {server}", process, port, filled)
