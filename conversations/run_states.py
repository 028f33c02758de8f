"""How far the runs of watched conversations have come: what a process asks every few seconds."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from django.db.models import Q
from django.utils import timezone

from realtime.lookout import RunState

from .database import in_database
from .models import Run

ENDED_LATELY = timedelta(minutes=1)


async def run_states(conversation_ids: Sequence[UUID]) -> list[RunState]:
    """The runs that go on, and those that ended in the last minute; one query."""
    return await in_database(_run_states, conversation_ids)


def _run_states(conversation_ids: Sequence[UUID]) -> list[RunState]:
    lately = timezone.now() - ENDED_LATELY
    rows = Run.objects.filter(
        Q(status__in=Run.UNFINISHED) | Q(finished_at__gt=lately), conversation_id__in=list(conversation_ids)
    ).values_list("conversation_id", "pk", "last_seq", "status", "superseded")
    return [
        RunState(conversation_id, str(run_id), last_seq, status not in Run.UNFINISHED, superseded)
        for conversation_id, run_id, last_seq, status, superseded in rows
    ]
