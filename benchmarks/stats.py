"""Numbers out of numbers: percentiles, medians, ratios of rounds, and when they mean nothing."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

VOID_SPREAD = 0.25


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` (0-1) of them do not exceed; linear between neighbours."""
    ordered = sorted(values)
    if not ordered:
        raise ValueError("no values")
    place = (len(ordered) - 1) * share
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def ratio(ours: Sequence[float], reference: Sequence[float]) -> float:
    """Median of the per-round ratios; round n of both happened close together."""
    return median([a / b for a, b in zip(ours, reference, strict=True)])


def spread(reference: Sequence[float]) -> float:
    """How far the reference varied over the rounds, as a share of its median.

    The middle half of the rounds is looked at from four rounds on: one disturbed
    round cannot move a median, so it does not void it either.
    """
    middle = median(reference)
    if len(reference) >= 4:
        far = percentile(reference, 0.75) - percentile(reference, 0.25)
    else:
        far = max(reference) - min(reference)
    return far / abs(middle) if middle else float(far > 0)


def is_void(reference: Sequence[float]) -> bool:
    return spread(reference) > VOID_SPREAD
