"""HTTP clients, built once per event loop, provider, key and address, and shared.

A host makes a `Provider` per run as it likes: those with the same key and address
on the same loop share one client and its pooled connections. Building one imports
its SDK (a second or two), so it happens in a thread, not on the loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, Protocol
from weakref import WeakKeyDictionary, WeakSet

IDLE_CLIENTS = 64
"""More clients than this on one loop, and those that no provider holds any more are closed."""


class Client(Protocol):
    async def close(self) -> None: ...


@dataclass(slots=True)
class _Entry:
    building: asyncio.Task[Any]
    users: WeakSet[Any] = field(default_factory=WeakSet)

    def built(self) -> bool:
        return self.building.done() and not self.building.cancelled() and self.building.exception() is None


class _LoopClients:
    """The clients of one event loop."""

    def __init__(self) -> None:
        self.entries: dict[Hashable, _Entry] = {}
        self._closer = self._close_at_shutdown()

    async def arm(self) -> None:
        await anext(self._closer)

    async def _close_at_shutdown(self) -> AsyncGenerator[None, None]:
        # `asyncio.run` closes the generators that are still open on its loop: with this one
        # open a script needs no line of its own to close connections.
        try:
            yield
        finally:
            for ident in list(self.entries):
                await self.close(ident)

    async def close(self, ident: Hashable) -> None:
        entry = self.entries.pop(ident, None)
        if entry is not None and entry.built():
            await entry.building.result().close()

    async def close_idle(self) -> None:
        if len(self.entries) >= IDLE_CLIENTS:
            for ident in [i for i, e in self.entries.items() if not e.users and e.building.done()]:
                await self.close(ident)


_loops: WeakKeyDictionary[asyncio.AbstractEventLoop, _LoopClients] = WeakKeyDictionary()


async def shared(owner: object, ident: Hashable, build: Callable[[], Client]) -> Any:
    """The client named `ident` on the running loop, built in a thread if there is none; `owner` uses it."""
    loop = asyncio.get_running_loop()
    here = _loops.get(loop)
    if here is None:
        for gone in [other for other in _loops if other.is_closed()]:
            del _loops[gone]
        here = _loops[loop] = _LoopClients()
        await here.arm()
    entry = here.entries.get(ident)
    if entry is None or (
        entry.building.done() and (entry.building.cancelled() or entry.building.exception())
    ):
        await here.close_idle()
        entry = here.entries[ident] = _Entry(
            loop.create_task(asyncio.to_thread(build), name="provider-client")
        )
    entry.users.add(owner)
    if entry.building.done():
        return entry.building.result()
    return await asyncio.shield(entry.building)


async def release(owner: object) -> None:
    """`owner` is done: clients that it alone used on the running loop are closed."""
    here = _loops.get(asyncio.get_running_loop())
    if here is None:
        return
    for ident, entry in list(here.entries.items()):
        if owner in entry.users:
            entry.users.discard(owner)
            if not entry.users:
                await here.close(ident)


async def close_all() -> None:
    """Closes every client of the running loop; for a host that shuts down."""
    here = _loops.pop(asyncio.get_running_loop(), None)
    if here is not None:
        closing: list[Awaitable[None]] = [here.close(ident) for ident in list(here.entries)]
        await asyncio.gather(*closing)
