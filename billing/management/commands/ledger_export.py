"""`manage.py ledger_export`: the ledger for an invoice, as CSV or JSON lines."""

from __future__ import annotations

from datetime import date
from typing import Any

import orjson
from django.core.management.base import BaseCommand, CommandError, CommandParser

from billing.ledger_export import COLUMNS, ledger_rows
from workspaces.sheets import lines


class Command(BaseCommand):
    help = (
        "Writes every line of the ledger with what it was multiplied from: CSV that is safe to open in a spreadsheet, or "
        "JSON lines. Days are of UTC and both included."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--workspace", default="", help="Its slug; left out, all of them.")
        parser.add_argument("--from", dest="first", type=date.fromisoformat, metavar="2026-11-01")
        parser.add_argument("--to", dest="last", type=date.fromisoformat, metavar="2026-11-30")
        parser.add_argument("--format", choices=("csv", "json"), default="csv")

    def handle(
        self, *args: Any, workspace: str, first: date | None, last: date | None, format: str, **options: Any
    ) -> None:
        try:
            if format == "csv":
                self.stdout.write(lines([COLUMNS]), ending="")
            for row in ledger_rows(workspace=workspace, first=first, last=last):
                text = lines([row.values()]) if format == "csv" else orjson.dumps(row).decode() + "\n"
                self.stdout.write(text, ending="")
        except ValueError as why:
            raise CommandError(str(why)) from None
