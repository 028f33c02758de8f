"""Usage as CSV: a row per provider request, money exact, formulas defused [S14]."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.db.models import Q

from billing.models import Attempt
from billing.selectors import attempts_of
from nexus_core.usage import pico_to_usd
from workspaces.access import Actor
from workspaces.sheets import lines

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
PAGE = 2000

Place = tuple[datetime, UUID]


def csv_header() -> str:
    return lines([COLUMNS])


def csv_page(actor: Actor, chosen: str, after: Place | None) -> tuple[str, Place | None]:
    """The next lines, newest first, and where to go on (`None`: that was all). An unpriced cost is empty."""
    attempts = attempts_of(actor, chosen).order_by("-reserved_at", "-id")
    if after is not None:
        moment, last = after
        attempts = attempts.filter(Q(reserved_at__lt=moment) | Q(reserved_at=moment, id__lt=last))
    rows = list(attempts[:PAGE])
    place = (rows[-1].reserved_at, rows[-1].pk) if len(rows) == PAGE else None
    return lines(_values(row) for row in rows), place


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
