"""A viewer that stops reading: what the others notice, what the server keeps for it, how it is dropped."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

from .fanout import closed, opened, passed
from .marks import Faults, read
from .nexus_peer import NexusLine, NexusPeer
from .peers import Line
from .processes import send_queue
from .results import Results
from .scenarios import FIRST_US, PACE_US, Streams
from .stats import median, percentile

BUFFER_BYTES = 4096
"""What the system keeps for a reader that sleeps, so that the server notices soon."""
ROOMS, READERS, SLEEPERS = 8, 5, 20
"""In the memory part: conversations (an answer is the next one's history), those who read, those who do not."""
CHUNKS = 5000
BEYOND_BYTES = int(1.2 * 2**20)
"""More than an outbox takes by default (1 MiB) and than lies between it and the system."""
MOST_BYTES = 48 * 2**20
DROP_SECONDS = 8.0


async def asleep(peer: NexusPeer, results: Results, *, viewers: int, rounds: int, people: int) -> None:
    """First one of `viewers` sleeps: the others' p99 with it against without.

    Then many do at once: one sleeper's memory would be lost in what a server's memory does
    anyway. The figure is per sleeper, above what the same traffic took with all awake.
    """
    results.once(peer.name, *await _others(peer, viewers, rounds, people))
    results.once(peer.name, *await _memory(peer, people))


async def _others(peer: NexusPeer, viewers: int, rounds: int, people: int) -> tuple[dict[str, float], Faults]:
    streams = Streams()
    lines = await opened(peer, viewers, people, streams)
    sleeper = _nexus(lines[-1])
    faults, ratios = Faults(), []
    for n in range(rounds):
        print(f"one of {viewers} stops reading, {n + 1}/{rounds}", flush=True)
        all_awake, some = await _late(lines, streams)
        sleeper.clear()
        sleeper.socket.pause(BUFFER_BYTES)
        with_sleeper, more = await _late(lines[:-1], streams)
        sleeper.socket.resume()
        await sleeper.ended(30)
        faults += some + more
        ratios.append(with_sleeper / all_awake)
    await closed(lines)
    return {"asleep_p99": median(ratios)}, faults


async def _memory(peer: NexusPeer, people: int) -> tuple[dict[str, float], Faults]:
    streams = Streams()
    askers = [_nexus(await peer.line(n % people)) for n in range(ROOMS)]
    for line in askers:
        await line.open_conversation(streams.order(3))
    lines = [_nexus(await peer.line(n % people)) for n in range(READERS + SLEEPERS)]
    for asker in askers:
        await asyncio.gather(*(line.watch(asker) for line in lines))
    readers, sleepers = lines[:READERS], lines[READERS:]
    faults, peak = Faults(), 0
    for asker in (*askers, *askers):
        faults += (await passed([asker, *lines], streams.order(CHUNKS)))[1]
        peak = max(peak, peer.process.memory())
    for line in sleepers:
        line.clear()
        line.socket.pause(BUFFER_BYTES)
    sent = beyond = grown = queue = turn = 0
    # First the system's own buffers fill, then those of the server: only these count.
    while beyond < BEYOND_BYTES and sent < MOST_BYTES:
        faults += (await passed([askers[turn % ROOMS], *readers], streams.order(CHUNKS)))[1]
        turn += 1
        wire = readers[0].socket.wire_bytes
        held = sum(send_queue(peer.port, line.socket.port) for line in sleepers)
        beyond = beyond + wire if held == queue else 0
        sent, queue = sent + wire, held
        grown = max(grown, peer.process.memory() - peak)
    for line in sleepers:
        line.socket.resume()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(DROP_SECONDS):
            await asyncio.gather(*(line.socket.closed for line in sleepers))
    codes = [line.socket.close_code or 0 for line in sleepers]
    await closed([*askers, *readers])
    dropped = sum(line.socket.closed.done() for line in sleepers)
    if dropped < len(sleepers):
        raise RuntimeError(f"{len(sleepers) - dropped} viewers that read nothing were not dropped")
    values = {"asleep_grown_mib": grown / 2**20 / len(sleepers), "asleep_code": float(median(codes))}
    return values, faults


def _nexus(line: Line) -> NexusLine:
    assert isinstance(line, NexusLine)
    return line


async def _late(lines: Sequence[Line], streams: Streams) -> tuple[float, Faults]:
    order = streams.order(100, PACE_US, FIRST_US)
    pieces, faults = await passed(lines, order)
    delays = [delay for own in pieces for delay in read(order.stream, order.chunks, own).delays_us]
    return percentile(delays, 0.99), faults
