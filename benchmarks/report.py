"""The table: what was measured beside what PERFORMANCE aims at, and what went wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from .marks import Faults
from .stats import is_void, median, ratio, spread

REFERENCE = "bare relay"


@dataclass(slots=True)
class Results:
    """All rounds: figures of a peer by name, one value per round; and figures measured once."""

    rounds: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    once: dict[str, dict[str, float]] = field(default_factory=dict)
    faults: dict[str, Faults] = field(default_factory=dict)

    def add(self, peer: str, values: Mapping[str, float], faults: Faults) -> None:
        mine = self.rounds.setdefault(peer, {})
        for name, value in values.items():
            mine.setdefault(name, []).append(value)
        self.faults[peer] = self.faults.get(peer, Faults()) + faults

    @property
    def broken(self) -> int:
        """How many pieces were lost, doubled, out of order or foreign, everywhere."""
        return sum(faults.total for faults in self.faults.values())


@dataclass(frozen=True, slots=True)
class Figure:
    """A row of the table.

    `target` is an upper limit, or a lower one where `more_is_better`; it holds for the
    value, or for the ratio to the bare relay where `relative`.
    """

    name: str
    title: str
    unit: str
    target: float | None = None
    relative: bool = False
    more_is_better: bool = False
    digits: int = 2


FIGURES = (
    Figure("ttft_p50_ms", "added time to first token, p50", "ms", 4),
    Figure("ttft_p95_ms", "added time to first token, p95", "ms"),
    Figure("ttft_there_ms", "  of it: until the provider has the request", "ms"),
    Figure("cpu_run_ms", "CPU of a whole short message", "ms"),
    Figure("full_1_per_s", "one stream at full speed", "chunks/s", 0.8, True, True, 0),
    Figure("full_50_per_s", "fifty streams at full speed", "chunks/s", None, True, True, 0),
    Figure("cpu_50_s", "CPU per 1,000 chunks, 50 paced streams", "s", 1.6, True, False, 4),
    Figure("late_50_p99_ms", "lateness of a chunk, 50 paced streams, p99", "ms", 60),
    Figure("wall_50", "time of 50 paced streams / ideal", "x", 1.1),
    Figure("viewer_2_us", "cost of a second viewer, per frame", "µs", 20, digits=1),
    Figure("viewer_10_us", "cost of each up to the 10th viewer", "µs", 20, digits=1),
    Figure("viewer_100_us", "cost of each up to the 100th viewer", "µs", 20, digits=1),
    Figure("late_100_to_1", "lateness with 100 viewers / with one, p99", "x", 1.5),
    Figure("wire_ratio", "bytes on the wire / bytes of text, full speed", "x", 1.5),
)
WATCHED = ((20, 2), (5, 10), (1, 100))
"""`(streams, viewers of each)`: few viewers cost so little that many streams are needed to see it."""
ONCE = (
    Figure("idle_kib", "memory of an idle logged-in socket", "KiB", 32, digits=1),
    Figure("resident_mib", "memory after the first chat", "MiB", 180, digits=0),
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
    """The whole report as text."""
    peers = list(results.rounds)
    others = [peer for peer in peers if peer != REFERENCE]
    width = 46
    lines = ["", " " * width + "".join(f"{peer:>30}" for peer in peers) + f"{'target':>16}"]
    for figure in FIGURES:
        if not any(figure.name in results.rounds[peer] for peer in peers):
            continue
        reference = results.rounds[REFERENCE].get(figure.name)
        cells = [_cell(figure, results.rounds[peer].get(figure.name), reference, peer) for peer in peers]
        lines.append(
            f"{figure.title:<{width}}" + "".join(f"{cell:>30}" for cell in cells) + f"{_target(figure):>16}"
        )
    for figure in ONCE:
        cells = []
        for peer in peers:
            value = results.once.get(peer, {}).get(figure.name)
            cells.append("" if value is None else _number(figure, value) + _verdict(figure, value))
        lines.append(
            f"{figure.title:<{width}}" + "".join(f"{cell:>30}" for cell in cells) + f"{_target(figure):>16}"
        )
    lines += [
        "",
        "Median of the rounds; in brackets the median of the per-round ratios to the bare relay. ✓ ✗: target met or missed.",
    ]
    lines.append(
        "Texts: " + "; ".join(f"{peer}: {_faults(results.faults[peer])}" for peer in [REFERENCE, *others])
    )
    return "\n".join(lines)


def _cell(
    figure: Figure, values: Sequence[float] | None, reference: Sequence[float] | None, peer: str
) -> str:
    if not values:
        return ""
    text = _number(figure, median(values))
    if peer == REFERENCE:
        return text + (f" (varies {spread(values):.0%})" if is_void(values) and len(values) > 1 else "")
    measured = median(values)
    if reference and len(reference) == len(values) and min(reference) > 0:
        relative = ratio(values, reference)
        text += f" ({relative:.2f}x)"
        if figure.relative:
            measured = relative
            if is_void(reference) and len(reference) > 1:
                return text + " void"
    return text + _verdict(figure, measured)


def _number(figure: Figure, value: float) -> str:
    return f"{value:,.{figure.digits}f} {figure.unit}"


def _verdict(figure: Figure, value: float) -> str:
    if figure.target is None:
        return ""
    met = value >= figure.target if figure.more_is_better else value <= figure.target
    return " ✓" if met else " ✗"


def _target(figure: Figure) -> str:
    if figure.target is None:
        return ""
    sign = "≥" if figure.more_is_better else "≤"
    return f"{sign} {figure.target:g} {'x relay' if figure.relative else figure.unit}"


def _faults(faults: Faults) -> str:
    if not faults.total:
        return "nothing lost, doubled or out of order"
    return f"{faults.lost} LOST, {faults.doubled} DOUBLED, {faults.disordered} OUT OF ORDER, {faults.foreign} FOREIGN"
