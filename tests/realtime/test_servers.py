"""What only a real server shows, under Daphne and uvicorn: slow readers, close codes, restarts."""

from __future__ import annotations

import asyncio
import http.client
import socket
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
import websockets
from websockets.asyncio.client import ClientConnection, connect

from .live import LiveServer

pytestmark = pytest.mark.once
OUTBOX = 64 * 1024


@pytest.fixture(scope="module", params=["daphne", "uvicorn"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    made = LiveServer(request.param, tmp_path_factory.mktemp(request.param), NEXUS_OUTBOX_BYTES=str(OUTBOX))
    made.prepare("alice", "bob", "vera")
    made.start()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def tokens(server: LiveServer) -> dict[str, str]:
    return server.tokens


@asynccontextmanager
async def client(server: LiveServer, token: str, **how: Any) -> AsyncIterator[ClientConnection]:
    headers = {"Authorization": f"Bearer {token}"}
    async with connect(
        server.address, additional_headers=headers, subprotocols=["nexus.v1"], max_size=None, **how
    ) as ws:  # type: ignore[list-item]
        yield ws


async def until(ws: ClientConnection, type_: str, **fields: Any) -> dict[str, Any]:
    async with asyncio.timeout(30):
        while True:
            frame = orjson.loads(await ws.recv())
            if frame["type"] == type_ and all(frame.get(k) == v for k, v in fields.items()):
                return frame


async def names_here(ws: ClientConnection, *names: str) -> None:
    while True:
        users = (await until(ws, "presence.changed"))["users"]
        if [user["name"] for user in users] == list(names):
            return


async def test_it_welcomes_with_the_subprotocol(server: LiveServer, tokens: dict[str, str]) -> None:
    async with client(server, tokens["alice"]) as ws:
        assert ws.subprotocol == "nexus.v1"
        assert orjson.loads(await ws.recv())["type"] == "welcome"


async def test_it_refuses_a_wrong_token_before_it_accepts(server: LiveServer) -> None:
    with pytest.raises(websockets.InvalidStatus) as refusal:
        async with client(server, "nxs_wrong"):
            pass
    assert refusal.value.response.status_code == 403


async def test_it_says_why_it_closes_at_a_huge_frame(server: LiveServer, tokens: dict[str, str]) -> None:
    async with client(server, tokens["alice"]) as ws:
        await ws.send("x" * (1024 * 1024 + 1))
        with pytest.raises(websockets.ConnectionClosed) as closed:
            await until(ws, "never")
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4009


async def test_it_says_why_it_closes_at_a_flood(server: LiveServer, tokens: dict[str, str]) -> None:
    for _ in range(3):  # where this process stands still for seconds in between it is no flood
        async with client(server, tokens["alice"]) as ws:
            with pytest.raises((websockets.ConnectionClosed, TimeoutError)) as closed:
                for _ in range(800):  # twice what may come at once; a close frame must still reach the sender
                    await ws.send('{"type":"ping"}')
                await until(ws, "never")
        if isinstance(closed.value, websockets.ConnectionClosed):
            break
    assert isinstance(closed.value, websockets.ConnectionClosed)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4429


def never_reads(server: LiveServer, token: str) -> socket.socket:
    """A client that shakes hands and then takes nothing any more."""
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.connect(("127.0.0.1", server.port))
    raw.sendall(
        f"GET /ws/ HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
        f"Authorization: Bearer {token}\r\n\r\n".encode()
    )
    assert b" 101 " in raw.recv(64)
    return raw


async def test_it_drops_a_client_that_never_reads(server: LiveServer, tokens: dict[str, str]) -> None:
    async with client(server, tokens["alice"], max_queue=None) as watcher:
        raw = await asyncio.to_thread(never_reads, server, tokens["vera"])
        try:
            await names_here(watcher, "alice", "vera")
            before = server.rss()
            body = {"type": "activity.broadcast", "activityType": "noise"}
            # More than the kernel takes for a connection; from five sockets, since one alone would be a flood.
            for part in range(5):
                async with client(server, tokens["bob"], max_queue=None) as noisy:
                    for n in range(350):
                        noise = {**body, "metadata": {"n": n, "x": f"{part}" * 4000}}
                        await noisy.send(orjson.dumps(noise).decode())
                    # The others get everything, in spite of the one that reads nothing.
                    for n in range(350):
                        told = await until(watcher, "activity.recorded", activityType="noise")
                        assert told["metadata"]["n"] == n
            await names_gone(watcher, "vera")
            assert server.rss() - before < 40 * 1024 * 1024
        finally:
            raw.close()


async def names_gone(ws: ClientConnection, name: str) -> None:
    """Waits for a list without that one; asks for news by doing something.

    Well before a server's own pings would find a dead client (40 s).
    """
    async with asyncio.timeout(25):
        beat = 0
        while True:
            await ws.send(
                orjson.dumps({"type": "presence.update", "activity": ("typing", "idle")[beat % 2]}).decode()
            )
            beat += 1
            users = (await until(ws, "presence.changed"))["users"]
            if name not in [user["name"] for user in users]:
                return


async def test_it_sends_its_clients_back_when_it_restarts(server: LiveServer, tokens: dict[str, str]) -> None:
    """The last test of this file: it ends the server."""
    async with client(server, tokens["alice"]) as ws:
        await until(ws, "welcome")
        server.terminate()
        with pytest.raises(websockets.ConnectionClosed) as closed:
            await until(ws, "never")
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4012
    assert server.process is not None
    await asyncio.to_thread(server.process.wait, 60)
    assert "Traceback" not in Path(server.log).read_text()


@pytest.mark.parametrize("kind", ["daphne", "uvicorn"])
def test_it_cuts_an_answer_that_breaks_and_serves_on(kind: Any, tmp_path: Path) -> None:
    """A reader who is left waiting takes it for silence; a whole answer that is none is worse."""
    server = LiveServer(kind, tmp_path)
    server.application = "tests.realtime.breaking:application"
    server.prepare("alice")
    server.start()
    try:
        for _ in range(2):  # Daphne's own way of refusing ends the job that would see the second one
            with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/breaks", timeout=60) as answer:
                with pytest.raises(http.client.IncompleteRead) as cut:
                    answer.read()
                assert cut.value.partial == b"begun"
    finally:
        server.stop()
