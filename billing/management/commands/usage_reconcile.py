"""`manage.py usage_reconcile PROVIDER FILE`: compares a provider's usage export with the ledger and lists what differs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from billing.reconcile import ExportUnreadable, export_read, reconcile


class Command(BaseCommand):
    help = (
        "Compares a usage export (CSV, JSON or JSON lines; `-` reads standard input) with the ledger: by request where "
        "the export names requests, else by day (UTC) and model. Ends with 1 where something differs."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("provider", help="as in the table of providers, like anthropic")
        parser.add_argument("file")
        parser.add_argument(
            "--input-includes-cache",
            action="store_true",
            help="The export's input tokens include those read from and written to the cache (OpenAI).",
        )

    def handle(
        self, *args: Any, provider: str, file: str, input_includes_cache: bool, **options: Any
    ) -> None:
        try:
            text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8-sig")
            lines = export_read(text, input_includes_cache=input_includes_cache)
            found = reconcile(provider, lines)
        except (OSError, UnicodeError, ExportUnreadable) as why:
            raise CommandError(f"{file}: {why}") from None
        for one in found:
            self.stdout.write(str(one))
        self.stdout.write(f"Compared {len(lines)} rows of {provider}: {len(found)} differ.")
        if found:
            sys.exit(1)
