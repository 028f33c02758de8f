"""Adding up hours that are over, so that reading a year costs what reading its hours costs.

A workspace's seal is a whole hour. All before it stands in `UsageHour`; all from it on is read from the attempts.
It never passes an attempt that is still open, nor the last two hours, and it is drawn back by a trigger when
anybody writes an attempt before it (`migrations/0005_hour_guards.py`). Nothing on the way of a run waits for it.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from time import monotonic
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Min
from django.utils import timezone

from billing.measures import seal_statement
from billing.models import Attempt, UsageHour, UsageSeal
from workspaces.statements import as_id

MARGIN = timedelta(hours=2)
"""Attempts younger than this are never sealed: clocks differ, and transactions take their time."""
LONGEST = timedelta(days=7)
MOST_AT_ONCE = 5_000
"""Attempts in one transaction; an hour with more is one nevertheless."""
HOUR = timedelta(hours=1)
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)


def hour_of(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def sealed_until(workspace_id: UUID) -> datetime:
    found = UsageSeal.objects.filter(pk=workspace_id).values_list("until", flat=True).first()
    return EARLIEST if found is None else found


def usage_seal(*, workspace_id: UUID, within: timedelta = timedelta.max, now: datetime | None = None) -> bool:
    """Moves the seal on, for about that long at most; whether it is where it can be now."""
    # A row before all else, in a transaction of its own: from here on the triggers find it.
    seal, _ = UsageSeal.objects.get_or_create(pk=workspace_id, defaults={"until": EARLIEST})
    most = hour_of((now or timezone.now()) - MARGIN)
    if seal.until >= most:
        return True
    began = monotonic()
    while not _step(workspace_id, most):
        if monotonic() - began >= within.total_seconds():
            return False
    return True


@transaction.atomic
def _step(workspace_id: UUID, most: datetime) -> bool:
    """One piece; whether it was the last."""
    seal = UsageSeal.objects.select_for_update().get(pk=workspace_id)
    if seal.until >= most:
        return True
    attempts = Attempt.objects.filter(workspace_id=workspace_id).order_by("reserved_at")
    moments = attempts.filter(reserved_at__gte=seal.until, reserved_at__lt=most).values_list(
        "reserved_at", flat=True
    )
    first = moments.first()
    begin = most if first is None else hour_of(first)
    end = min(most, begin + LONGEST)
    for moment in moments.filter(reserved_at__lt=end)[MOST_AT_ONCE : MOST_AT_ONCE + 1]:
        end = max(begin + HOUR, hour_of(moment))
    waiting = moments.filter(reserved_at__lt=end, status__in=Attempt.OPEN).first()
    if waiting is not None:
        end = hour_of(waiting)
    # What was sealed before the seal was drawn back is made anew.
    UsageHour.objects.filter(workspace_id=workspace_id, hour__gte=seal.until).delete()
    with connection.cursor() as cursor:
        adapt = connection.ops.adapt_datetimefield_value
        cursor.execute(seal_statement(), [as_id(workspace_id), adapt(begin), adapt(end)])
    seal.until = end
    seal.save(update_fields=["until"])
    return end >= most or waiting is not None


def workspaces_with_usage() -> list[UUID]:
    """Those with attempts, in no order."""
    return list(Attempt.objects.order_by().values_list("workspace_id", flat=True).distinct())


def first_attempt(workspace_id: UUID) -> datetime | None:
    """When the workspace asked a provider for the first time."""
    found: datetime | None = Attempt.objects.filter(workspace_id=workspace_id).aggregate(
        at=Min("reserved_at")
    )["at"]
    return found
