"""The open sockets of this process: whoever looks at all of them, tells them something or closes them finds them here."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from . import instruments
from .close_codes import CLOSE_RESTART

if TYPE_CHECKING:
    from .consumer import NexusConsumer

CLOSE_SECONDS = 2.0
"""A close frame that takes longer is not waited for."""

_sockets: dict[NexusConsumer, None] = {}
instruments.sockets.set_function(lambda: len(_sockets))


def socket_add(socket: NexusConsumer) -> None:
    _sockets[socket] = None


def socket_remove(socket: NexusConsumer) -> None:
    _sockets.pop(socket, None)


def open_sockets() -> list[NexusConsumer]:
    """Those of the running loop, the oldest first."""
    loop = asyncio.get_running_loop()
    return [socket for socket in _sockets if socket.loop is loop]


async def close_sockets(code: int = CLOSE_RESTART) -> None:
    """At the end of a server process: every client is told to come back. Waits until the close frames are out."""
    open_now = open_sockets()
    for socket in open_now:
        socket.close_soon(code)
    closers = [socket.closer for socket in open_now if socket.closer is not None]
    if closers:
        await asyncio.wait(closers, timeout=CLOSE_SECONDS)
