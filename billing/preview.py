"""What a request would cost, before it is made: what is likely for its prompt, and the most that would be held."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils import timezone

from billing.prices import price_sheet_for
from billing.reserving import Caller, affordable_now, budgets_in_force, worst_of
from nexus_core.errors import BudgetExceeded
from nexus_core.estimate import count_request
from nexus_core.providers.base import ModelRequest
from nexus_core.usage import Usage

MILLION = 10**6


@dataclass(frozen=True, slots=True)
class Preview:
    """Money in pico-USD, None where no price is known.

    Attributes:
        prompt_tokens: counted here, as a tokenizer near the provider's counts.
        prompt_cost: of these at the price without a cache.
        most: what the budgets would hold: every token of the answer, and the most that the prompt can count for.
        max_tokens: the longest answer that they have room for; 0 when they refuse it.
        budget: who refuses it or makes it shorter.
        refusal: the code it would be refused with.
        output_price: of a million tokens of the answer, in the tier of the prompt as it is.
    """

    prompt_tokens: int
    prompt_cost: int | None
    most: int | None
    max_tokens: int
    budget: str = ""
    refusal: str = ""
    output_price: int | None = None


def request_preview(caller: Caller, request: ModelRequest, provider: str) -> Preview:
    """Nothing is held: it may look different when the request is made."""
    now = timezone.now()
    sheet = price_sheet_for(provider, request.model, now)
    found = budgets_in_force(caller, now)
    tokens = count_request(request)
    likely = None if sheet is None else sheet.cost(Usage(input=tokens)).total
    each = None if sheet is None else sheet.cost(Usage(input=tokens, output=MILLION)).output
    try:
        worst, _ = worst_of(request, provider, sheet, found)
    except BudgetExceeded as refusal:
        return Preview(tokens, likely, None, 0, refusal.budget, refusal.code, each)
    if worst is None:
        return Preview(tokens, likely, None, request.max_tokens, output_price=each)
    most = worst.cost(request.max_tokens)
    try:
        max_tokens, budget = affordable_now(found, worst, request.max_tokens)
    except BudgetExceeded as refusal:
        return Preview(tokens, likely, most, 0, refusal.budget, refusal.code, each)
    return Preview(tokens, likely, most, max_tokens, budget, output_price=each)
