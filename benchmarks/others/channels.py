"""Stock Channels as a peer: on uvicorn, with the quickest of its channel layers (Redis pub/sub)."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import orjson

from scripts.services.redis import start_redis

from ..marks import Piece
from ..peers import UVICORN, RelayLine, answers
from ..processes import Process, free_port, python, running
from ..targets import CHANNELS
from ..wsclient import Socket


class ChannelsLine(RelayLine):
    """The frames are the bare relay's but for the name of a token."""

    async def ended(self, seconds: float) -> None:
        await self.socket.wait_for(b'"type": "end"', seconds=seconds)

    def pieces(self) -> list[Piece]:
        frames = [(orjson.loads(frame.payload), frame.at_us) for frame in self.socket.frames]
        return [Piece(wire["text"], at_us) for wire, at_us in frames if wire.get("type") == "token"]


class ChannelsPeer:
    name = CHANNELS
    shares = True

    def __init__(self, process: Process, port: int) -> None:
        self.process, self._port, self._lines = process, port, 0

    async def line(self, person: int) -> ChannelsLine:
        self._lines += 1
        room = f"room{self._lines}"
        return ChannelsLine(await Socket.open(self._port, "/"), room)


@contextlib.contextmanager
def channels(folder: Path, core: set[int], provider_url: str) -> Iterator[ChannelsPeer]:
    """Raises `ServiceMissing` where no Redis can be had."""
    named = os.environ.pop("REDIS_URL", None)
    try:
        redis = start_redis()
    finally:
        if named is not None:
            os.environ["REDIS_URL"] = named
    port = free_port()
    command = python("-m", "uvicorn", "benchmarks.others.channels_app:application", "--port", str(port))
    try:
        with running(
            "channels",
            [*command, "--no-access-log", *UVICORN],
            folder=folder,
            core=core,
            environment={"BENCH_PROVIDER": f"{provider_url}/v1", "BENCH_REDIS": redis.value},
            answers=lambda: answers(port, "/"),
        ) as process:
            yield ChannelsPeer(process, port)
    finally:
        redis.stop()
