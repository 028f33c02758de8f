"""Whether something stayed flat over time: a robust slope, a verdict, a small chart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .stats import median

WARM_SHARE = 0.25
"""The first part of a soak, in which caches fill and pools open: not judged."""
MOST_POINTS = 240
MIB_PER_HOUR = 10.0
MIB_AT_LEAST = 4.0
"""A slope counts only with so much growth behind it: a short soak is noise."""
COUNT_SHARE, COUNT_AT_LEAST = 0.2, 5
BARS = "▁▂▃▄▅▆▇█"


@dataclass(frozen=True, slots=True)
class Course:
    """Values over time, `at` in seconds since the beginning."""

    at: Sequence[float]
    values: Sequence[float]

    def judged(self) -> Course:
        """Without the warm-up."""
        start = self.at[-1] * WARM_SHARE if self.at else 0.0
        kept = [n for n, at in enumerate(self.at) if at >= start]
        return Course([self.at[n] for n in kept], [self.values[n] for n in kept])

    def slope(self) -> float:
        """Per second: the median of the slopes between all pairs (Theil and Sen), deaf to single peaks."""
        step = max(1, len(self.at) // MOST_POINTS)
        points = list(zip(self.at[::step], self.values[::step], strict=True))
        slopes = [
            (later[1] - earlier[1]) / (later[0] - earlier[0])
            for n, earlier in enumerate(points)
            for later in points[n + 1 :]
            if later[0] > earlier[0]
        ]
        return median(slopes) if slopes else 0.0


def memory_is_flat(mib: Course) -> bool:
    """MiB over time: no growth, after the warm-up, that would matter in a day."""
    course = mib.judged()
    if len(course.at) < 2:
        return True
    slope = course.slope()
    return slope * 3600 <= MIB_PER_HOUR or slope * (course.at[-1] - course.at[0]) <= MIB_AT_LEAST


def count_is_flat(course: Course) -> bool:
    """Files, tasks, connections: no more in the last fifth than in the first after the warm-up."""
    values = course.judged().values
    fifth = max(1, len(values) // 5)
    first, last = median(values[:fifth]), median(values[-fifth:])
    return last - first <= max(COUNT_AT_LEAST, first * COUNT_SHARE)


def chart(values: Sequence[float], width: int = 60) -> str:
    """A line of bars from the least to the greatest value."""
    if not values:
        return ""
    width = min(width, len(values))
    means = []
    for n in range(width):
        part = values[n * len(values) // width : (n + 1) * len(values) // width]
        means.append(sum(part) / len(part))
    low, high = min(means), max(means)
    span = (high - low) or 1.0
    return "".join(BARS[min(len(BARS) - 1, int((value - low) / span * len(BARS)))] for value in means)
