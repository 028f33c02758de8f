"""As much of Engine.IO 4 and Socket.IO 5 as their servers need over a raw socket: open, join, emit, pong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import orjson

from ..wsclient import Socket

SECONDS = 30


async def join(port: int, path: str, auth: Mapping[str, object], headers: Mapping[str, str]) -> Socket:
    """A socket in the default namespace. Raises `Refused`, `TimeoutError`."""
    socket = await Socket.open(port, f"{path}?EIO=4&transport=websocket", headers, seconds=SECONDS)
    socket.answers = {b"2": b"3"}  # Engine.IO's own ping
    await socket.wait_for(b'0{"sid"', seconds=SECONDS)
    socket.send_text(b"40" + orjson.dumps(auth))
    await socket.wait_for(b'40{"sid"', seconds=SECONDS)
    return socket


def emit(socket: Socket, event: str, *values: object) -> None:
    socket.send_text(b"42" + orjson.dumps([event, *values]))


def events(socket: Socket) -> Iterator[tuple[list[object], int]]:
    """Name and values of each event that came, and when."""
    for frame in socket.frames:
        if frame.payload.startswith(b"42"):
            yield orjson.loads(frame.payload[frame.payload.index(b"[") :]), frame.at_us
