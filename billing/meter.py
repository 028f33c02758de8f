"""The meter of a run: every provider request is a committed row before its bytes leave, settled once after.

`reserve` is one short transaction (price, row; budgets join it there). `price` is pure.
Settling is one UPDATE that only an open row takes, so a second settlement, or that of an
owner which lost its run, changes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID, uuid4

from django.db import close_old_connections, connection, transaction
from django.db.models import F, Sum
from django.utils import timezone

from billing.instruments import attempt_settled
from billing.models import Attempt as AttemptRow
from billing.prices import PriceSheet, price_sheet_for, price_sheet_of
from nexus_core.estimate import count_tokens, estimate_usage
from nexus_core.messages import ImagePart, ReasoningPart, TextPart, ToolCallPart, ToolResultPart
from nexus_core.ports import Attempt, AttemptOutcome, Settled
from nexus_core.providers.base import ModelRequest
from nexus_core.usage import Cost, Usage
from workspaces.failpoints import failpoint
from workspaces.statements import Table, as_id

_ATTEMPTS = Table(AttemptRow)

MOST_TOKENS = 10**9
"""More in one bucket of one request is no count but a fault of the provider's."""
CHARS_PER_TOKEN = 4
CHARS_PER_IMAGE = 6000
"""About 1500 tokens, what a full-size image costs with the large providers."""


class Crossing(Protocol):
    """Runs a sync function in a database thread and awaits it."""

    def __call__(self, fn: Callable[..., Any], /, *args: Any) -> Awaitable[Any]: ...


async def _crossing(fn: Callable[..., Any], /, *args: Any) -> Any:
    """The loop's own threads; a PostgreSQL connection goes back to the pool behind every call."""

    def guarded() -> Any:
        try:
            return fn(*args)
        finally:
            if connection.vendor != "sqlite":
                close_old_connections()

    return await asyncio.to_thread(guarded)


@dataclass(frozen=True, slots=True)
class PricedAttempt(Attempt):
    """A reserved request with what is needed to price it without a database."""

    request: ModelRequest | None = None
    sheet: PriceSheet | None = None


class DbMeter:
    """`nexus_core.ports.Meter` over the database, for one run.

    `guard` is called in the transaction that reserves and raises where the caller may not ask any more: an
    owner that was stopped and continued must not pay for a request whose answer nobody takes.
    """

    def __init__(
        self,
        *,
        workspace_id: UUID,
        user_id: UUID | None = None,
        agent_id: UUID | None = None,
        agent_slug: str = "",
        conversation_id: UUID | None = None,
        run_id: UUID | None = None,
        token_id: UUID | None = None,
        epoch: int = 0,
        crossing: Crossing = _crossing,
        guard: Callable[[], None] | None = None,
    ) -> None:
        self._ids: dict[str, Any] = {
            "workspace_id": workspace_id,
            "user_id": user_id,
            "agent_id": agent_id,
            "agent_slug": agent_slug,
            "conversation_id": conversation_id,
            "run_id": run_id,
            "token_id": token_id,
            "epoch": epoch,
        }
        self._crossing = crossing
        self._guard = guard

    async def reserve(self, request: ModelRequest, *, provider: str, step: int, attempt: int) -> Attempt:
        """Commits the attempt's row. Raises what the database raises: without it there is no call."""
        failpoint("before_reserve")
        reserved: Attempt = await self._crossing(self._reserve, request, provider, step, attempt)
        failpoint("after_reserve")
        return reserved

    def price(self, attempt: Attempt, outcome: AttemptOutcome) -> Settled:
        return settlement(attempt, outcome)

    async def settle(self, attempt: Attempt, outcome: AttemptOutcome, settled: Settled) -> None:
        await self._crossing(_settle, attempt, outcome, settled)

    def _reserve(self, request: ModelRequest, provider: str, step: int, number: int) -> PricedAttempt:
        now = timezone.now()
        with transaction.atomic():
            if self._guard is not None:
                self._guard()
            sheet = price_sheet_for(provider, request.model, now)
            row = AttemptRow(
                id=uuid4(),
                **self._ids,
                step=step,
                number=number,
                provider=provider,
                model=request.model[:160],
                max_tokens=request.max_tokens,
                prompt_chars=_prompt_chars(request),
                price_id=sheet.tiers[0][0] if sheet is not None else None,
                reserved_at=now,
            )
            _ATTEMPTS.insert(row)
        return PricedAttempt(row.pk, provider, request.model, request.max_tokens, request, sheet)


def settlement(attempt: Attempt, outcome: AttemptOutcome) -> Settled:
    """What the outcome consumed and costs, at the price of its reservation. No I/O.

    What never left consumed nothing. Where the provider did not say, or said what cannot be
    (negative, absurd), the prompt and what streamed are counted here, marked `estimated`.
    """
    request, sheet = (attempt.request, attempt.sheet) if isinstance(attempt, PricedAttempt) else (None, None)
    usage = _usage(outcome, request)
    if usage.total == 0:
        return Settled(usage, Cost(0, 0))
    return Settled(usage, sheet.cost(usage) if sheet is not None else Cost(None, None))


