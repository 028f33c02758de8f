"""Readers over HTTP: server-sent events that resume by `Last-Event-ID`, and pages asked for again and again."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import aiohttp
import orjson

from .doors import Door
from .drawing import Drawing
from .socket import Started

QUIET_SECONDS = 25.0
"""The server sends a comment every 15 s: a longer silence is a dead line."""
FAULTS = (aiohttp.ClientError, OSError, TimeoutError)


class EventReader:
    """Reads a run as server-sent events until its terminal chunk."""

    def __init__(self, name: str, door: Door, run: Started, session: aiohttp.ClientSession) -> None:
        self.name, self._door, self._run, self._session = name, door, run, session
        self.drawing = Drawing(name, run.run_id)
        self.ended = asyncio.Event()
        self.connects = 0

    async def watch(self) -> None:
        tries = 0
        while not self.drawing.ended:
            before = self.drawing.last
            with contextlib.suppress(*FAULTS):
                await self._one_life()
            tries = 0 if self.drawing.last > before else tries + 1
            await self._door.pause(tries)
        self.ended.set()

    async def _one_life(self) -> None:
        url = f"http://127.0.0.1:{await self._door.port()}/api/runs/{self._run.run_id}/stream"
        headers = {**self._door.headers, "Accept": "text/event-stream"}
        if self.drawing.last:
            headers["Last-Event-ID"] = str(self.drawing.last)
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=QUIET_SECONDS)
        async with self._session.get(url, headers=headers, timeout=timeout) as response:
            if response.status != 200:
                raise aiohttp.ClientError(f"status {response.status}")
            self.connects += 1
            seq = 0
            async for line in response.content:
                if line.startswith(b"id: "):
                    seq = int(line[4:])
                elif line.startswith(b"data: "):
                    self.drawing.apply(seq, orjson.loads(line[6:]))
                    if self.drawing.ended:
                        return


class Poller:
    """Asks for the next page of chunks until the terminal one."""

    def __init__(self, name: str, door: Door, run: Started, session: aiohttp.ClientSession) -> None:
        self.name, self._door, self._run, self._session = name, door, run, session
        self.drawing = Drawing(name, run.run_id)
        self.ended = asyncio.Event()

    async def watch(self) -> None:
        tries = 0
        while not self.drawing.ended:
            try:
                await self._page()
                tries = 0
            except FAULTS:
                tries += 1
            await self._door.pause(tries + 1)
        self.ended.set()

    async def _page(self) -> None:
        port = await self._door.port()
        url = f"http://127.0.0.1:{port}/api/runs/{self._run.run_id}/chunks?after={self.drawing.last}"
        timeout = aiohttp.ClientTimeout(total=15)
        async with self._session.get(url, headers=self._door.headers, timeout=timeout) as response:
            if response.status != 200:
                raise aiohttp.ClientError(f"status {response.status}")
            body = await response.json(loads=orjson.loads)
        for item in body["items"]:
            if not self.drawing.apply(item["seq"], item["chunk"]):
                self.drawing.breaches.append(f"a page had a hole before seq {item['seq']}")


async def invoke(
    door: Door, session: aiohttp.ClientSession, *, agent: str, text: str, client_id: str
) -> tuple[Started, int]:
    """Asks in the background until somebody accepts, always with the same id; and how many sendings it took."""
    body: dict[str, Any] = {"agentId": agent, "message": text, "background": True, "clientId": client_id}
    tries = 0
    while True:
        url = f"http://127.0.0.1:{await door.port()}/api/invoke"
        try:
            timeout = aiohttp.ClientTimeout(total=15)
            async with session.post(url, json=body, headers=door.headers, timeout=timeout) as response:
                told = await response.json(loads=orjson.loads)
                if response.status == 202:
                    return Started(told["runId"], told["conversationId"]), tries + 1
        except (*FAULTS, orjson.JSONDecodeError):
            pass
        tries += 1
        await door.pause(tries)
