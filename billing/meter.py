"""The meter of a run: every provider request is a committed row before its bytes leave, settled once after.

`reserve` is one short transaction: price, row, and what budgets hold for it. How an attempt is settled: `settling`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any, Protocol
from uuid import UUID, uuid4

from django.db import close_old_connections, connection, transaction
from django.utils import timezone

from billing.instruments import budget_refused
from billing.models import Attempt as AttemptRow
from billing.prices import PriceSheet, price_sheet_for
from billing.reserving import HAS_BUDGETS, Caller, Held, budgets_reserve
from billing.settling import PricedAttempt, attempt_settle_in_transaction, settlement
from nexus_core.errors import BudgetExceeded
from nexus_core.messages import ImagePart, ReasoningPart, TextPart, ToolCallPart, ToolResultPart
from nexus_core.ports import Attempt, AttemptOutcome, Settled
from nexus_core.providers.base import ModelRequest
from workspaces.failpoints import failpoint
from workspaces.statements import Table, as_id

_ATTEMPTS = Table(AttemptRow)

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
        self._ahead: PricedAttempt | None = None

    async def reserve(self, request: ModelRequest, *, provider: str, step: int, attempt: int) -> Attempt:
        """Commits the attempt's row. Raises `BudgetExceeded` or `PriceUnknown` where a budget refuses it, and
        what the database raises: without it there is no call."""
        failpoint("before_reserve")
        reserved: Attempt
        ahead, self._ahead = self._ahead, None
        if ahead is not None and (step, attempt, provider, request) == (0, 1, ahead.provider, ahead.request):
            reserved = ahead
        else:
            if ahead is not None:  # it asks something else than its start foresaw
                await self._release(ahead)
            reserved = await self._crossing(self._reserve, request, provider, step, attempt)
        failpoint("after_reserve")
        return reserved

    def reserve_ahead(self, request: ModelRequest, provider: str) -> None:
        """Inside the transaction that starts the run: reserves its first request, which `reserve` then only takes, if
        it is that one. What a budget refuses is left to `reserve`. Who reserves ahead calls `give_back` when the
        run asks no more."""
        with contextlib.suppress(BudgetExceeded):
            self._ahead = self._row(request, provider, 0, 1)

    async def give_back(self) -> None:
        """Releases what was reserved ahead and never taken."""
        ahead, self._ahead = self._ahead, None
        if ahead is not None:
            await self._release(ahead)

    async def _release(self, ahead: PricedAttempt) -> None:
        outcome = AttemptOutcome("cancelled", None, "", None, sent=False)
        await self.settle(ahead, outcome, self.price(ahead, outcome))

    def price(self, attempt: Attempt, outcome: AttemptOutcome) -> Settled:
        return settlement(attempt, outcome)

    async def settle(self, attempt: Attempt, outcome: AttemptOutcome, settled: Settled) -> None:
        await self._crossing(_settle, attempt, outcome, settled)

    def _reserve(self, request: ModelRequest, provider: str, step: int, number: int) -> PricedAttempt:
        with transaction.atomic():
            if self._guard is not None:
                self._guard()
            try:
                return self._row(request, provider, step, number)
            except BudgetExceeded as refusal:
                budget_refused(refusal.code)
                raise

    def _row(self, request: ModelRequest, provider: str, step: int, number: int) -> PricedAttempt:
        """The attempt's row and what budgets hold for it, in the caller's transaction; neither where they refuse."""
        now = timezone.now()
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
        budgeted = _ATTEMPTS.insert(row, returning=HAS_BUDGETS, parameters=[as_id(self._ids["workspace_id"])])
        held = Held(request.max_tokens)
        if budgeted is not None and budgeted[0]:
            try:
                held = self._hold(row, request, sheet)
            except BudgetExceeded:
                AttemptRow.objects.filter(pk=row.pk).delete()
                raise
        return PricedAttempt(
            row.pk,
            provider,
            request.model,
            held.max_tokens,
            held.limited_by,
            request=request,
            sheet=sheet,
            held=bool(held.periods),
            ceiling=held.ceiling,
        )

    def _hold(self, row: AttemptRow, request: ModelRequest, sheet: PriceSheet | None) -> Held:
        caller = Caller(
            **{
                name: self._ids[name]
                for name in ("workspace_id", "user_id", "agent_slug", "token_id", "conversation_id")
            }
        )
        held = budgets_reserve(row.pk, caller, request, row.provider, sheet, row.reserved_at)
        if held.max_tokens != row.max_tokens:
            AttemptRow.objects.filter(pk=row.pk).update(max_tokens=held.max_tokens)
        return held


def _settle(attempt: Attempt, outcome: AttemptOutcome, settled: Settled) -> None:
    with transaction.atomic():
        attempt_settle_in_transaction(attempt, outcome, settled)


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
