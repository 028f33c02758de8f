"""The columns of an exported attempt: what a row of the CSV and an object of the JSON says. Money is exact."""

from __future__ import annotations

from uuid import UUID

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


def values(row: Attempt) -> tuple[object, ...]:
    """Of `COLUMNS`; texts, numbers, truth values, None."""
    write = row.tokens_cache_write_5m + row.tokens_cache_write_1h
    return (
        str(row.pk),
        row.reserved_at.isoformat(),
        row.status,
        row.agent_slug,
        _id(row.user_id),
        _id(row.conversation_id),
        _id(row.run_id),
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


def _id(value: UUID | None) -> str | None:
    return None if value is None else str(value)
