"""`manage.py audit_prune --before DATE`: takes old audit events away. The audit keeps everything until somebody does."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, time
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction
from django.utils import timezone

from workspaces.audit import record
from workspaces.models import AuditEvent, AuditPruning

BATCH = 5000


class Command(BaseCommand):
    help = "Deletes audit events before a day (UTC). That it was done is itself recorded, in every workspace concerned."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--before", required=True, metavar="YYYY-MM-DD", help="that day itself is kept")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            day = date.fromisoformat(options["before"])
        except ValueError:
            raise CommandError("--before: write the day like 2026-01-31.") from None
        before = datetime.combine(day, time.min, UTC)
        if before > timezone.now():
            raise CommandError("--before: that day has not come yet.")
        gone = 0
        while removed := self._batch(before):
            gone += removed
        self.stdout.write(f"Removed {gone} events from before {day}.")

    @transaction.atomic
    def _batch(self, before: datetime) -> int:
        """One bite and the note of it, so that breaking off leaves nothing unsaid."""
        old = list(
            AuditEvent.objects.filter(created_at__lt=before)
            .order_by("created_at")
            .values_list("pk", "workspace_id")[:BATCH]
        )
        if not old:
            return 0
        switch = AuditPruning.objects.create(before=before)
        AuditEvent.objects.filter(pk__in=[key for key, _ in old]).delete()
        switch.delete()
        counted: Counter[UUID | None] = Counter(workspace for _, workspace in old)
        for workspace_id, events in counted.items():
            record(
                "audit_pruned",
                workspace_id=workspace_id,
                metadata={"before": before.date().isoformat(), "events": events},
            )
        return len(old)
