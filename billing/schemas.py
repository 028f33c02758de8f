"""What HTTP gives for usage."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from realtime.wire import Wire

Money = Annotated[str | None, Field(description="Exact decimal US dollars; null where no price is known.")]


class TokenUsage(Wire):
    """Disjoint buckets; `total` is their sum."""

    input: int
    output: int
    cache_read: int
    cache_write: int
    reasoning: int
    total: int


class Percentiles(Wire):
    p50: int | None
    p95: int | None


class UsageLine(Wire):
    requests: int = Field(description="Requests to providers, failed and retried ones too.")
    errors: int
    estimated: int = Field(
        description="Requests whose tokens were counted here, since the provider never said."
    )
    unpriced: int = Field(
        description="Requests with tokens whose price is not known; `cost` is without them."
    )
    cost: Money
    input_cost: Money
    output_cost: Money
    currency: Literal["USD"]
    token_usage: TokenUsage
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    time_to_first_token_ms: Percentiles
    duration_ms: Percentiles


class UsageGroup(UsageLine):
    key: str | None
    name: str | None = Field(description="null where the caller may not read the conversation.")


class Usage(Wire):
    range: Literal["today", "week", "month", "all"]
    group_by: Literal["agent", "user", "model", "provider", "conversation", "day"] | None
    totals: UsageLine
    items: list[UsageGroup]
