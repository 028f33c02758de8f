"""A socket in a test: the real application, the real consumer, frames in and out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import orjson
import pytest
from channels.testing import WebsocketCommunicator
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore

from realtime.hub import close_hub
from realtime.presence_news import close_news
from workspaces.access import Actor
from workspaces.database import in_database

ORIGIN = b"http://testserver"
PATIENCE = 40.0
"""Seconds; machines are slow. Where a time is promised the test says which."""


def log_in(actor: Actor) -> str:
    """A session as the login form makes it; gives its key."""
    session = SessionStore()
    session[SESSION_KEY] = str(actor.user_id)
    session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    session[HASH_SESSION_KEY] = actor.user.get_session_auth_hash()
    session.create()
    assert session.session_key is not None
    return session.session_key


class Socket:
    """One client. `await next("pong")` waits for a frame of that type; `seen` has all that came."""

    def __init__(self, communicator: WebsocketCommunicator) -> None:
        self.communicator = communicator
        self.seen: list[dict[str, Any]] = []
        self.closed: int | None = None
        self._looked = 0

    async def send(self, *frames: dict[str, Any] | str | bytes) -> None:
        for frame in frames:
            if isinstance(frame, bytes):
                await self.communicator.send_to(bytes_data=frame)
            else:
                text = frame if isinstance(frame, str) else orjson.dumps(frame).decode()
                await self.communicator.send_to(text_data=text)

    async def _pull(self, timeout: float) -> None:
        output = await self.communicator.receive_output(timeout)
        if output["type"] == "websocket.close":
            self.closed = output.get("code", 1000)
        elif output["type"] == "websocket.send":
            self.seen.append(orjson.loads(output["text"]))

    async def next(self, type_: str, timeout: float = PATIENCE, **fields: Any) -> dict[str, Any]:
        """The next unread frame of this type with these fields; frames before it are passed over."""
        async with asyncio.timeout(timeout):
            while True:
                while self._looked < len(self.seen):
                    frame = self.seen[self._looked]
                    self._looked += 1
                    if frame["type"] == type_ and all(frame.get(k) == v for k, v in fields.items()):
                        return frame
                assert self.closed is None, (
                    f"closed with {self.closed} while waiting for {type_}: {self.seen}"
                )
                await self._pull(timeout)

    async def ask(self, frame: dict[str, Any], type_: str) -> dict[str, Any]:
        await self.send(frame)
        return await self.next(type_)

    async def closes(self, timeout: float = PATIENCE) -> int:
        """Waits for the close frame; gives its code."""
        async with asyncio.timeout(timeout):
            while self.closed is None:
                await self._pull(timeout)
        return self.closed

    async def settled(self) -> list[dict[str, Any]]:
        """All frames up to now: a ping's answer comes behind everything sent before it."""
        await self.send({"type": "ping", "id": "settled"})
        await self.next("pong", id="settled")
        return self.seen

    async def end(self) -> None:
        await self.communicator.disconnect(timeout=PATIENCE)


Connect = Callable[..., Awaitable[Socket]]


def communicator_for(
    *,
    session: str = "",
    token: str = "",
    ticket: str = "",
    origin: bytes | None = ORIGIN,
    path: str = "/ws/",
    host: bytes = b"testserver",
) -> WebsocketCommunicator:
    from nexus_site.asgi import application

    headers: list[tuple[bytes, bytes]] = [(b"host", host)]
    if session:
        headers.append((b"cookie", f"sessionid={session}".encode()))
    if origin is not None:
        headers.append((b"origin", origin))
    if token:
        headers.append((b"authorization", f"Bearer {token}".encode()))
    subprotocols = ["nexus.v1", f"ticket.{ticket}"] if ticket else ["nexus.v1"]
    return WebsocketCommunicator(application, path, headers=headers, subprotocols=subprotocols)


async def refused(communicator: WebsocketCommunicator) -> bool:
    accepted, _ = await communicator.connect(timeout=PATIENCE)
    await communicator.disconnect(timeout=PATIENCE)
    return not accepted


@pytest.fixture
async def connect(transactional_db: None, settings: Any) -> AsyncIterator[Connect]:
    """`socket = await connect(alice)` after `welcome`; every socket ends with the test."""
    settings.ALLOWED_HOSTS = ["testserver"]
    opened: list[Socket] = []

    async def open_socket(actor: Actor | None = None, **how: Any) -> Socket:
        if actor is not None and "session" not in how:
            how["session"] = await in_database(log_in, actor)
        communicator = communicator_for(**how)
        accepted, subprotocol = await communicator.connect(timeout=PATIENCE)
        assert accepted, f"refused with {subprotocol}"
        assert subprotocol == "nexus.v1"
        socket = Socket(communicator)
        opened.append(socket)
        await socket.next("welcome")
        return socket

    yield open_socket
    for socket in opened:
        await socket.end()
    await close_news()
    await close_hub()
