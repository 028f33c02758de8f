"""The recorder: numbers the chunks of one run, coalesces its text, and has them stored.

The first piece of text goes at once, then pieces close at the ticks of a window
shared by all runs of the process (33 ms by default), so that one commit serves them
all. A change of kind or section closes the piece at once; tool calls and metadata
never wait. A seq is given when a piece closes, and never again.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from uuid import UUID

import orjson

from nexus_core.chunks import (
    JSON,
    Chunk,
    ContentChunk,
    ErrorChunk,
    MetadataChunk,
    ReasoningChunk,
    ToolCallChunk,
    to_wire,
)
from nexus_core.errors import RunFenced

from .writer import Batch, LogWriter, Row

MOST_UNSTORED = 2000
"""Rows a run may have on the way to the database before its provider is held back."""

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def storable(text: str) -> str:
    """NUL and lone surrogates cannot be stored by PostgreSQL: they become U+FFFD."""
    return _UNSTORABLE.sub("�", text)


def storable_json(value: JSON) -> JSON:
    """The same JSON value with every string storable."""
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, Mapping):
        return {storable(str(key)): storable_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [storable_json(item) for item in value]
    return value


def cleaned(chunk: Chunk) -> Chunk:
    """The chunk as it can be stored; text pieces are cleaned when they close."""
    if isinstance(chunk, ToolCallChunk):
        error = None if chunk.error is None else storable(chunk.error)
        return replace(
            chunk, input=storable_json(chunk.input), result=storable_json(chunk.result), error=error
        )
    if isinstance(chunk, MetadataChunk):
        return replace(chunk, fields=storable_json(chunk.fields))
    if isinstance(chunk, ErrorChunk):
        return replace(chunk, message=storable(chunk.message))
    return chunk


def encode(chunk: Chunk) -> str:
    """The chunk's JSON text."""
    wire = to_wire(chunk)
    try:
        return orjson.dumps(wire).decode()
    except (TypeError, orjson.JSONEncodeError):  # integers beyond 64 bits, floats that are no numbers …
        return json.dumps(wire, ensure_ascii=False, default=str, separators=(",", ":"))


class Ticker:
    """The window of a process: closes the open pieces of all its recorders together."""

    def __init__(self, writer: LogWriter, window: float) -> None:
        self.writer = writer
        self.window = window
        self._dirty: set[Recorder] = set()
        self._handle: asyncio.Handle | None = None

    def mark(self, recorder: Recorder) -> None:
        self._dirty.add(recorder)
        if self._handle is None:
            self._handle = asyncio.get_running_loop().call_later(self.window, self._tick)

    def forget(self, recorder: Recorder) -> None:
        self._dirty.discard(recorder)

    def _tick(self) -> None:
        self._handle = None
        dirty, self._dirty = self._dirty, set()
        batches = [batch for recorder in dirty if (batch := recorder.take()) is not None]
        if batches:
            self.writer.submit(batches)


class Recorder:
    """One run's way into the log. Not thread-safe: it lives on the event loop.

    Attributes:
        log: every closed piece as (seq, chunk), for the fold at the end.
        last_seq: the last seq given.
    """

    def __init__(
        self, ticker: Ticker, *, run_id: UUID, conversation_id: UUID, epoch: int, last_seq: int
    ) -> None:
        self.log: list[tuple[int, Chunk]] = []
        self.last_seq = last_seq
        self._ticker = ticker
        self._run_id, self._conversation_id, self._epoch = run_id, conversation_id, epoch
        self._open: ContentChunk | ReasoningChunk | None = None
        self._pieces: list[str] = []
        self._open_is_first = True
        self._seen: type | None = None
        self._rows: list[Row] = []
        self._oldest = 0
        self._unstored = 0
        self._fault: BaseException | None = None
        self._changed = asyncio.Event()

    async def add(self, chunk: Chunk) -> None:
        """Takes a chunk. Waits only when the database is far behind. Raises `RunFenced`."""
        if self._fault is not None:
            raise self._fault
        if isinstance(chunk, (ContentChunk, ReasoningChunk)):
            if not chunk.text:
                return
            open_ = self._open
            if (
                open_ is not None
                and type(open_) is type(chunk)
                and getattr(open_, "section", None) == getattr(chunk, "section", None)
            ):
                self._pieces.append(chunk.text)
                return
            self._close_piece()
            self._open, self._pieces = chunk, [chunk.text]
            # The first words of each kind are what people wait for.
            if self._seen is not type(chunk) or self._ticker.window <= 0:
                self._seen = type(chunk)
                self._send()
            else:
                self._ticker.mark(self)
        else:
            self._close_piece()
            self._number(cleaned(chunk))
            self._send()
        while self._unstored > MOST_UNSTORED and self._fault is None:
            self._changed.clear()
            await self._changed.wait()

    async def flush(self) -> None:
        """Returns when everything given so far is stored. Raises `RunFenced` or the database's error."""
        self._send()
        while self._unstored and self._fault is None:
            self._changed.clear()
            await self._changed.wait()
        if self._fault is not None:
            raise self._fault

    def beat(self) -> None:
        """Renews the run's heartbeat (with whatever is open)."""
        batch = self.take() or self._batch([])
        self._ticker.writer.submit([batch])

    def take(self) -> Batch | None:
        """Closes the open piece and hands over what is not yet on its way."""
        self._close_piece()
        if not self._rows:
            return None
        rows, self._rows = self._rows, []
        return self._batch(rows)

    @property
    def fault(self) -> BaseException | None:
        return self._fault

    @property
    def fenced(self) -> bool:
        return isinstance(self._fault, RunFenced)

    def _send(self) -> None:
        self._ticker.forget(self)
        batch = self.take()
        if batch is not None:
            self._ticker.writer.submit([batch])

    def _batch(self, rows: list[Row]) -> Batch:
        count = len(rows)
        self._unstored += count

        def done(fault: BaseException | None) -> None:
            self._unstored -= count
            if fault is not None and self._fault is None:
                self._fault = fault
            self._changed.set()

        return Batch(
            self._run_id, self._conversation_id, self._epoch, self.last_seq, rows, done, oldest=self._oldest
        )

    def _close_piece(self) -> None:
        open_ = self._open
        if open_ is None:
            return
        text = storable("".join(self._pieces))
        self._open, self._pieces = None, []
        if isinstance(open_, ContentChunk):
            self._number(ContentChunk(text, open_.section, open_.timestamp))
        else:
            self._number(ReasoningChunk(text, open_.timestamp))

    def _number(self, chunk: Chunk) -> None:
        self.last_seq += 1
        self.log.append((self.last_seq, chunk))
        if not self._rows:
            self._oldest = chunk.timestamp
        self._rows.append(Row(self.last_seq, chunk.type, encode(chunk)))
