"""The bare relay: an ASGI application with nothing in it but provider → socket.

The reference that every figure is compared with: no session, no rights, no database,
one frame per piece. A socket's first frame `{"room", "prompt"}` starts a stream
(without a prompt it only watches, with `leave` it stops); every socket of the room gets each piece.
`BENCH_PROVIDER` is the provider's base address.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import orjson

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

_rooms: dict[str, set[Send]] = {}
_session: aiohttp.ClientSession | None = None


def _client() -> aiohttp.ClientSession:
    global _session
    if _session is None:
        _session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
    return _session


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await _socket(receive, send)
        return
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})
        return
    while True:  # lifespan
        message = await receive()
        if message["type"] == "lifespan.shutdown" and _session is not None:
            await _session.close()
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return


async def _socket(receive: Receive, send: Send) -> None:
    joined: set[str] = set()
    try:
        while True:
            message = await receive()
            if message["type"] == "websocket.connect":
                await send({"type": "websocket.accept"})
            elif message["type"] == "websocket.disconnect":
                return
            else:
                asked = orjson.loads(message["text"])
                if asked.get("leave"):
                    _rooms[asked["room"]].discard(send)
                    await send({"type": "websocket.send", "text": '{"left":true}'})
                    continue
                joined.add(asked["room"])
                _rooms.setdefault(asked["room"], set()).add(send)
                await send({"type": "websocket.send", "text": '{"joined":true}'})
                if asked.get("prompt"):
                    await _relay(asked["room"], asked["prompt"])
    finally:
        for room in joined:
            _rooms[room].discard(send)


async def _relay(room: str, prompt: str) -> None:
    body = orjson.dumps(
        {
            "model": "bench",
            "stream": True,
            "messages": [{"role": "user", "content": prompt}],
            "max_tokens": 4096,
        }
    )
    url = os.environ["BENCH_PROVIDER"] + "/chat/completions"
    async with _client().post(url, data=body, headers={"Content-Type": "application/json"}) as answer:
        rest, seq = b"", 0
        async for data in answer.content.iter_any():
            *events, rest = (rest + data).split(b"\n\n")
            for event in events:
                if event == b"data: [DONE]":
                    continue
                choices = orjson.loads(event[6:])["choices"]
                if choices and (text := choices[0]["delta"].get("content")):
                    seq += 1
                    frame = orjson.dumps({"type": "chunk", "seq": seq, "text": text}).decode()
                    for send in tuple(_rooms[room]):
                        await send({"type": "websocket.send", "text": frame})
    for send in tuple(_rooms[room]):
        await send({"type": "websocket.send", "text": '{"type":"end"}'})
