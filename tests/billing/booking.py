"""The two steps of a request that costs something, as tests take them by hand."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from billing.budget_models import BudgetPeriod
from billing.meter import DbMeter
from billing.settling import attempt_settle_in_transaction, settlement
from nexus_core.ports import Attempt as Reserved
from nexus_core.usage import Usage

from .conftest import outcome_of, request_to

REQUEST = request_to("m1", max_tokens=1000)


def reserve(meter: DbMeter, request: Any = REQUEST, provider: str = "openai") -> Reserved:
    return meter._reserve(request, provider, 0, 1)


def settle(attempt: Reserved, usage: Usage | None, **more: Any) -> bool:
    outcome = outcome_of(usage, **more)
    with transaction.atomic():
        return attempt_settle_in_transaction(attempt, outcome, settlement(attempt, outcome))


def period() -> BudgetPeriod:
    return BudgetPeriod.objects.get()
