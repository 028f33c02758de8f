"""`manage.py budgets_check`: proves that the ledger's sum is what every budget says it spent. `--repair` sets it right."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from billing.budget_models import BudgetPeriod
from billing.proof import attempts_settle_lost, budgets_prove, ledger_complete, reservations_repair


class Command(BaseCommand):
    help = (
        "Compares every period of every budget with the ledger and the open reservations, and lists what differs. "
        "A running server gives leaked reservations back by itself."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--repair", action="store_true", help="Set right what differs, and settle what nobody will."
        )

    def handle(self, *args: Any, repair: bool, **options: Any) -> None:
        if repair:
            self.stdout.write(f"Settled {attempts_settle_lost()} requests whose process is gone.")
            self.stdout.write(f"Closed {ledger_complete()} requests in the ledger that were settled past it.")
            self.stdout.write(f"Gave back {reservations_repair()} leaked reservations.")
        found = list(budgets_prove(repair=repair))
        for one in found:
            self.stdout.write(str(one))
        self.stdout.write(f"Checked {BudgetPeriod.objects.count()} periods: {len(found)} differ.")
        if found and not repair:
            sys.exit(1)
