"""A viewer on another web process than the asker: how late pieces come when every process is another one."""

from __future__ import annotations

from .fanout import closed
from .marks import Faults, read
from .nexus_peer import Scaled
from .results import Results
from .scenarios import FIRST_US, PACE_US, Streams
from .stats import percentile
from .targets import SCALED


async def crossing(scaled: Scaled, results: Results, *, rounds: int, chunks: int) -> None:
    """One paced stream at a time: asked on the first web process, executed by a worker, watched on the second."""
    streams = Streams()
    asker = await scaled.web[0].line(0)
    viewer = await scaled.web[1].line(1)
    await asker.open_conversation(streams.order(3))
    await viewer.watch(asker)
    for n in range(rounds):
        print(f"viewer on another process, round {n + 1}/{rounds}", flush=True)
        order = streams.order(chunks, PACE_US, FIRST_US)
        for line in (asker, viewer):
            line.clear()
        await asker.ask(order)
        faults, delays = Faults(), {}
        for name, line in (("asker", asker), ("viewer", viewer)):
            await line.ended(60)
            reading = read(order.stream, order.chunks, line.pieces())
            faults += reading.faults
            delays[name] = [delay / 1000 for delay in reading.delays_us]
        values = {
            "crossing_p50_ms": percentile(delays["viewer"], 0.5),
            "crossing_p99_ms": percentile(delays["viewer"], 0.99),
            "crossing_asker_p50_ms": percentile(delays["asker"], 0.5),
        }
        results.add(SCALED, values, faults)
    await closed([asker, viewer])
