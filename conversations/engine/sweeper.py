"""The sweeper: whatever should be going and is not, is enqueued again.

Every process with an engine runs it every few seconds: running runs whose lease
ended, queued ones that nothing stands before. Claims are fenced, so it may run
anywhere, any number of times.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from uuid import UUID

from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Now

from ..database import in_database
from ..models import Run
from ..services.deciding import approvals_expire
from ..services.run_claim import lease_ended
from . import pace, port

log = logging.getLogger(__name__)

EVERY_SECONDS = 3.0
QUEUED_GRACE = timedelta(seconds=2)


def runs_to_enqueue() -> list[UUID]:
    """Ids of unfinished runs that nobody works on."""
    before = Run.objects.filter(
        conversation=OuterRef("conversation"), agent_slug=OuterRef("agent_slug"), status__in=Run.LIVE
    )
    stuck = Q(status=Run.Status.RUNNING) & lease_ended()
    waiting = Q(
        status=Run.Status.QUEUED, created_at__lt=Now() - timedelta(seconds=pace.queued_grace())
    ) & ~Exists(before)
    cancelled = Q(status__in=(Run.Status.QUEUED, Run.Status.WAITING), cancel_requested_at__isnull=False)
    return list(
        Run.objects.filter(stuck | waiting | cancelled)
        .order_by("created_at")
        .values_list("pk", flat=True)[:500]
    )


def release_all_leases() -> int:
    """The embedded server at start: it alone runs runs, so whoever holds a lease is dead."""
    return Run.objects.filter(status=Run.Status.RUNNING).update(heartbeat_at=None)


async def sweep_forever() -> None:
    while True:
        try:
            for run_id in await in_database(runs_to_enqueue):
                port.enqueue(run_id)
            await in_database(approvals_expire)
        except asyncio.CancelledError:
            raise
        except Exception as fault:  # the database is away: next time
            log.warning("sweeper: %s: %s", type(fault).__name__, fault)
        await asyncio.sleep(pace.sweep())
