"""Entering a price as people read it: US dollars per million tokens, and dollars for a request or a web search.

Kept as whole pico-USD, per token and each.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django import forms
from django.utils import timezone

from billing.models import BUCKETS, FEES, PriceVersion
from billing.prices import TierPrices
from nexus_core.usage import PICO_PER_USD

PICO_PER_TOKEN = 10**6
"""of one US dollar per million tokens."""
MOST_USD = 1_000_000

LABELS = {
    "input": "Input",
    "output": "Output",
    "cache_read": "Cache read",
    "cache_write_5m": "Cache write, 5 minutes",
    "cache_write_1h": "Cache write, 1 hour",
    "reasoning": "Thinking",
}


FEE_LABELS = {"per_request": "Each request", "per_search": "Each web search"}
MOST_USD_EACH = 1_000


class DollarsEach(forms.DecimalField):
    """US dollars for one thing; at most twelve digits behind the point, the last of which is one pico-USD."""

    def __init__(self, label: str) -> None:
        super().__init__(
            label=label,
            required=False,
            help_text="Empty: no fee. Providers write it per thousand: $10 / K is 0.01.",
            min_value=0,
            max_value=MOST_USD_EACH,
            decimal_places=12,
        )


class Dollars(forms.DecimalField):
    """US dollars per million tokens; at most six digits behind the point, which is one pico-USD per token."""

    def __init__(self, label: str, *, required: bool, help_text: str = "") -> None:
        super().__init__(
            label=label,
            required=required,
            help_text=help_text,
            min_value=0,
            max_value=MOST_USD,
            decimal_places=6,
        )


class PriceForm(forms.ModelForm):  # type: ignore[type-arg]
    """A new version with one tier, and a second one where the provider asks more for long requests."""

    tier_over = forms.IntegerField(
        label="More than",
        required=False,
        min_value=1,
        help_text="Input tokens from which the second tier holds.",
    )

    class Meta:
        model = PriceVersion
        fields = ["provider", "model", "valid_from", "valid_to", "source"]
        help_texts = {
            "model": "A name, or a beginning that ends in *.",
            "valid_from": "The price before it ends here. Requests made earlier keep theirs.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "valid_from" in self.fields:  # a read-only page has no fields
            self.fields["valid_from"].initial = timezone.now

    def tiers(self) -> list[TierPrices]:
        """What was entered. Only after the form was found valid."""
        tiers = [self._tier("", 0)]
        if self.cleaned_data.get("tier_over"):
            tiers.append(self._tier("tier_", self.cleaned_data["tier_over"]))
        return tiers

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if cleaned.get("tier_over"):
            for name in ("input", "output"):
                if cleaned.get(f"tier_{name}") is None:
                    self.add_error(f"tier_{name}", "The second tier needs this price.")
        return cleaned

    def _tier(self, prefix: str, over: int) -> TierPrices:
        told = {name: _pico(self.cleaned_data.get(prefix + name)) for name in BUCKETS}
        # By the piece, whatever the size of the request: the same in every tier.
        fees = {name: _pico_each(self.cleaned_data.get(name)) for name in FEES}
        input_price = told["input"]
        write = told["cache_write_5m"] if told["cache_write_5m"] is not None else input_price
        assert input_price is not None
        assert told["output"] is not None
        assert write is not None
        return TierPrices(
            input=input_price,
            output=told["output"],
            cache_read=told["cache_read"] if told["cache_read"] is not None else input_price,
            cache_write_5m=write,
            cache_write_1h=told["cache_write_1h"] if told["cache_write_1h"] is not None else write,
            reasoning=told["reasoning"],
            context_over=over,
            **fees,
        )


for _prefix in ("", "tier_"):
    for _name, _label in LABELS.items():
        _hint = {"cache_read": "Empty: as input.", "cache_write_5m": "Empty: as input."}.get(_name, "")
        _hint = {"cache_write_1h": "Empty: as for 5 minutes.", "reasoning": "Empty: as output."}.get(
            _name, _hint
        )
        _field = Dollars(_label, required=not _prefix and _name in ("input", "output"), help_text=_hint)
        PriceForm.base_fields[_prefix + _name] = _field
        PriceForm.declared_fields[_prefix + _name] = _field


for _name, _label in FEE_LABELS.items():
    PriceForm.base_fields[_name] = PriceForm.declared_fields[_name] = DollarsEach(_label)


def _pico_each(usd: Decimal | None) -> int | None:
    return None if usd is None else int(usd * PICO_PER_USD)


def _pico(usd_per_million: Decimal | None) -> int | None:
    return None if usd_per_million is None else int(usd_per_million * PICO_PER_TOKEN)
