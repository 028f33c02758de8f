"""The raw broadcast: `python -m benchmarks.broadcast`, `websockets.broadcast` and nothing else.

What one process can bring to many sockets at all. A socket joins by connecting; a message
with an order (see provider.py) is answered, to everyone, with that many frames of the size
of Nexus' own. It prints its port and ends when its standard input closes.
"""

from __future__ import annotations

import asyncio
import sys

import orjson
from websockets.asyncio.server import ServerConnection, broadcast, serve

from .marks import mark, now_us
from .provider import Order, order_of

FRAME = {
    "type": "chunk",
    "runId": "00000000-0000-4000-8000-000000000000",
    "conversationId": "00000000-0000-4000-8000-000000000000",
    "seq": 1000,
    "chunk": {"type": "content", "data": "%s", "timestamp": 1700000000000},
}

connections: set[ServerConnection] = set()
jobs: set[asyncio.Task[None]] = set()


async def send(order: Order) -> None:
    before, after = orjson.dumps(FRAME).decode().split("%s")
    loop = asyncio.get_running_loop()
    due = loop.time()
    for number in range(order.chunks):
        broadcast(connections, before + mark(order.stream, number, now_us()) + after)
        due += order.delay_us / 1e6
        await asyncio.sleep(max(0.0, due - loop.time()))
    broadcast(connections, '{"type":"end"}')


async def one(connection: ServerConnection) -> None:
    connections.add(connection)
    try:
        async for message in connection:
            order = order_of(str(message))
            if order is not None:
                job = asyncio.create_task(send(order))
                jobs.add(job)
                job.add_done_callback(jobs.discard)
    finally:
        connections.discard(connection)


async def main() -> None:
    async with serve(one, "127.0.0.1", 0, compression=None, ping_interval=None) as server:
        print(next(iter(server.sockets)).getsockname()[1], flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    import uvloop

    uvloop.run(main())
