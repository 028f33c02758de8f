"""What every app counts with: the shared registry of this process, and how labels stay few.

Each app keeps its own numbers in its `instruments` module, on the one registry that
`/metrics` shows. A label is never an id, a name that somebody chose, or text of anybody.
Nothing is counted per chunk: the log's writer counts per flush.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence

from prometheus_client import REGISTRY, Counter, disable_created_metrics
from prometheus_client.metrics_core import HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

disable_created_metrics()  # type: ignore[no-untyped-call]

OTHER = "other"
QUICK_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
LONG_SECONDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800)


class FewLabels:
    """Lets the first so many different values through; everything after them is `other`."""

    def __init__(self, most: int = 100) -> None:
        self._most = most
        self._known: set[str] = set()

    def __call__(self, value: str) -> str:
        if value in self._known:
            return value
        if not value or len(self._known) >= self._most:
            return OTHER
        self._known.add(value)
        return value


class Tally(Collector):
    """A histogram that one thread alone writes: an addition without a lock, for what happens thousands of times."""

    def __init__(self, name: str, words: str, bounds: Sequence[float]) -> None:
        self._name, self._words = name, words
        self._bounds = tuple(bounds)
        self._counts = [0] * (len(self._bounds) + 1)
        self._sum = 0.0
        REGISTRY.register(self)

    def observe(self, value: float) -> None:
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def collect(self) -> Iterator[Metric]:
        total, buckets = 0, []
        for bound, count in zip((*self._bounds, float("inf")), list(self._counts), strict=True):
            total += count
            buckets.append(("+Inf" if bound == float("inf") else repr(float(bound)), total))
        yield HistogramMetricFamily(self._name, self._words, buckets=buckets, sum_value=self._sum)


def seconds(milliseconds: int) -> float:
    return milliseconds / 1000


def usd(pico: int) -> float:
    """Only for a gauge that people look at; the ledger has the exact number."""
    return pico / 10**12


rate_limited = Counter(
    "nexus_rate_limited", "Refused because it was too often, by limit and whose.", ["limit", "whose"]
)
database_errors = Counter(
    "nexus_database_errors", "Work that failed because the database did not answer, by error.", ["error"]
)
