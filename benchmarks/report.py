"""The tables: what was measured, and that beside what PERFORMANCE aims at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .marks import Faults
from .results import Results
from .stats import is_void, median, ratio, spread
from .targets import BROADCAST, RELAY, TARGETS, Target, verdict

NAME, CELL = 47, 26
WATCHED = ((20, 2), (5, 10), (1, 100))
"""`(streams, viewers of each)`: few viewers cost so little that many streams are needed to see it."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A row. The bracket in a cell is the ratio to the group's reference, where `compared`."""

    name: str
    title: str
    unit: str
    digits: int = 2
    compared: bool = True


@dataclass(frozen=True, slots=True)
class Group:
    title: str
    reference: str
    figures: tuple[Figure, ...]


GROUPS = (
    Group(
        "Relay: provider → server → client",
        RELAY,
        (
            Figure("ttft_p50_ms", "added time to first token, p50", "ms"),
            Figure("ttft_p95_ms", "added time to first token, p95", "ms"),
            Figure("ttft_there_ms", "  of it: until the provider has the request", "ms"),
            Figure("cpu_run_ms", "CPU of a whole short message", "ms"),
            Figure("full_1_per_s", "one stream at full speed", "chunks/s", 0),
            Figure("full_50_per_s", "fifty streams at full speed", "chunks/s", 0),
            Figure("cpu_50_s", "CPU per 1,000 chunks, 50 streams, whole", "s", 4),
            Figure("cpu_steady_50_s", "  without their starts and ends", "s", 4),
            Figure("cpu_200_s", "CPU per 1,000 chunks, 200 streams, whole", "s", 4),
            Figure("cpu_steady_200_s", "  without their starts and ends", "s", 4),
            Figure("late_50_p50_ms", "added latency, 50 streams, p50", "ms"),
            Figure("late_50_p99_ms", "added latency, 50 streams, p99", "ms"),
            Figure("late_200_p50_ms", "added latency, 200 streams, p50", "ms"),
            Figure("late_200_p99_ms", "added latency, 200 streams, p99", "ms"),
            Figure("wall_50", "time of 50 streams / ideal", "x", 2, False),
            Figure("wall_200", "time of 200 streams / ideal", "x", 2, False),
            Figure("start_200_ms", "200 questions at once: until all are asked", "ms", 0),
            Figure("capacity", "streams at 50 chunks/s in 1.1 x ideal", "", 0),
            Figure("wire_ratio", "bytes on the wire / bytes of text, full speed", "x", 2, False),
            Figure("generator_200", "load on the client's core, 200 streams", "", 2, False),
        ),
    ),
    Group(
        "Viewers",
        RELAY,
        (
            Figure("viewer_2_us", "cost of a second viewer, per frame", "µs", 1),
            Figure("viewer_10_us", "cost of each up to the 10th viewer", "µs", 1),
            Figure("viewer_100_us", "cost of each up to the 100th viewer", "µs", 1),
            Figure("late_100_to_1", "latency with 100 viewers / with one, p99", "x", 2, False),
            Figure("asleep_p99", "one of 100 stops reading: p99 of the others", "x", 2, False),
            Figure("asleep_grown_mib", "  memory until it is dropped", "MiB", 2, False),
            Figure("asleep_code", "  dropped with", "", 0, False),
        ),
    ),
    Group(
        "Fan-out of 200-byte frames",
        BROADCAST,
        (
            Figure("fan_100_per_s", "100 viewers, full speed", "deliveries/s", 0),
            Figure("fan_1000_per_s", "1,000 viewers, full speed", "deliveries/s", 0),
            Figure("fan_1000_p99_ms", "1,000 viewers x 10/s, p99", "ms"),
        ),
    ),
    Group(
        "Memory and storing",
        RELAY,
        (
            Figure("idle_kib", "memory of an idle logged-in socket", "KiB", 1, False),
            Figure("resident_mib", "memory after the first chat", "MiB", 0, False),
            Figure("storing_share", "storing: share of the CPU, 50 streams", "", 2, False),
            Figure("storing_statements", "storing: statements per flush", "", 1, False),
            Figure("storing_row_us", "storing: CPU per row", "µs", 0, False),
        ),
    ),
    Group(
        "Many idle sockets in one workspace",
        RELAY,
        (
            Figure("many_idle", "sockets", "", 0, False),
            Figure("presence_idle_frames", "presence frames while nobody does anything", "", 0, False),
            Figure("many_idle_kib", "memory of each", "KiB", 1, False),
            Figure("many_idle_cpu_ms", "CPU of each, per minute", "ms", 2, False),
            Figure("presence_all_ms", "one change, until everybody heard", "ms", 0, False),
        ),
    ),
    Group(
        "Two web processes and a worker, PostgreSQL, Redis",
        RELAY,
        (
            Figure("crossing_p50_ms", "viewer on another process than the asker, p50", "ms"),
            Figure("crossing_p99_ms", "viewer on another process than the asker, p99", "ms"),
            Figure("crossing_asker_p50_ms", "the asker itself, p50", "ms"),
        ),
    ),
)


