"""A watcher at a socket, as the browser is one: subscribes, draws by seq, asks at a gap, comes back with jitter."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter, deque
from dataclasses import dataclass
from typing import Any

import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from .doors import Door
from .drawing import Drawing

PING_SECONDS = 20.0
DEAD_SECONDS = 30.0
OPEN_SECONDS = 10.0


@dataclass(slots=True)
class Started:
    """What a start was answered with."""

    run_id: str
    conversation_id: str


class SocketWatcher:
    """Watches one run until it is told to leave. With `start` it asks for the run itself first.

    Attributes:
        started: set when the run is known.
        codes: how its sockets were closed, and how often.
        refused: answer of type `error` to the start, if there was one.
    """

    def __init__(
        self, name: str, door: Door, *, start: dict[str, Any] | None = None, run: Started | None = None
    ) -> None:
        self.name, self._door, self._start = name, door, start
        self.started: asyncio.Future[Started] = asyncio.get_running_loop().create_future()
        self.drawing = Drawing(name, run.run_id if run is not None else "")
        self.ended = asyncio.Event()
        self.codes: Counter[int] = Counter()
        self.connects = 0
        self.errors: list[dict[str, Any]] = []
        self._replaying = False
        self._heard_last: deque[str] = deque(maxlen=20)
        if run is not None:
            self.started.set_result(run)

    async def watch(self) -> None:
        tries = 0
        while True:
            began = time.monotonic()
            with contextlib.suppress(OSError, WebSocketException, TimeoutError, EOFError):
                await self._one_life()
            tries = 0 if time.monotonic() - began > 5 else tries + 1
            await self._door.pause(tries)

    def story(self) -> dict[str, Any]:
        """What became of its sockets, for the evidence."""
        return {
            "connects": self.connects,
            "codes": dict(self.codes),
            "errors": self.errors,
            "waits for a replay": self._replaying,
            "last heard": list(self._heard_last),
        }

    async def _one_life(self) -> None:
        uri = f"ws://127.0.0.1:{await self._door.port()}/ws/"
        async with connect(
            uri,
            additional_headers=self._door.headers,
            open_timeout=OPEN_SECONDS,
            ping_interval=None,
            close_timeout=1,
            max_size=None,
            max_queue=None,
        ) as ws:
            self.connects += 1
            self._replaying = False
            pinging = asyncio.create_task(self._ping(ws))
            try:
                while True:
                    async with asyncio.timeout(DEAD_SECONDS):
                        raw = await ws.recv()
                    await self._heard(ws, orjson.loads(raw))
            finally:
                pinging.cancel()
                if ws.close_code is not None:
                    self.codes[ws.close_code] += 1

    async def _ping(self, ws: ClientConnection) -> None:
        with contextlib.suppress(WebSocketException):
            while True:
                await asyncio.sleep(PING_SECONDS)
                await ws.send('{"type":"ping"}')

    async def _heard(self, ws: ClientConnection, frame: dict[str, Any]) -> None:
        kind = frame["type"]
        self._heard_last.append(f"{time.time():.3f} {kind} {frame.get('runId', '')} {frame.get('seq', '')}")
        if kind == "welcome":
            await self._begin(ws)
        elif kind == "run.accepted" and not self.started.done():
            self.drawing.run_id = frame["runId"]
            self.started.set_result(Started(frame["runId"], frame["conversationId"]))
        elif kind == "subscribed":
            await self._subscribed(ws, frame)
        elif kind == "error":
            self.errors.append(frame)
            if frame.get("id") == "start":  # refused for now (a store is away): the same again, later
                await asyncio.sleep(0.5)
                await self._begin(ws)
        elif kind == "chunk" and frame["runId"] == self.drawing.run_id:
            await self._chunk(ws, frame)

    async def _begin(self, ws: ClientConnection) -> None:
        if not self.started.done():
            assert self._start is not None
            await self._send(ws, type="run.start", id="start", **self._start)
            return
        run = self.started.result()
        after = {run.run_id: self.drawing.last}
        await self._send(ws, type="subscribe", id="sub", conversationId=run.conversation_id, after=after)

    async def _subscribed(self, ws: ClientConnection, frame: dict[str, Any]) -> None:
        """A run that the snapshot does not follow for us (it ended long ago) is asked for by name."""
        known = [run["id"] for run in frame["runs"]]
        if self.drawing.run_id not in known:
            self.drawing.breaches.append("the snapshot does not know the run")
        await self._replay(ws)

    async def _chunk(self, ws: ClientConnection, frame: dict[str, Any]) -> None:
        before = self.drawing.last
        if not self.drawing.apply(frame["seq"], frame["chunk"]):
            if not self._replaying:
                await self._replay(ws)
        elif self.drawing.last > before:
            self._replaying = False
        if self.drawing.ended:
            self.ended.set()

    async def _replay(self, ws: ClientConnection) -> None:
        self._replaying = True
        await self._send(ws, type="replay", runId=self.drawing.run_id, after=self.drawing.last)

    async def _send(self, ws: ClientConnection, **frame: Any) -> None:
        await ws.send(orjson.dumps(frame).decode())
