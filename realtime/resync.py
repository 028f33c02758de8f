"""After a break between the processes: every socket is told to read again what it shows.

Chunks need no such word, their gaps are found in the log. Everything else (messages, the
state of runs, lists, drafts) is told once; what another process told while Redis was
away is heard by nobody here. The database has it, and who comes back to a conversation
gets all of it: `resync` asks for just that, without a new connection.
"""

from __future__ import annotations

import asyncio
import logging
import random

from .frames import make_frame
from .hub import hub
from .sockets import open_sockets

log = logging.getLogger(__name__)

SETTLE_SECONDS = 2.0
"""Processes find Redis again one after the other, and each says so: one word is enough for all of them."""
SOCKETS_A_SECOND = 100
MOST_SECONDS = 5.0


class Resync:
    """One per process and loop, from the first socket on."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self._missed = False
        self._task: asyncio.Task[None] | None = None
        hub().on_missed(self._wanted)

    def _wanted(self) -> None:
        self._missed = True
        if self._task is None or self._task.done():
            self._task = self.loop.create_task(self._run(), name="resync")

    async def _run(self) -> None:
        while self._missed:
            await asyncio.sleep(SETTLE_SECONDS)
            self._missed = False
            sockets = open_sockets()
            random.shuffle(sockets)
            log.info("%s sockets are told to read again", len(sockets))
            pause = 1 / max(SOCKETS_A_SECOND, len(sockets) / MOST_SECONDS)
            heard = True
            for socket in sockets:
                for room in socket.rooms() if heard else ():
                    # What is told after its reading must arrive. Redis is gone again? Its return calls for this again.
                    heard = heard and await hub().ready(room)
                socket.send(make_frame("resync"))
                await asyncio.sleep(pause)

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)


_resync: Resync | None = None


def start_resync() -> None:
    """With the first socket of this process and loop; with the next ones nothing."""
    global _resync
    if _resync is None or _resync.loop is not asyncio.get_running_loop():
        _resync = Resync()


async def close_resync() -> None:
    global _resync
    if _resync is not None and _resync.loop is asyncio.get_running_loop():
        await _resync.close()
        _resync = None
