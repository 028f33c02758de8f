"""What PERFORMANCE aims at, as data, and whether it was reached.

A figure is met or missed by the median of its rounds, or by the median of the per-round
ratios to a reference; void when the reference varied by more than a quarter, or when the
text that was measured came out wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from .results import Results
from .stats import is_void, median, ratio

RELAY, BROADCAST = "bare relay", "raw broadcast"
UVICORN, DAPHNE, WINDOW_0 = "Nexus on uvicorn", "Nexus on Daphne", "Nexus, window 0"
SCALED = "Nexus scaled"
CHAINLIT, LITELLM, OPEN_WEBUI, CHANNELS = "Chainlit", "LiteLLM", "Open WebUI", "stock Channels"
OURS = (UVICORN, DAPHNE, WINDOW_0, SCALED)
State = Literal["met", "missed", "void", "not measured"]


@dataclass(frozen=True, slots=True)
class Target:
    """`at_most` or `at_least`, of the value, or of the ratio to `against`."""

    figure: str
    title: str
    at_most: float | None = None
    at_least: float | None = None
    against: str | None = None
    unit: str = ""
    of: str = UVICORN

    def limit(self) -> str:
        sign, value = ("≤", self.at_most) if self.at_most is not None else ("≥", self.at_least)
        return f"{sign} {value:g} {f'x {self.against}' if self.against else self.unit}".rstrip()


def _peers(figure: str, title: str, **limits: float) -> list[Target]:
    """The same figure against several peers: `chainlit=0.5`; at least where above one."""
    named = {"chainlit": CHAINLIT, "litellm": LITELLM, "open_webui": OPEN_WEBUI, "channels": CHANNELS}
    out = []
    for name, value in limits.items():
        if value < 1:
            out.append(Target(figure, title, at_most=value, against=named[name]))
        else:
            out.append(Target(figure, title, at_least=value, against=named[name]))
    return out


TARGETS: tuple[Target, ...] = (
    Target("ttft_p50_ms", "added time to first token, p50", at_most=4, unit="ms"),
    *_peers("ttft_p50_ms", "added time to first token, p50", chainlit=0.5, litellm=0.2, open_webui=0.1),
    Target("full_1_per_s", "one stream at full speed", at_least=0.8, against=RELAY),
    *_peers("full_1_per_s", "one stream at full speed", chainlit=20, litellm=30, open_webui=10),
    Target("cpu_50_s", "CPU per 1,000 chunks, 50 streams", at_most=1.6, against=RELAY),
    Target("cpu_200_s", "CPU per 1,000 chunks, 200 streams", at_most=1.6, against=RELAY),
    *_peers("cpu_50_s", "CPU per 1,000 chunks, 50 streams", chainlit=0.25, litellm=0.2, open_webui=0.2),
    Target("wall_200", "200 streams: time / ideal", at_most=1.1, unit="x"),
    Target("capacity", "streams per core at 50 chunks/s", at_least=200, unit="streams"),
    Target("capacity", "streams per core, the second mark", at_least=350, unit="streams"),
    *_peers("capacity", "streams per core at 50 chunks/s", channels=5, chainlit=5, litellm=5, open_webui=5),
    Target(
        "late_200_p99_ms", "added latency, 200 streams, p99, window 0", at_most=10, unit="ms", of=WINDOW_0
    ),
    Target("late_200_p99_ms", "added latency, 200 streams, p99, default", at_most=60, unit="ms"),
    Target("fan_100_per_s", "fan-out, 100 viewers", at_least=0.7, against=BROADCAST, of=WINDOW_0),
    Target("fan_1000_per_s", "fan-out, 1,000 viewers", at_least=0.7, against=BROADCAST, of=WINDOW_0),
    Target("fan_1000_p99_ms", "1,000 viewers x 10/s, p99", at_most=60, unit="ms"),
    Target("viewer_100_us", "cost of the 100th viewer, per frame", at_most=20, unit="µs"),
    Target("late_100_to_1", "p99 with 100 viewers / with one", at_most=1.5, unit="x"),
    Target("asleep_p99", "one of 100 stops reading: others' p99", at_most=1.2, unit="x"),
    Target("asleep_grown_mib", "one of 100 stops reading: memory", at_most=1, unit="MiB"),
    Target("idle_kib", "idle logged-in socket in a room", at_most=32, unit="KiB"),
    Target("presence_idle_frames", "presence frames while nobody does anything", at_most=0),
    Target("many_idle_kib", "each of 5,000 idle sockets", at_most=32, unit="KiB"),
    Target("resident_mib", "memory after the first chat", at_most=180, unit="MiB"),
    Target("storing_share", "storing, share of the CPU", at_most=0.25),
    Target("storing_statements", "storing, statements per flush", at_most=2),
    Target(
        "crossing_p50_ms", "viewer on another process, p50 (window 33 + 3)", at_most=36, unit="ms", of=SCALED
    ),
    Target("wire_ratio", "bytes on the wire / bytes of text", at_most=1.5, unit="x"),
)


@dataclass(frozen=True, slots=True)
class Verdict:
    state: State
    measured: float | None = None


def verdict(target: Target, results: Results, of: str | None = None) -> Verdict:
    """Whether `of` (by default whom the target names) reached the target."""
    peer = of or target.of
    values = results.get(peer, target.figure)
    if not values:
        return Verdict("not measured")
    measured, void = median(values), results.broken([peer]) > 0
    if target.against is not None:
        reference = results.get(target.against, target.figure)
        if not reference or min(reference) <= 0:
            return Verdict("not measured")
        measured = _ratio(values, reference)
        void = void or (len(reference) > 1 and is_void(reference)) or results.broken([target.against]) > 0
    if void:
        return Verdict("void", measured)
    met = measured <= target.at_most if target.at_most is not None else measured >= (target.at_least or 0)
    return Verdict("met" if met else "missed", measured)


def _ratio(values: Sequence[float], reference: Sequence[float]) -> float:
    """Of round to round where both were measured as often, else of the medians."""
    if len(values) == len(reference):
        return ratio(values, reference)
    return median(values) / median(reference)
