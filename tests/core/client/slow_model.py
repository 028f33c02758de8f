"""A model on loopback that speaks Ollama's chat and takes its time: the words of an answer are known beforehand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import orjson


def words(count: int) -> list[str]:
    """The pieces of an answer, all different, so that a doubled or lost one shows."""
    return [f"word-{n} " for n in range(count)]


class SlowModel:
    """Answers every chat with `count` words, `pace` seconds apart. While `goes_on` is cleared it stands still after the first few."""

    def __init__(self, count: int = 60, pace: float = 0.02) -> None:
        self.count, self.pace = count, pace
        self.asked = 0
        self.goes_on = asyncio.Event()
        self.goes_on.set()
        self._server: asyncio.Server | None = None

    @property
    def text(self) -> str:
        return "".join(words(self.count))

    @property
    def address(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            length = next(
                (int(line.split(":")[1]) for line in head.split("\r\n") if line.lower().startswith("content-length")),
                0,
            )  # fmt: skip
            await reader.readexactly(length)
            if "/api/chat" not in head.split("\r\n", 1)[0]:
                body = b'{"models": []}'
                writer.write(
                    b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b"
                    % (len(body), body)
                )
                return
            self.asked += 1
            writer.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n"
                b"Connection: close\r\n\r\n"
            )
            for n, word in enumerate(words(self.count)):
                if n == self.count // 8:
                    await self.goes_on.wait()
                self._line(writer, {"message": {"role": "assistant", "content": word}, "done": False})
                await writer.drain()
                await asyncio.sleep(self.pace)
            end = {"message": {"role": "assistant", "content": ""}, "done": True, "done_reason": "stop"}
            self._line(writer, {**end, "prompt_eval_count": 7, "eval_count": self.count})
            writer.write(b"0\r\n\r\n")
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the server under test was killed
        finally:
            writer.close()

    @staticmethod
    def _line(writer: asyncio.StreamWriter, wire: object) -> None:
        data = orjson.dumps(wire) + b"\n"
        writer.write(b"%x\r\n%b\r\n" % (len(data), data))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[SlowModel]:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        try:
            yield self
        finally:
            self._server.close()
