"""What is measured of attempts, as SQL: once over the attempts themselves, once over the hours they were added up to.

Both give the same columns, so that a sum may take the sealed past from the hours and the rest from the
attempts. An attempt that was RELEASED never left and is no request.
"""

from __future__ import annotations

from typing import Any

from django.db import connection

from billing.models import Attempt

TOKENS = {
    "input": "tokens_input",
    "output": "tokens_output",
    "cache_read": "tokens_cache_read",
    "cache_write_5m": "tokens_cache_write_5m",
    "cache_write_1h": "tokens_cache_write_1h",
    "reasoning": "tokens_reasoning",
}
"""Columns of the disjoint buckets, by bucket."""

_ALL_TOKENS = " + ".join(f"a.{column}" for column in TOKENS.values())
_FELL_BACK = """EXISTS (
    SELECT 1 FROM billing_attempt p WHERE p.run_id = a.run_id AND p.step = a.step AND p.number = a.number - 1
      AND p.epoch = a.epoch AND (p.provider <> a.provider OR p.model <> a.model))"""
LOST = "owner_died"
"""The error of an attempt whose process was gone before it was settled."""


def _counted(condition: str) -> str:
    return f"CASE WHEN {condition} THEN 1 ELSE 0 END"


_OF_ATTEMPT: dict[str, str] = {
    "requests": "1",
    "errors": _counted("a.success IS FALSE"),
    "estimated": _counted("a.estimated"),
    # A refused request used no tokens: whatever their price, it cost nothing.
    "unpriced": _counted(
        f"a.cost_total IS NULL AND a.status IN ('SETTLED', 'UNKNOWN') AND {_ALL_TOKENS} > 0"
    ),
    "priced": _counted("a.cost_total IS NOT NULL"),
    "retries": _counted("a.number > 1"),
    "fallbacks": _counted(f"a.number > 1 AND {_FELL_BACK}"),
    "lost": _counted(f"a.error_code = '{LOST}'"),
    **{column: f"a.{column}" for column in TOKENS.values()},
    **{column: f"COALESCE(a.{column}, 0)" for column in ("cost_input", "cost_output", "cost_total")},
}
MEASURES = tuple(_OF_ATTEMPT)
TIMES = {"first_tokens": "first_token_ms", "durations": "duration_ms"}

_PURPOSE = """CASE WHEN a.run_id IS NOT NULL THEN 'chat'
    WHEN a.conversation_id IS NOT NULL THEN 'title' ELSE 'other' END"""
PURPOSES = {"chat": "Answers", "title": "Titles", "other": "Other"}
"""What a request was for: a run's answer, a conversation's title, anything else."""

KEYS: dict[str, str] = {
    "user": "user_id",
    "agent": "agent_slug",
    "conversation": "conversation_id",
    "provider": "provider",
    "model": "model",
    "purpose": "purpose",
    "price": "price_id",
}
"""Columns of an hour, by what one groups and filters by."""
IDS = ("user", "conversation", "price")
IS_REQUEST = f"a.status <> '{Attempt.Status.RELEASED}'"


def attempt_key(name: str) -> str:
    if name == "purpose":
        return _PURPOSE
    # Only of what has a cost, so that tokens of a group are all priced or none of them is.
    return "CASE WHEN a.cost_total IS NOT NULL THEN a.price_id END" if name == "price" else f"a.{KEYS[name]}"


def hour_key(name: str) -> str:
    return f"h.{KEYS[name]}"


def attempt_sum(measure: str) -> str:
    return "COUNT(*)" if measure == "requests" else f"SUM({_OF_ATTEMPT[measure]})"


def hour_sum(measure: str) -> str:
    return f"SUM(h.{measure})"


def attempt_times(times: str) -> str:
    column = f"a.{TIMES[times]}"
    return _joined(column if connection.vendor == "sqlite" else f"{column}::text")


def hour_times(times: str) -> str:
    return _joined(f"h.{times}")


def _joined(expression: str) -> str:
    """Texts after each other, parted by spaces; what is null is left out."""
    aggregate = "group_concat" if connection.vendor == "sqlite" else "string_agg"
    return f"{aggregate}({expression}, ' ')"


def seal_statement() -> str:
    """Adds up attempts into hours. Parameters: workspace, from, to."""
    hour = (
        "substr(a.reserved_at, 1, 13) || ':00:00'"
        if connection.vendor == "sqlite"
        else "date_trunc('hour', a.reserved_at, 'UTC')"
    )
    keys = [attempt_key(name) for name in KEYS]
    names = ["workspace_id", "hour", *KEYS.values(), *MEASURES, *TIMES]
    values = [
        "a.workspace_id",
        hour,
        *keys,
        *(attempt_sum(measure) for measure in MEASURES),
        *(f"COALESCE({attempt_times(times)}, '')" for times in TIMES),
    ]
    # Every column is a constant of this file.
    return f"""INSERT INTO billing_usagehour ({", ".join(names)}) SELECT {", ".join(values)} FROM billing_attempt a
        WHERE a.workspace_id = %s AND a.reserved_at >= %s AND a.reserved_at < %s AND {IS_REQUEST}
        GROUP BY {", ".join(str(place) for place in range(1, 3 + len(keys)))}"""  # noqa: S608


def ids(value: Any) -> Any:
    """An id out of a row as it is written."""
    if value is None:
        return None
    text = str(value)
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}" if len(text) == 32 else text