def attempt_settle_in_transaction(attempt: Attempt, outcome: AttemptOutcome, settled: Settled) -> bool:
    """Settles the row inside the caller's transaction; False when it was settled before."""
    usage = settled.usage
    fields: dict[str, Any] = {
        "status": AttemptRow.Status.SETTLED if outcome.sent else AttemptRow.Status.RELEASED,
        **_token_fields(usage),
        "answered_model": outcome.model[:160],
        "success": outcome.status in ("complete", "cancelled"),
        "error_code": (outcome.error_code or "")[:64],
        "stop_reason": (outcome.stop_reason or ("cancelled" if outcome.status == "cancelled" else ""))[:32],
        "request_id": outcome.request_id[:200],
        "first_token_ms": outcome.time_to_first_token_ms,
        "duration_ms": outcome.duration_ms,
        "settled_at": timezone.now(),
    }
    if isinstance(attempt, PricedAttempt) and attempt.sheet is not None:
        fields |= {
            "price_id": attempt.sheet.tier_for(usage)[0],
            "cost_input": settled.cost.input,
            "cost_output": settled.cost.output,
            "cost_total": settled.cost.total,
        }
    told, params = _ATTEMPTS.assign(**fields)
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {_ATTEMPTS.name} SET {told} WHERE id = %s AND status IN (%s, %s, %s)",  # noqa: S608
            [*params, as_id(attempt.id), *AttemptRow.OPEN],
        )
        if cursor.rowcount != 1:
            return False
    transaction.on_commit(lambda: attempt_settled(attempt.provider, outcome, settled))
    return True


def attempts_total(run_id: UUID) -> Settled:
    """What all settled requests of a run consumed and cost, whoever of its owners made them."""
    rows = AttemptRow.objects.filter(run_id=run_id, settled_at__isnull=False)
    usage, cost = Usage(), Cost()
    for row in rows.order_by("reserved_at"):
        spent = Usage(
            input=row.tokens_input,
            output=row.tokens_output,
            cache_read=row.tokens_cache_read,
            cache_write_5m=row.tokens_cache_write_5m,
            cache_write_1h=row.tokens_cache_write_1h,
            reasoning=row.tokens_reasoning,
            estimated=row.estimated,
            searches=row.searches or 0,
        )
        usage += spent
        if spent.total:  # what consumed nothing costs nothing, priced or not
            cost += Cost(row.cost_input, row.cost_output)
    return Settled(usage, cost)


@transaction.atomic
def attempts_settle_orphans(run_id: UUID, streamed_text: str) -> int:
    """Settles what a dead owner of the run left open, at what the log shows; the number of attempts.

    `streamed_text` is all text of the run that was stored. What earlier attempts were settled
    for is taken off; the prompt is estimated from its length. Marked UNKNOWN and `estimated`.
    """
    rows = list(AttemptRow.objects.select_for_update().filter(run_id=run_id, status__in=AttemptRow.OPEN))
    if not rows:
        return 0
    counted = AttemptRow.objects.filter(run_id=run_id, settled_at__isnull=False).aggregate(
        told=Sum(F("tokens_output") + F("tokens_reasoning"))
    )
    output = max(0, count_tokens(streamed_text) - (counted["told"] or 0))
    for row in rows:
        usage = Usage(input=-(-row.prompt_chars // CHARS_PER_TOKEN), output=output, estimated=True)
        output = 0
        AttemptRow.objects.filter(pk=row.pk, status__in=AttemptRow.OPEN).update(
            status=AttemptRow.Status.UNKNOWN,
            success=False,
            error_code="owner_died",
            settled_at=timezone.now(),
            **_token_fields(usage),
            **_orphan_cost(row, usage),
        )
    return len(rows)


def _orphan_cost(row: AttemptRow, usage: Usage) -> dict[str, Any]:
    """The price of the row's version, at the tier of the estimated prompt."""
    if row.price is None:
        return {}
    sheet = price_sheet_of(row.price)
    price_id, tier = sheet.tier_for(usage)
    cost = tier.cost(usage)
    return {
        "price_id": price_id,
        "cost_input": cost.input,
        "cost_output": cost.output,
        "cost_total": cost.total,
    }


def _settle(attempt: Attempt, outcome: AttemptOutcome, settled: Settled) -> None:
    with transaction.atomic():
        attempt_settle_in_transaction(attempt, outcome, settled)


def _usage(outcome: AttemptOutcome, request: ModelRequest | None) -> Usage:
    if not outcome.sent:
        return Usage()
    told = outcome.usage if outcome.usage is not None and _plausible(outcome.usage) else None
    return told if told is not None else _estimated(request, outcome.streamed_text)


def _estimated(request: ModelRequest | None, text: str) -> Usage:
    if request is None:
        return Usage(output=count_tokens(text), estimated=True)
    return estimate_usage(request, text)


def _plausible(usage: Usage) -> bool:
    counts = (
        usage.input,
        usage.output,
        usage.cache_read,
        usage.cache_write_5m,
        usage.cache_write_1h,
        usage.reasoning,
        usage.searches,
    )
    return all(0 <= count <= MOST_TOKENS for count in counts)


def _token_fields(usage: Usage) -> dict[str, Any]:
    return {
        "tokens_input": usage.input,
        "tokens_output": usage.output,
        "tokens_cache_read": usage.cache_read,
        "tokens_cache_write_5m": usage.cache_write_5m,
        "tokens_cache_write_1h": usage.cache_write_1h,
        "tokens_reasoning": usage.reasoning,
        "searches": usage.searches or None,
        "estimated": usage.estimated,
    }


def _prompt_chars(request: ModelRequest) -> int:
    """Length of what is sent: cheap, and enough to estimate an attempt whose process died."""
    count = len(request.system)
    for tool in request.tools:
        count += len(tool.name) + len(tool.description) + len(str(tool.input_schema))
    for message in request.messages:
        for part in message.parts:
            match part:
                case TextPart() | ReasoningPart():
                    count += len(part.text)
                case ImagePart():
                    count += CHARS_PER_IMAGE
                case ToolCallPart():
                    count += len(str(part.input))
                case ToolResultPart():
                    count += len(part.content)
    return min(count, 2**31 - 1)
