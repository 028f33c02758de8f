"""Usage as CSV: a row per provider request, money exact, formulas defused [S14]."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator

from billing.models import Attempt
from nexus_core.usage import pico_to_usd

COLUMNS = (
    "id",
    "time",
    "status",
    "agent",
    "user",
    "conversation",
    "run",
    "step",
    "attempt",
    "provider",
    "model",
    "input",
    "output",
    "cacheRead",
    "cacheWrite",
    "reasoning",
    "total",
    "promptTokens",
    "completionTokens",
    "totalTokens",
    "inputCost",
    "outputCost",
    "cost",
    "currency",
    "estimated",
    "success",
    "error",
    "stopReason",
    "durationMs",
    "timeToFirstTokenMs",
)
RISKY = ("=", "+", "-", "@", "\t", "\r", "\n")
"""A cell that begins so is a formula to a spreadsheet."""


def csv_lines(attempts: Iterable[Attempt]) -> Iterator[str]:
    """The header and one line per request; an unpriced cost is an empty cell."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    for row in [COLUMNS]:
        yield _line(writer, buffer, row)
    for attempt in attempts:
        yield _line(writer, buffer, [_cell(value) for value in _values(attempt)])


def _values(row: Attempt) -> tuple[object, ...]:
    write = row.tokens_cache_write_5m + row.tokens_cache_write_1h
    return (
        row.pk,
        row.reserved_at.isoformat(),
        row.status,
        row.agent_slug,
        row.user_id,
        row.conversation_id,
        row.run_id,
        row.step,
        row.number,
        row.provider,
        row.model,
        row.tokens_input,
        row.tokens_output,
        row.tokens_cache_read,
        write,
        row.tokens_reasoning,
        row.tokens_total,
        row.tokens_input + row.tokens_cache_read + write,
        row.tokens_output + row.tokens_reasoning,
        row.tokens_total,
        pico_to_usd(row.cost_input),
        pico_to_usd(row.cost_output),
        pico_to_usd(row.cost_total),
        "USD",
        row.estimated,
        row.success,
        row.error_code,
        row.stop_reason,
        row.duration_ms,
        row.first_token_ms,
    )


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    return f"'{text}" if isinstance(value, str) and text.startswith(RISKY) else text


def _line(writer: object, buffer: io.StringIO, row: Iterable[object]) -> str:
    buffer.seek(0)
    buffer.truncate()
    writer.writerow(row)  # type: ignore[attr-defined]
    return buffer.getvalue()
