"""A TCP proxy that can cut, swallow, delay and refuse: what stands between the product and its stores."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Literal

Mode = Literal["pass", "black_hole", "refuse"]
PIECE = 64 * 1024


class FaultProxy:
    """Listens on a port of its own and forwards to `target`; `async with` starts and ends it.

    Attributes:
        delay: seconds that every piece waits, each way.
        arrivals: when each connection came (monotonic).
    """

    def __init__(self, target: tuple[str, int]) -> None:
        self.target = target
        self.delay = 0.0
        self.arrivals: list[float] = []
        self._mode: Mode = "pass"
        self._open = asyncio.Event()
        self._open.set()
        self._server: asyncio.Server | None = None
        self._links: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    @property
    def port(self) -> int:
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    async def __aenter__(self) -> FaultProxy:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0, backlog=512)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self._open.set()
        self.cut()
        await asyncio.gather(*self._links, return_exceptions=True)

    def become(self, mode: Mode) -> None:
        """`black_hole`: nothing goes either way and nothing is closed. `refuse`: new connections are closed at once."""
        self._mode = mode
        if mode == "black_hole":
            self._open.clear()
        else:
            self._open.set()

    def cut(self) -> None:
        """Breaks every connection that is open now, by RST."""
        for link, writer in list(self._links.items()):
            writer.transport.abort()
            link.cancel()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.arrivals.append(time.monotonic())
        if self._mode == "refuse":
            writer.transport.abort()
            return
        self._links[task] = writer
        far: asyncio.StreamWriter | None = None
        try:
            await self._open.wait()
            far_reader, far = await asyncio.open_connection(*self.target)
            await asyncio.gather(self._carry(reader, far), self._carry(far_reader, writer))
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self._links.pop(task, None)
            for end in (writer, far):
                if end is not None:
                    with contextlib.suppress(OSError):
                        end.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(PIECE):
            if self.delay:
                await asyncio.sleep(self.delay)
            await self._open.wait()
            writer.write(data)
            await writer.drain()
        with contextlib.suppress(OSError):
            if writer.can_write_eof():
                writer.write_eof()
