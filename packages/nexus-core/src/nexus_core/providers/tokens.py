"""Token counts as providers report them, made fit for `Usage`."""

from __future__ import annotations

from typing import Any

from ..usage import Usage

MOST = 10**9
"""No request has more tokens than this; a provider that reports more is not believed."""


def count(value: Any) -> int:
    """A count of tokens; 0 where it is missing or no number, more than `MOST` where it is absurd or negative:
    then nothing that the provider counted is believed, or a fault of its would make a request free."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
        return 0
    return int(value) if 0 <= value <= MOST else MOST + 1


def usage(
    *,
    input: int,
    output: int,
    cache_read: int = 0,
    cache_write_5m: int = 0,
    cache_write_1h: int = 0,
    reasoning: int = 0,
    searches: int = 0,
) -> Usage | None:
    """The buckets as `Usage`, or None (the meter then counts itself) if they are absurd or all empty."""
    found = Usage(
        input=max(input, 0),
        output=max(output, 0),
        cache_read=max(cache_read, 0),
        cache_write_5m=max(cache_write_5m, 0),
        cache_write_1h=max(cache_write_1h, 0),
        reasoning=max(reasoning, 0),
        searches=max(searches, 0),
    )
    return found if 0 < found.total <= MOST and found.searches <= MOST else None
