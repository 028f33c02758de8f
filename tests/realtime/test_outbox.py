"""The outbox: direct while the network takes everything, in order, bounded when it does not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from realtime.frames import Frame
from realtime.line import Line
from realtime.outbox import Outbox


class Network:
    """A server's `send` that waits while `open` is not set, as uvicorn's does; `gone` raises as for a lost client."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.open = asyncio.Event()
        self.open.set()
        self.gone = False
        self.changed = asyncio.Event()

    async def send(self, message: dict[str, Any]) -> None:
        await self.open.wait()
        if self.gone:
            raise OSError("client is gone")
        self.sent.append(message["text"])
        self.changed.set()

    async def has(self, count: int) -> list[str]:
        async with asyncio.timeout(20):
            while len(self.sent) < count:
                self.changed.clear()
                await self.changed.wait()
        return self.sent


def frame(text: str) -> Frame:
    return Frame(text, "test")


@pytest.fixture
async def network() -> Network:
    return Network()


@pytest.fixture
async def full() -> list[bool]:
    """Gets an entry when the outbox overflows."""
    return []


@pytest.fixture
async def outbox(network: Network, full: list[bool]) -> AsyncIterator[Outbox]:
    made = Outbox(network.send, Line(network.send), 100, lambda: full.append(True))
    yield made
    made.close()


async def test_it_sends_at_once_and_without_a_task(outbox: Outbox, network: Network) -> None:
    tasks = asyncio.all_tasks()
    for n in range(50):
        outbox.put(frame(str(n)))
    assert network.sent == [str(n) for n in range(50)]
    assert asyncio.all_tasks() == tasks
    assert outbox.waiting_bytes == 0


async def test_it_keeps_the_order_over_a_pause_of_the_network(outbox: Outbox, network: Network) -> None:
    for n in range(30):
        if n % 10 == 3:
            network.open.clear()
        outbox.put(frame(str(n)))
        if n % 10 == 7:
            network.open.set()
            await network.has(n + 1)
    assert await network.has(30) == [str(n) for n in range(30)]


async def test_it_goes_the_direct_way_again_after_a_pause(outbox: Outbox, network: Network) -> None:
    network.open.clear()
    outbox.put(frame("a"))
    outbox.put(frame("b"))
    assert outbox.waiting_bytes == 1  # "a" is with the server, which waits
    network.open.set()
    await network.has(2)
    await asyncio.sleep(0)
    outbox.put(frame("c"))
    assert network.sent == ["a", "b", "c"]


async def test_it_overflows_once_and_is_silent_from_then_on(
    outbox: Outbox, network: Network, full: list[bool]
) -> None:
    network.open.clear()
    for _ in range(10):
        outbox.put(frame("x" * 30))
    assert full == [True]
    assert outbox.waiting_bytes == 0
    network.open.set()
    await asyncio.sleep(0)
    assert network.sent == []


async def test_it_ends_quietly_when_the_client_is_gone(
    outbox: Outbox, network: Network, full: list[bool]
) -> None:
    network.gone = True
    outbox.put(frame("a"))
    outbox.put(frame("b"))
    network.gone = False
    outbox.put(frame("c"))
    assert (network.sent, full) == ([], [])


async def test_it_ends_quietly_when_the_client_goes_while_it_waits(outbox: Outbox, network: Network) -> None:
    network.open.clear()
    outbox.put(frame("a"))
    outbox.put(frame("b"))
    await asyncio.sleep(0)
    network.gone = True
    network.open.set()
    async with asyncio.timeout(20):
        while outbox.waiting_bytes:
            await asyncio.sleep(0)
    assert network.sent == []


class Transport:
    """Twisted's, as far as the line uses it."""

    def __init__(self) -> None:
        self.producer: Any = "the HTTP channel"
        self.aborted = False

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        assert self.producer is None
        self.producer = producer

    def unregisterProducer(self) -> None:
        self.producer = None

    def abortConnection(self) -> None:
        self.aborted = True


async def test_it_waits_where_a_server_never_waits_by_itself(network: Network, full: list[bool]) -> None:
    """Daphne: `send` takes everything, the transport says when it is too much."""
    import functools

    class Protocol:
        transport = Transport()

    async def handle_reply(protocol: Protocol, message: dict[str, Any]) -> None:
        await network.send(message)

    class Session:
        real_send = staticmethod(functools.partial(handle_reply, Protocol()))

        async def send(self, message: dict[str, Any]) -> None:
            await self.real_send(message)

    line = Line(Session().send)
    outbox = Outbox(line.send, line, 100, lambda: full.append(True))
    outbox.put(frame("a"))
    Protocol.transport.producer.pauseProducing()
    outbox.put(frame("b"))
    await asyncio.sleep(0)
    assert network.sent == ["a"]
    Protocol.transport.producer.resumeProducing()
    assert await network.has(2) == ["a", "b"]
    Protocol.transport.producer.pauseProducing()
    outbox.put(frame("x" * 101))
    assert full == [True]
    line.cut()
    assert Protocol.transport.aborted
    outbox.close()
    line.close()
    assert Protocol.transport.producer is None
