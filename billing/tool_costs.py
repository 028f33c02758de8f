"""What tools cost by their own report: a line of the ledger each, counted against the budgets."""

from __future__ import annotations

from uuid import UUID

from django.db import connection
from django.utils import timezone

from billing.budget_models import MOST_PICO, LedgerEntry
from billing.reserving import HAS_BUDGETS, Caller, budgets_count
from workspaces.statements import as_id


def tool_charge_in_transaction(
    caller: Caller, *, run_id: UUID | None, tool_id: UUID, tool: str, amount: int
) -> bool:
    """Books the call's cost (pico-USD) once, in the transaction that stores its end; False when it was booked before."""
    now = timezone.now()
    entries = LedgerEntry.objects.bulk_create(
        [
            LedgerEntry(
                kind=LedgerEntry.Kind.TOOL,
                workspace_id=caller.workspace_id,
                tool_id=tool_id,
                user_id=caller.user_id,
                token_id=caller.token_id,
                agent_slug=caller.agent_slug,
                conversation_id=caller.conversation_id,
                run_id=run_id,
                model=tool[:160],
                amount=min(amount, MOST_PICO),
                reserved_at=now,
                created_at=now,
            )
        ],
        ignore_conflicts=True,
    )
    mine = LedgerEntry.objects.filter(tool_id=tool_id, kind=LedgerEntry.Kind.TOOL, created_at=now)
    if not entries or not mine.exists():
        return False
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {HAS_BUDGETS}", [as_id(caller.workspace_id)])
        found = cursor.fetchone()
    if found is not None and found[0]:
        budgets_count(tool_id, caller, min(amount, MOST_PICO), now)
    return True
