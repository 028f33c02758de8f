"""Which model to take of a provider, by what it should be good at [P5]. As of November 2026."""

from __future__ import annotations

from typing import Literal

Tier = Literal["fast", "balanced", "powerful"]

MODELS: dict[str, dict[Tier, str]] = {
    "anthropic": {"fast": "claude-haiku-5-5", "balanced": "claude-sonnet-5-5", "powerful": "claude-opus-5-5"},
    "openai": {"fast": "gpt-6-luna", "balanced": "gpt-6.1-terra", "powerful": "gpt-6.1-sol"},
    "google": {"fast": "gemini-3.5-flash-lite", "balanced": "gemini-3.8-flash", "powerful": "gemini-4-argon"},
    "local": {
        "fast": "SmolLM2-135M-Instruct",
        "balanced": "SmolLM2-135M-Instruct",
        "powerful": "SmolLM2-135M-Instruct",
    },
    "scripted": {"fast": "demo", "balanced": "demo", "powerful": "demo"},
}
"""Providers whose catalogue is ours to know; the others serve what their operator installed or chose."""


def select_model(provider: str, tier: Tier = "balanced") -> str:
    """The provider's current model of that tier. Raises `LookupError` with the known providers."""
    try:
        return MODELS[provider][tier]
    except KeyError:
        known = ", ".join(f"{name} ({', '.join(tiers)})" for name, tiers in MODELS.items())
        raise LookupError(f"No model is known for {provider!r}, tier {tier!r}. Known: {known}.") from None
