"""The shipped price table (genai-prices), read into whole pico-USD per token. No database, no network.

The table's prices are decimals of US dollars per million tokens, so a token costs that
times 10⁶ pico-USD. A cached token without a price of its own costs what an input token
does; a tier holds for the whole request once its input exceeds the threshold. What a provider asks by the
piece, for a request or a web search, is dollars per thousand.
"""

from __future__ import annotations

import logging
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

import genai_prices
from genai_prices.types import TieredPrices

from agents.catalogue import find_model

PICO_PER_TOKEN = Decimal(10**6)
"""of one US dollar per million tokens."""
PICO_EACH = Decimal(10**9)
"""of one US dollar per thousand."""
SOURCE = f"genai-prices {genai_prices.__version__}"

log = logging.getLogger(__name__)


def catalogue_tiers(
    provider: str, base_url: str, model: str, at: datetime
) -> tuple[dict[str, int | None], ...] | None:
    """The tiers of a model at that moment as fields of `TierPrices`, lowest first; `None` if unknown."""
    found = _tiers(provider, base_url, model, at.replace(second=0, microsecond=0))
    return None if found is None else tuple(dict(tier) for tier in found)


@lru_cache(maxsize=2048)
def _tiers(
    provider: str, base_url: str, model: str, at: datetime
) -> tuple[tuple[tuple[str, int | None], ...], ...] | None:
    found = find_model(provider, base_url, model)
    prices = found.get_prices(at) if found is not None else None
    if prices is None or prices.input_mtok is None or prices.output_mtok is None:
        return None
    units = {
        "input": prices.input_mtok,
        "output": prices.output_mtok,
        "cache_read": _first(prices.cache_read_mtok, prices.input_mtok),
        "cache_write_5m": _first(prices.cache_write_mtok, prices.input_mtok),
        "cache_write_1h": _first(prices.cache_write_1h_mtok, prices.cache_write_mtok, prices.input_mtok),
        "reasoning": prices.output_reasoning_mtok,
    }
    fees = (
        ("per_request", _pico_each(prices.requests_kcount)),
        ("per_search", _pico_each(prices.web_searches_kcount)),
    )
    thresholds = {0} | {
        tier.start for unit in units.values() if isinstance(unit, TieredPrices) for tier in unit.tiers
    }
    try:
        return tuple(
            (
                ("context_over", over),
                *((name, _pico(_at_threshold(unit, over))) for name, unit in units.items()),
                *fees,
            )
            for over in sorted(thresholds)
        )
    except ValueError as fault:
        log.warning("price of %s/%s refused: %s", provider, model, fault)
        return None


def _first(*units: Any) -> Any:
    """The first that is named; 0 is a price too."""
    return next(unit for unit in units if unit is not None)


def _at_threshold(unit: Any, over: int) -> Decimal | None:
    """The unit's price for a request just above the threshold."""
    if not isinstance(unit, TieredPrices):
        return unit  # type: ignore[no-any-return]
    price = unit.base
    for tier in unit.tiers:
        if over >= tier.start:
            price = tier.price
    return price


def _pico_each(usd_per_thousand: Any) -> int | None:
    """Whole pico-USD for one request or search; `None` where the table knows no fee."""
    if usd_per_thousand is None or isinstance(usd_per_thousand, TieredPrices):
        return None
    return int((usd_per_thousand * PICO_EACH).to_integral_value())


def _pico(usd_per_million: Decimal | None) -> int | None:
    """Whole pico-USD per token. Raises `ValueError` for what is no price."""
    if usd_per_million is None:
        return None
    if not usd_per_million.is_finite() or usd_per_million < 0:
        raise ValueError(f"{usd_per_million} is not a price")
    return int((usd_per_million * PICO_PER_TOKEN).to_integral_value())
