"""How a run ended, in numbers: from the loop's terminal chunk, and from what was booked."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

from billing.settling import attempts_total
from nexus_core.agent import BaseAgent
from nexus_core.chunks import ErrorChunk, MetadataChunk
from nexus_core.ports import Settled
from nexus_core.usage import Cost, Usage

from ..models import Run
from ..services.run_finish import Ending
from .journal import FinalStep


def ending_of(
    terminal: MetadataChunk, error: ErrorChunk | None, agent: BaseAgent, first_token_ms: int | None
) -> Ending:
    """The run's numbers from the loop's terminal chunk."""
    fields = dict(terminal.fields)
    usage = fields.pop("usage", None)
    cost = fields.pop("costExact", None)
    return Ending(
        status=terminal.status,
        usage=usage if isinstance(usage, Usage) else usage_of(fields),
        cost=cost if isinstance(cost, Cost) else cost_of(fields),
        fields={
            name: value
            for name, value in fields.items()
            if name
            not in ("tokenUsage", "cost", "durationMs", "stopReason", "confidence", "estimated", "messageId")
        },
        provider=str(fields.get("provider") or ""),
        model=str(fields.get("model") or ""),
        stop_reason=str(fields.get("stopReason") or ""),
        error_code=error.code if error is not None and terminal.status == "failed" else "",
        error_message=error.message if error is not None and terminal.status == "failed" else "",
        confidence=fields.get("confidence"),
        first_token_ms=first_token_ms,
    )


def with_all_spent(run: Run, ending: Ending, final: FinalStep | None) -> Ending:
    """The ending with what every owner of the run spent: the loop knows only its own requests and the
    completed steps, and requests that were lost with their owner are charged too."""
    spent = attempts_total(run.pk)
    if final is not None:  # settled with the end itself
        spent = Settled(spent.usage + final.settled.usage, spent.cost + final.settled.cost)
    return replace(ending, usage=spent.usage, cost=spent.cost)


def usage_of(fields: dict[str, Any]) -> Usage:
    told = fields.get("tokenUsage") or {}
    return Usage(
        input=told.get("input", 0),
        output=told.get("output", 0),
        cache_read=told.get("cacheRead", 0),
        cache_write_5m=told.get("cacheWrite", 0),
        reasoning=told.get("reasoning", 0),
        estimated=bool(fields.get("estimated", False)),
    )


def cost_of(fields: dict[str, Any]) -> Cost:
    told = fields.get("cost") or {}

    def pico(name: str) -> int | None:
        value = told.get(name, "0")
        return None if value is None else int(Decimal(value).scaleb(12))

    return Cost(pico("input"), pico("output"))
