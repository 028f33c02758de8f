"""`manage.py pack_logs`: packs what the server has not got round to, after an upgrade say."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from conversations.services.packing import SETTLE, Packed, logs_pack


class Command(BaseCommand):
    help = (
        "Packs the logs of all runs that have ended, many chunks in a row. A server does the same by itself, "
        "slowly; this may run beside it and be stopped at any time."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--now", action="store_true", help="Also runs that ended within the last minute.")

    def handle(self, *args: Any, **options: Any) -> None:
        settle = timedelta(0) if options["now"] else SETTLE
        total = Packed()
        while True:
            total += (batch := logs_pack(settle=settle))
            if not batch.more:
                break
        self.stdout.write(
            f"{total.runs} runs: {total.rows} rows became {total.packs}, "
            f"{total.characters} characters of chunks {total.bytes} bytes."
        )
