"""Nexus as a peer: real server processes with their default settings, filled and logged in."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson
import psycopg

from scripts.services import Service
from scripts.services.postgres import start_postgres
from scripts.services.redis import start_redis

from .fill import Filled, fill
from .marks import Piece
from .peers import UVICORN, Line, answers
from .processes import Process, free_port, python, running
from .provider import Order
from .wsclient import Socket

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
        # Numbers of streams come round again, and so do addresses in memory: in half an hour some met.
        self._name = secrets.token_hex(8)

    async def ask(self, order: Order) -> None:
        self._asked += 1
        frame: dict[str, object] = {
            "type": "run.start",
            "id": f"q{self._asked}",
            "clientId": f"bench-{self._name}-{self._asked}",
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
    """A web process of Nexus."""

    shares = True

    def __init__(self, name: str, process: Process, port: int, filled: Filled) -> None:
        self.name, self.process, self.port, self.filled = name, process, port, filled

    async def line(self, person: int) -> NexusLine:
        headers = {"Cookie": self.filled.cookies[person], "Origin": f"http://127.0.0.1:{self.port}"}
        socket = await Socket.open(self.port, "/ws/", headers)
        await socket.wait_for(b'"type":"welcome"')
        return NexusLine(socket, self.filled.agent)


def server_command(server: str, port: int, application: str) -> list[str]:
    if server == "daphne":
        return python("-m", "daphne", "-b", "127.0.0.1", "-p", str(port), application)
    return python("-m", "uvicorn", application, "--port", str(port), "--no-access-log", *UVICORN)


def _variables(own: Path, provider_url: str, database: str, redis: str = "") -> dict[str, str]:
    return {
        "NEXUS_DATA_DIR": str(own),
        "DEBUG": "0",
        "SECRET_KEY": secrets.token_urlsafe(48),
        "DATABASE_URL": database,
        "REDIS_URL": redis,
        "BENCH_BASE_URL": f"{provider_url}/v1",
        "LOG_LEVEL": "WARNING",
        "LOG_JSON": "1",
        "NEXUS_LIMITS_FACTOR": "1000",  # a few people stand for hundreds
    }


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
    title: str = "",
) -> Iterator[NexusPeer]:
    """Nexus in one process: fresh SQLite, default settings, `server` is "daphne" or "uvicorn"."""
    title = title or f"Nexus on {server}"
    name = title.lower().replace(" ", "-")
    own = folder / name
    own.mkdir()
    port = free_port()
    variables = _variables(own, provider_url, f"sqlite:///{own / 'nexus.sqlite3'}") | (environment or {})
    filled = fill(people, variables)
    with running(
        name,
        server_command(server, port, application),
        folder=folder,
        core=core,
        environment=variables,
        answers=lambda: answers(port, "/livez"),
    ) as process:
        yield NexusPeer(title, process, port, filled)


@dataclass(frozen=True, slots=True)
class Scaled:
    """Nexus in several processes; `services` are PostgreSQL and Redis."""

    web: Sequence[NexusPeer]
    workers: Sequence[Process]
    services: Sequence[Service]


@contextlib.contextmanager
def scaled(
    server: str,
    folder: Path,
    core: set[int],
    provider_url: str,
    *,
    people: int,
    web: int = 2,
    workers: int = 1,
    application: str = "nexus_site.asgi:application",
    worker: Sequence[str] = ("manage.py", "worker"),
) -> Iterator[Scaled]:
    """Web processes and workers on PostgreSQL and Redis, all of them started here and ended here.

    Raises `ServiceMissing` where no PostgreSQL or Redis can be had.
    """
    own = folder / f"scaled-{server}"
    own.mkdir()
    with contextlib.ExitStack() as stack:
        postgres, redis = _services(stack)
        variables = _variables(own, provider_url, _database(postgres.value), redis.value)
        filled = fill(people, variables)
        executing = [
            stack.enter_context(
                running(
                    f"worker-{n + 1}",
                    python(*worker),
                    folder=own,
                    core=core,
                    environment=variables,
                    answers=lambda: True,  # it has no address; runs wait until it takes them
                )
            )
            for n in range(workers)
        ]
        serving = []
        for n in range(web):
            port = free_port()
            process = stack.enter_context(
                running(
                    f"web-{n + 1}",
                    server_command(server, port, application),
                    folder=own,
                    core=core,
                    environment=variables,
                    answers=lambda port=port: answers(port, "/livez"),  # type: ignore[misc]
                )
            )
            serving.append(NexusPeer(f"web {n + 1} on {server}", process, port, filled))
        yield Scaled(serving, executing, (postgres, redis))


def _services(stack: contextlib.ExitStack) -> tuple[Service, Service]:
    """Servers of our own, never those that the environment names: the benchmark fills them."""
    named = {name: os.environ.pop(name, "") for name in ("DATABASE_URL", "REDIS_URL")}
    try:
        postgres = start_postgres()
        stack.callback(postgres.stop)
        redis = start_redis()
        stack.callback(redis.stop)
    finally:
        os.environ.update({name: value for name, value in named.items() if value})
    return postgres, redis


def _database(url: str) -> str:
    name = f"bench_{secrets.token_hex(4)}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    return url.rsplit("/", 1)[0] + f"/{name}"