def derived(values: dict[str, float]) -> dict[str, float]:
    """Adds what follows from the figures of one round: what each further viewer costs per frame."""
    out = dict(values)
    for streams, viewers in WATCHED:
        more = values.get(f"cpu_watched_{streams}x{viewers}_us")
        alone = values.get(f"cpu_watched_{streams}x1_us")
        if more is not None and alone is not None:
            out[f"viewer_{viewers}_us"] = (more - alone) / (viewers - 1)
    with_all, alone = values.get("late_watched_1x100_p99_ms"), values.get("late_watched_1x1_p99_ms")
    if with_all is not None and alone is not None:
        out["late_100_to_1"] = with_all / alone
    return out


def table(results: Results) -> str:
    """The figures of all peers, group by group."""
    lines: list[str] = []
    for group in GROUPS:
        names = {figure.name for figure in group.figures}
        peers = [peer for peer, figures in results.rounds.items() if names & figures.keys()]
        if not peers:
            continue
        peers.sort(key=lambda peer: peer != group.reference)
        lines += ["", f"{group.title:<{NAME}}" + "".join(f"{peer:>{CELL}}" for peer in peers)]
        for figure in group.figures:
            if any(results.get(peer, figure.name) for peer in peers):
                cells = [_cell(figure, group.reference, peer, results) for peer in peers]
                lines.append(f"{figure.title:<{NAME}}" + "".join(f"{cell:>{CELL}}" for cell in cells))
    lines += ["", "Median of the rounds; in brackets the median of the per-round ratios to the first column."]
    lines.append("~: the first column varied by more than a quarter from round to round.")
    lines.append("Texts: " + "; ".join(f"{peer}: {told(faults)}" for peer, faults in results.faults.items()))
    lines += [f"Not measured: {what}: {why}" for what, why in results.unmeasured.items()]
    return "\n".join(lines)


def verdicts(results: Results, targets: Sequence[Target] = TARGETS) -> str:
    """Target beside measured, met, missed or void; what was not measured is named at the end."""
    lines = ["", f"{'Targets':<{NAME}}{'target':>24}{'measured':>12}"]
    absent, count = [], dict.fromkeys(("met", "missed", "void"), 0)
    for target in targets:
        found = verdict(target, results)
        if found.measured is None or found.state == "not measured":
            absent.append(f"{target.title} {target.limit()}")
            continue
        count[found.state] += 1
        sign = {"met": "✓ met", "missed": "✗ MISSED", "void": "~ void"}[found.state]
        lines.append(f"{target.title:<{NAME}}{target.limit():>24}{found.measured:>12,.2f}  {sign}")
    lines.append(", ".join(f"{number} {state}" for state, number in count.items()))
    if absent:
        lines.append("Not measured here: " + "; ".join(absent))
    return "\n".join(lines)


def _cell(figure: Figure, reference: str, peer: str, results: Results) -> str:
    values = results.get(peer, figure.name)
    if not values:
        return ""
    text = f"{median(values):,.{figure.digits}f} {figure.unit}".rstrip()
    compared = results.get(reference, figure.name)
    if peer == reference:
        return text + (f" ±{spread(values):.0%}" if len(values) > 1 and is_void(values) else "")
    if figure.compared and len(compared) == len(values) and min(compared) > 0:
        text += f" ({ratio(values, compared):.2f}x)"
        if len(compared) > 1 and is_void(compared):
            text += "~"
    return text


def told(faults: Faults) -> str:
    if not faults.total:
        return "nothing lost, doubled or out of order"
    return f"{faults.lost} LOST, {faults.doubled} DOUBLED, {faults.disordered} OUT OF ORDER, {faults.foreign} FOREIGN"
