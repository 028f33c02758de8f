"""The treasurer: delivers alerts, and looks after money that a dead process left. Every process with an engine runs it."""

from __future__ import annotations

import asyncio
import logging
from time import monotonic

from billing.delivery import alerts_deliver
from billing.plans import plan_budgets_sync
from billing.proof import attempts_lost, attempts_settle_lost, budgets_prove, reservations_repair
from billing.settling import attempts_settle_orphans

from ..checkpoints import readable_log
from ..database import in_database
from ..fold import fold, visible_text
from ..models import Run

log = logging.getLogger(__name__)

EVERY_SECONDS = 15.0
REPAIR_SECONDS = 600.0
PROVE_SECONDS = 6 * 3600.0


async def keep_books_forever() -> None:
    repair_at = monotonic() + REPAIR_SECONDS
    prove_at = monotonic() + PROVE_SECONDS
    while True:
        await asyncio.sleep(EVERY_SECONDS)
        try:
            await in_database(plan_budgets_sync)
            await alerts_deliver()
            if monotonic() >= repair_at:
                repair_at = monotonic() + REPAIR_SECONDS
                await in_database(books_repair)
            if monotonic() >= prove_at:
                prove_at = monotonic() + PROVE_SECONDS
                await in_database(_prove)
        except asyncio.CancelledError:
            raise
        except Exception as fault:  # the database is away: next time
            log.warning("treasurer: %s: %s", type(fault).__name__, fault)


def books_repair() -> int:
    """Settles requests that nobody works on any more and gives back what they held; how many."""
    lost = {run_id for run_id in attempts_lost(with_run=True).values_list("run_id", flat=True) if run_id}
    unfinished = set(Run.objects.filter(pk__in=lost, status__in=Run.UNFINISHED).values_list("pk", flat=True))
    settled = sum(
        attempts_settle_orphans(run_id, visible_text(fold(readable_log(run_id))))
        for run_id in lost - unfinished
    )
    settled += attempts_settle_lost() + reservations_repair()
    if settled:
        log.warning("settled or gave back %s requests whose process is gone", settled)
    return settled


def _prove() -> None:
    for difference in budgets_prove(current=True):
        log.error("a budget's sums are not those of the ledger: %s", difference)
