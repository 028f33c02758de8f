"""The raw clients see what a server sends, whole, in order, and when it came."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import orjson
import pytest
from websockets.asyncio.server import ServerConnection, serve

from benchmarks import fanout
from benchmarks.marks import Faults, read
from benchmarks.others import engineio
from benchmarks.provider import Order
from benchmarks.sseclient import Answer
from benchmarks.wsclient import Socket
from tests.benchmarks.test_benchmarks import CORES


@asynccontextmanager
async def server(handler: Callable[[ServerConnection], Awaitable[None]]) -> AsyncIterator[int]:
    async with serve(handler, "127.0.0.1", 0, compression=None) as running:
        yield next(iter(running.sockets)).getsockname()[1]


async def test_it_cuts_frames_of_every_length_from_the_tape() -> None:
    texts = ["a", "b" * 125, "c" * 126, "d" * 70_000, "end"]

    async def handler(connection: ServerConnection) -> None:
        for text in texts:
            await connection.send(text)
        await connection.wait_closed()

    async with server(handler) as port:
        socket = await Socket.open(port, "/")
        await socket.wait_for(b"end", seconds=60)
        assert [frame.payload.decode() for frame in socket.frames] == texts
        assert socket.wire_bytes > sum(map(len, texts))
        await socket.close()


async def test_it_answers_a_ping_that_lies_behind_text() -> None:
    answered = asyncio.Event()

    async def handler(connection: ServerConnection) -> None:
        await connection.send("text")
        pong = await connection.ping()
        await pong
        answered.set()
        await connection.wait_closed()

    async with server(handler) as port:
        socket = await Socket.open(port, "/")
        async with asyncio.timeout(60):
            await answered.wait()
        await socket.close()


async def test_it_speaks_as_much_engine_io_as_is_needed() -> None:
    heard: list[str] = []
    done = asyncio.Event()

    async def handler(connection: ServerConnection) -> None:
        await connection.send('0{"sid":"a","pingInterval":25000}')
        heard.append(str(await connection.recv()))
        await connection.send('40{"sid":"b"}')
        await connection.send("2")
        heard.extend([str(await connection.recv()), str(await connection.recv())])
        await connection.send('42["told",{"text":"x"}]')
        done.set()
        await connection.wait_closed()

    async with server(handler) as port:
        socket = await engineio.join(port, "/socket.io/", {"token": "t"}, {})
        engineio.emit(socket, "ask", {"n": 1})
        await socket.wait_for(b"told", seconds=60)
        assert [event for event, _ in engineio.events(socket)] == [["told", {"text": "x"}]]
        await socket.close()
    assert heard[0] == '40{"token":"t"}'
    assert sorted(heard[1:]) == ["3", '42["ask",{"n":1}]']


@pytest.mark.parametrize("chunked", [True, False])
async def test_it_reads_events_whole_and_in_pieces(chunked: bool) -> None:
    body = b'data: {"a":1}\n\n: ping\n\ndata: {"a":2}\n\ndata: [DONE]\n\n'

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if chunked:
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            for part in (body[:9], body[9:30], body[30:]):
                writer.write(b"%x\r\n%b\r\n" % (len(part), part))
                await writer.drain()
            writer.write(b"0\r\n\r\n")
        else:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()
        writer.close()

    running = await asyncio.start_server(handler, "127.0.0.1", 0)
    async with running:
        answer = await Answer.open(running.sockets[0].getsockname()[1])
        answer.request("GET", "/", {})
        status, whole = await answer.whole(60)
        assert (status, whole) == (200, body)
        texts = [frame.payload for frame in answer.frames]
        assert texts[-1] == b"[DONE]"
        assert [orjson.loads(text) for text in texts[:-1]] == [{"a": 1}, {"a": 2}]
        await answer.close()


def test_it_brings_a_raw_broadcast_to_everyone(tmp_path: Path) -> None:
    order = Order(5, 40)

    async def measure(peer: fanout.BroadcastPeer) -> Faults:
        lines = [await peer.line(n) for n in range(3)]
        pieces, faults = await fanout.passed(lines, order)
        await fanout.closed(lines)
        assert [len(own) for own in pieces] == [40, 40, 40]
        return faults + read(5, 40, pieces[0]).faults

    with fanout.broadcast(tmp_path, CORES) as peer:
        assert asyncio.run(measure(peer)) == Faults()


def test_it_does_not_start_on_a_word_it_does_not_know() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--stages", "nonsense"],
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )
    assert done.returncode == 2
    assert "unknown: nonsense" in done.stderr


def children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_everything_when_it_is_interrupted(how: signal.Signals) -> None:
    words = ["--quick", "--servers", "none", "--stages", "relay"]
    running = subprocess.Popen(
        [sys.executable, "-m", "benchmarks", *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert running.stdout is not None
    try:
        while line := running.stdout.readline():
            if line.startswith(b"round 1"):
                break
        started = children(running.pid)
        assert len(started) == 2  # the provider and the relay
        running.send_signal(how)
        running.communicate(timeout=100)
        assert running.returncode == 128 + how
        assert [pid for pid in started if Path(f"/proc/{pid}").exists()] == []
    finally:
        running.kill()
        running.wait()
