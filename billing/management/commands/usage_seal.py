"""`manage.py usage_seal`: add up the hours of usage that are over, of all workspaces. `--anew` makes all of them again."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from billing.models import UsageSeal
from billing.sealing import EARLIEST, usage_seal, workspaces_with_usage


class Command(BaseCommand):
    help = "Adds up the hours of usage that are over. The usage page does it by itself, piece by piece."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--anew", action="store_true", help="Forget what was added up and do it again.")

    def handle(self, *args: Any, anew: bool, **options: Any) -> None:
        if anew:
            UsageSeal.objects.update(until=EARLIEST)
        found = workspaces_with_usage()
        for workspace_id in found:
            usage_seal(workspace_id=workspace_id)
        self.stdout.write(f"Added up the usage of {len(found)} workspaces.")
