"""A client on a clock that the test moves, before a server that the test plays."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from nexus_core.client import NexusClient, RunHandle

from .fakes import FakeClock, FakeServer


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def server() -> FakeServer:
    return FakeServer()


class Reader:
    """Follows a run in a task; `seqs` and `chunks` are what it got, `fault` what ended it."""

    def __init__(self, run: RunHandle, after: int = 0) -> None:
        self.run, self.after = run, after
        self.seqs: list[int] = []
        self.chunks: list[Any] = []
        self.ended = False
        self.fault: Exception | None = None
        self.hold = asyncio.Event()
        self.hold.set()
        self.task = asyncio.create_task(self._read())

    async def _read(self) -> None:
        try:
            async for seq, chunk in self.run.follow(self.after):
                self.seqs.append(seq)
                self.chunks.append(chunk)
                await self.hold.wait()
        except Exception as fault:
            self.fault = fault
        self.ended = True


class Bench:
    def __init__(self, server: FakeServer, clock: FakeClock) -> None:
        self.server, self.clock = server, clock
        self.opened: list[NexusClient] = []
        self.readers: list[Reader] = []

    def client(self, **how: Any) -> NexusClient:
        made = NexusClient("http://nexus", "nxs_x", clock=self.clock, transport=self.server, **how)
        self.opened.append(made)
        return made

    async def follow(self, after: int = 0, *, client: NexusClient | None = None, **how: Any) -> Reader:
        client = client or self.client(**how)
        run = await client.start(agent_id="a", input="hi")
        reader = Reader(run, after)
        self.readers.append(reader)
        await self.clock.settle()
        return reader


@pytest.fixture
async def bench(server: FakeServer, clock: FakeClock) -> AsyncIterator[Bench]:
    made = Bench(server, clock)
    yield made
    for reader in made.readers:
        reader.task.cancel()
    await asyncio.gather(*(reader.task for reader in made.readers), return_exceptions=True)
    for client in made.opened:
        await client.close()
