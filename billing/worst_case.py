"""What a request can cost at most: what is held for it before its bytes leave. Pure; integers only.

A token is at least one byte of what is sent, so the bytes bound the tokens of any tokenizer; besides there is what
providers add on their own (templates, instructions for tools) and what an image counts for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from billing.prices import PriceSheet, TierPrices
from nexus_core.messages import ImagePart, ReasoningPart, TextPart, ToolCallPart, ToolResultPart
from nexus_core.providers.base import ModelRequest

OVERHEAD = 1024
"""Prompt tokens that a provider adds by itself: its template, its instructions for tools."""
PER_MESSAGE = 16
PER_TOOL = 64
PER_IMAGE = 6000
"""More than the large models count for an image at full size (mostly some 1500)."""
LEAST_ANSWER = 128
"""Tokens; an answer that would have to be shorter is not asked for."""
SEARCHES = 5
"""Web searches that one request may make where a provider charges them by the piece."""
SHORT_CACHE_ONLY = frozenset({"anthropic"})
"""Whose cache we never ask to keep for an hour, so that its dearer price cannot apply."""


@dataclass(frozen=True, slots=True)
class WorstCase:
    """`fixed` is held whatever is answered, `each` for each token of the answer; pico-USD."""

    fixed: int
    each: int

    def cost(self, max_tokens: int) -> int:
        return self.fixed + self.each * max_tokens

    def affordable(self, amount: int, wanted: int) -> int:
        """Answer tokens, `wanted` at most, that fit into the amount; below 0 when not even the prompt does."""
        if self.cost(wanted) <= amount:
            return wanted
        if self.fixed > amount:
            return -1
        return min(wanted, (amount - self.fixed) // self.each)


def worst_case(request: ModelRequest, provider: str, sheet: PriceSheet) -> WorstCase:
    """At the dearest tier that the request can fall into."""
    prompt = most_prompt_tokens(request)
    tiers = [tier for _, tier in sheet.tiers if tier.context_over < prompt] or [sheet.tiers[0][1]]
    return WorstCase(
        fixed=max(
            prompt * _input_price(tier, provider)
            + (tier.per_request or 0)
            + SEARCHES * (tier.per_search or 0)
            for tier in tiers
        ),
        each=max(max(tier.output, tier.reasoning or 0) for tier in tiers),
    )


def at_ceiling(request: ModelRequest, ceiling: int) -> WorstCase:
    """Where no price is known: every token counts for `ceiling`."""
    return WorstCase(most_prompt_tokens(request) * ceiling, ceiling)


def most_prompt_tokens(request: ModelRequest) -> int:
    """No tokenizer counts more for this prompt (images aside, which each model counts its own way)."""
    count = OVERHEAD + _size(request.system)
    if request.response_schema is not None:
        count += _json_size(request.response_schema)
    for tool in request.tools:
        count += PER_TOOL + _size(tool.name) + _size(tool.description) + _json_size(tool.input_schema)
    for message in request.messages:
        count += PER_MESSAGE
        for part in message.parts:
            match part:
                case TextPart() | ReasoningPart():
                    count += _size(part.text) + _json_size(part.provider_data)
                case ImagePart():
                    count += PER_IMAGE
                case ToolCallPart():
                    count += PER_MESSAGE + _size(part.name) + _json_size(part.input)
                    count += _json_size(part.provider_data)
                case ToolResultPart():
                    count += PER_MESSAGE + _size(part.content)
    return count


def _input_price(tier: TierPrices, provider: str) -> int:
    dearest = max(tier.input, tier.cache_read, tier.cache_write_5m)
    return dearest if provider in SHORT_CACHE_ONLY else max(dearest, tier.cache_write_1h)


def _size(text: str) -> int:
    """Bytes of UTF-8; a lone surrogate goes out as the three of U+FFFD."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def _json_size(value: Any) -> int:
    if not value:
        return 0
    try:
        return len(orjson.dumps(value, default=str))
    except (TypeError, orjson.JSONEncodeError):
        return _size(str(value))
