"""Token counts as providers report them, made fit for `Usage`."""

from __future__ import annotations

from typing import Any

from ..usage import Usage

MOST = 10**9
"""No request has more tokens than this; a provider that reports more is not believed."""


def count(value: Any) -> int:
    """A count of tokens; 0 where it is missing, negative or no number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        return 0
    return int(value) if value < float("inf") else MOST + 1


def usage(
    *,
    input: int,
    output: int,
    cache_read: int = 0,
    cache_write_5m: int = 0,
    cache_write_1h: int = 0,
    reasoning: int = 0,
) -> Usage | None:
    """The buckets as `Usage`, or None (the meter then counts itself) if they are absurd or all empty."""
    found = Usage(
        input=max(input, 0),
        output=max(output, 0),
        cache_read=max(cache_read, 0),
        cache_write_5m=max(cache_write_5m, 0),
        cache_write_1h=max(cache_write_1h, 0),
        reasoning=max(reasoning, 0),
    )
    return found if 0 < found.total <= MOST else None
