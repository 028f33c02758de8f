"""What the shipped model table (genai-prices) knows of a model. No network."""

from __future__ import annotations

from functools import lru_cache

from genai_prices import data_snapshot
from genai_prices.types import ModelInfo

from agents.providers import spec_at_hand


@lru_cache(maxsize=2048)
def find_model(provider: str, base_url: str, model: str) -> ModelInfo | None:
    """The table's entry by the provider's name there, else by its address."""
    snapshot = data_snapshot.get_snapshot()
    for provider_id, url in ((provider, None), (None, base_url)):
        if not (provider_id or url):
            continue
        try:
            return snapshot.find_provider_model(model, None, provider_id, url)[1]
        except LookupError:
            continue
    return None


LOCAL_WINDOW = 4096
"""Tokens that the local model is started with."""


def context_window(provider: str, base_url: str, model: str) -> int | None:
    """How many tokens the model takes in, if the table says."""
    found = find_model(provider, base_url, model)
    return found.context_window if found is not None else None


def model_window(provider: str, model: str) -> int | None:
    """The same, by the provider's name here; the local model takes what it is started with. Never asks the database."""
    spec = spec_at_hand(provider)
    if spec is None:
        return None
    if spec.wire == "local":
        return LOCAL_WINDOW
    return context_window(spec.price_id or spec.name, spec.base_url, model)
