"""Reads a provider's events in a task of its own.

The consumer is woken by an event, by the end, or by a cancel, whichever comes first,
so Stop does not wait for the provider's next byte. Leaving the pump closes the
provider's generator, and with it the connection.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from types import TracebackType

from .errors import RunCancelled
from .providers.base import ModelEvent, Stop

AHEAD = 256
"""Events read before the consumer took any; then reading pauses, and so does the provider."""
CLOSING_SECONDS = 1.0
"""How long an adapter may take to close its connection."""
ENDING_SECONDS = 0.25
"""How long it may take to end by itself after its `Stop`, so that the connection can be used again."""

_log = logging.getLogger(__name__)


class EventPump:
    """`async with EventPump(events, cancelled) as pump: while events := await pump.take()`."""

    def __init__(self, events: AsyncGenerator[ModelEvent, None], cancelled: asyncio.Event) -> None:
        self._events = events
        self._cancelled = cancelled
        self._buffer: list[ModelEvent] = []
        self._wake: asyncio.Future[None] | None = None
        self._room = asyncio.Event()
        self._error: Exception | None = None
        self._ended = False
        self.started = False
        """Whether the provider was asked at all (a cancel may come before)."""
        self._stopped = False

    async def __aenter__(self) -> EventPump:
        self._reader = asyncio.create_task(self._read(), name="nexus-provider-stream")
        self._watcher = asyncio.create_task(self._cancelled.wait(), name="nexus-cancel-watch")
        self._watcher.add_done_callback(lambda _: self._notify())
        return self

    async def take(self) -> list[ModelEvent]:
        """What has arrived since the last time, at least one event; nothing once the stream has ended.

        Raises what the stream raised, and `RunCancelled` (`unread` has the rest then).
        """
        while True:
            if self._cancelled.is_set():
                raise RunCancelled("Stopped.")
            if self._buffer:
                events, self._buffer = self._buffer, []
                self._room.set()
                return events
            if self._ended:
                if self._error is not None:
                    raise self._error
                return []
            self._wake = asyncio.get_running_loop().create_future()
            await self._wake

    def unread(self) -> list[ModelEvent]:
        """Events that had arrived but were not taken: they left the provider and are paid for."""
        return self._buffer

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._watcher.cancel()
        if not self._reader.done() and kind is None and self._stopped:
            self._room.set()
            await asyncio.wait({self._reader}, timeout=ENDING_SECONDS)
        if not self._reader.done():
            self._reader.cancel()
            await asyncio.wait({self._reader}, timeout=CLOSING_SECONDS)
            if not self._reader.done():
                _log.warning("a provider's stream did not close within %s s", CLOSING_SECONDS)

    async def _read(self) -> None:
        self.started = True
        try:
            async with aclosing(self._events) as events:
                async for event in events:
                    if self._stopped:
                        continue
                    self._stopped = isinstance(event, Stop)
                    self._buffer.append(event)
                    self._notify()
                    while len(self._buffer) >= AHEAD:
                        self._room.clear()
                        await self._room.wait()
        except Exception as error:
            self._error = error
        finally:
            self._ended = True
            self._notify()

    def _notify(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)
