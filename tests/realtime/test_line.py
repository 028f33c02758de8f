"""The short way under a socket: what is written below the server is what a client reads, and only where it may be."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from websockets.client import ClientProtocol
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.frames import Frame as WebSocketFrame
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

from realtime.frames import Bundle, Frame
from realtime.line import Line
from realtime.outbox import Outbox


class Transport:
    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.closing = False

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def is_closing(self) -> bool:
        return self.closing


class Uvicorn:
    """uvicorn's protocol as far as a line looks at it, after a handshake with a real client."""

    def __init__(self, *, deflate: bool = False) -> None:
        self.client = ClientProtocol(
            parse_uri("ws://127.0.0.1/"), extensions=[_client_deflate()] if deflate else None
        )
        self.conn = ServerProtocol(extensions=[ServerPerMessageDeflateFactory()] if deflate else None)
        self.client.send_request(self.client.connect())
        self.conn.receive_data(b"".join(self.client.data_to_send()))
        (request,) = self.conn.events_received()
        self.conn.send_response(self.conn.accept(request))  # type: ignore[arg-type]
        self.client.receive_data(b"".join(self.conn.data_to_send()))
        self.client.events_received()
        self.transport = Transport()
        self.writable = asyncio.Event()
        self.writable.set()
        self.disconnected = self.close_sent = False
        self.asked: list[str] = []

    async def send(self, message: dict[str, Any]) -> None:
        await self.writable.wait()
        self.asked.append(message["text"])

    def read(self) -> list[str]:
        """What the client makes of the bytes."""
        self.client.receive_data(b"".join(self.transport.written))
        events = self.client.events_received()
        return [event.data.decode() for event in events if isinstance(event, WebSocketFrame)]


def _client_deflate() -> Any:
    from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

    return ClientPerMessageDeflateFactory()


def frame(text: str) -> Frame:
    return Frame(text, "test")


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536, 200_000])
async def test_it_writes_what_a_client_reads(size: int) -> None:
    server = Uvicorn()
    assert Line(server.send).write(frame("ü" + "x" * size))
    assert server.read() == ["ü" + "x" * size]


async def test_it_makes_the_bytes_once_for_all_who_get_them() -> None:
    one, two, shown = Uvicorn(), Uvicorn(), frame("hello")
    assert Line(one.send).write(shown)
    assert Line(two.send).write(shown)
    assert one.transport.written[0] is two.transport.written[0]


async def test_it_hands_over_a_list_of_news_in_few_calls_and_in_order() -> None:
    server = Uvicorn()
    outbox = Outbox(server.send, Line(server.send), 1000, lambda: None)
    news = [frame(f"{n} " + "x" * 400) for n in range(200)]
    outbox.put_all(Bundle(news))
    assert len(server.transport.written) <= 4
    outbox.put_all(Bundle())
    assert server.read() == [shown.text for shown in news]


async def test_it_lets_a_list_of_news_wait_within_the_cap_where_nobody_reads() -> None:
    server, overflowed = Uvicorn(), list[bool]()
    outbox = Outbox(server.send, Line(server.send), 1000, lambda: overflowed.append(True))
    server.writable.clear()
    outbox.put_all(Bundle([frame("a"), frame("b")]))
    assert server.transport.written == []
    outbox.put_all(Bundle([frame("x" * 400)] * 3))
    assert (overflowed, outbox.waiting_bytes) == ([True], 0)


async def test_it_declines_where_the_connection_is_not_simply_open() -> None:
    compressed, full, closing, closed = Uvicorn(deflate=True), Uvicorn(), Uvicorn(), Uvicorn()
    full.writable.clear()
    closing.transport.closing = True
    closed.conn.send_close(1000)
    for server in (compressed, full, closing, closed):
        assert not Line(server.send).write(frame("hello"))
        assert server.transport.written == []
    for name in ("disconnected", "close_sent"):
        server = Uvicorn()
        setattr(server, name, True)
        assert not Line(server.send).write(frame("hello"))


async def test_it_keeps_the_order_between_the_short_way_and_the_other() -> None:
    server = Uvicorn()
    outbox = Outbox(server.send, Line(server.send), 1000, lambda: None)
    outbox.put(frame("a"))
    server.writable.clear()
    outbox.put(frame("b"))
    outbox.put(frame("c"))
    assert (server.read(), server.asked) == (["a"], [])
    server.writable.set()
    async with asyncio.timeout(20):
        while len(server.asked) < 2:
            await asyncio.sleep(0)
    assert server.asked == ["b", "c"]
    server.transport.written.clear()
    await asyncio.sleep(0)
    outbox.put(frame("d"))
    assert server.read() == ["d"]
    outbox.close()
