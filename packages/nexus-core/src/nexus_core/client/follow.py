"""Following one run to its end, by the link or by server-sent events: each chunk once, in order.

Whatever rings (a frame, a new link, a quiet half minute), the stored log decides: a chunk is given only
if its seq follows the last one, and a hole is filled from the log. Only a terminal chunk ends a run.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator

import orjson

from .calls import AGAIN, Calls, error_of
from .clock import full_jitter, within
from .errors import ProtocolMismatch, TooManyRequests, Unreachable
from .feed import Mailbox, Piece
from .sse import EventReader
from .transport import Answer, Lost, NotSent, Stream
from .types import Run
from .view import AnyChunk, is_terminal, read_chunk

SILENCE_SECONDS = 30.0
"""The server sends a comment every 15 s; two missing ones are a dead link."""
LOOK_SECONDS = 30.0
"""After so long without a word the log is asked, so that a lost doorbell costs seconds and not the stream."""
PAGE = 500

Numbered = tuple[int, AnyChunk]


async def read_log(calls: Calls, run_id: str, after: int) -> AsyncGenerator[Numbered, None]:
    """What is stored with a seq > `after`, page by page."""
    while True:
        wire = await calls.json("GET", f"/api/runs/{run_id}/chunks", params={"after": after, "limit": PAGE})
        items = wire["items"]
        for item in items:
            if item["seq"] != after + 1:
                raise ProtocolMismatch(
                    f"The log of run {run_id} goes from {after} to {item['seq']}; it should have no hole."
                )
            after = item["seq"]
            yield after, read_chunk(item["chunk"])
        if not items or wire.get("nextCursor") is None:
            return


async def get_run(calls: Calls, run_id: str) -> Run:
    return await calls.one(Run, "GET", f"/api/runs/{run_id}")


async def by_mailbox(
    calls: Calls, mailbox: Mailbox, run_id: str, after: int
) -> AsyncGenerator[Numbered, None]:
    """From what the link brings. Ends without a terminal chunk only where the caller asked from behind it.

    Raises whatever fails the mailbox.
    """
    while True:
        while (one := mailbox.take()) is not None:
            if not isinstance(one, Piece) or one.seq <= after:
                continue
            if one.seq != after + 1:
                mailbox.look = True
                break
            after = one.seq
            yield after, one.chunk
            if is_terminal(one.chunk):
                return
        if mailbox.fault is not None:
            raise mailbox.fault
        if mailbox.look or mailbox.dropped:
            # From here on it collects again; what it has is behind what the log says.
            mailbox.dropped = mailbox.look = False
            try:
                async for seq, chunk in read_log(calls, run_id, after):
                    after = seq
                    yield seq, chunk
                    if is_terminal(chunk):
                        return
                run = await get_run(calls, run_id)
            except Unreachable:  # the server is away for long: whoever follows decides how long to wait
                mailbox.look = True
                await calls.clock.sleep(full_jitter(calls.clock, 1))
                continue
            if run.ended and run.last_seq <= after:
                return
            continue
        if len(mailbox):
            continue
        mailbox.rung.clear()
        try:
            await within(calls.clock, LOOK_SECONDS, _rung(mailbox))
        except TimeoutError:
            mailbox.look = True


async def _rung(mailbox: Mailbox) -> None:
    await mailbox.rung.wait()


async def by_events(calls: Calls, run_id: str, after: int) -> AsyncGenerator[Numbered, None]:
    """From `GET /api/runs/{id}/stream`, opened again after the last seq whenever it ends or falls silent."""
    failures = 0
    while True:
        before = after
        try:
            headers = {**calls.headers, "Accept": "text/event-stream"}
            if after:
                headers["Last-Event-ID"] = str(after)
            async with calls.transport.stream(
                f"/api/runs/{run_id}/stream?after={after}", headers=headers
            ) as stream:
                await _admitted(stream)
                async for seq, chunk in _events(calls, stream):
                    if seq <= after:
                        continue
                    if seq != after + 1:
                        break  # a hole: open it again from where we are
                    after = seq
                    yield seq, chunk
                    if is_terminal(chunk):
                        return
            if after == before:
                run = await get_run(calls, run_id)
                if run.ended and run.last_seq <= after:
                    return
        except TooManyRequests as fault:
            await calls.clock.sleep(fault.retry_after or 1.0)
        except (NotSent, Lost, TimeoutError, Unreachable, _ComeBack):
            pass
        failures = 0 if after > before else failures + 1
        await calls.clock.sleep(full_jitter(calls.clock, failures))


class _ComeBack(Exception):
    """The proxy says that the server is not there."""


async def _admitted(stream: Stream) -> None:
    if stream.status in AGAIN:
        raise _ComeBack
    if stream.status >= 400:
        body = b"".join([piece async for piece in stream.pieces()])
        raise error_of(Answer(stream.status, stream.headers, body))
    if not stream.headers.get("content-type", "").startswith("text/event-stream"):
        raise ProtocolMismatch(
            "The server did not answer with events. Is this the address of a Nexus server?"
        )


async def _events(calls: Calls, stream: Stream) -> AsyncIterator[Numbered]:
    reader = EventReader()
    pieces = aiter(stream.pieces())
    while True:
        try:
            piece: bytes = await within(calls.clock, SILENCE_SECONDS, anext(pieces))  # type: ignore[arg-type]
        except StopAsyncIteration:
            return
        for event in reader.feed(piece):
            yield int(event.id), read_chunk(orjson.loads(event.data))
