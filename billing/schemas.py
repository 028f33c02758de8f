"""What HTTP gives for usage."""

from __future__ import annotations

from datetime import date, datetime
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


class Span(Wire):
    """Whole days of the caller, `to` included, and how long a part of what is told over time is."""

    range: Literal["today", "week", "month", "all", "custom"]
    from_: date = Field(alias="from")
    to: date
    time_zone: str
    unit: Literal["hour", "day", "week", "month"]


class Line(Wire):
    requests: int = Field(description="Requests to providers, failed and retried ones too.")
    errors: int
    estimated: int = Field(
        description="Requests whose tokens were counted here, since the provider never said."
    )
    unpriced: int = Field(
        description="Requests with tokens whose price is not known; `cost` is without them."
    )
    retries: int = Field(description="Requests that were another try of the same model call.")
    fallbacks: int = Field(description="Of them, those that went to another model or provider.")
    lost: int = Field(description="Requests whose process died; settled at what the log showed.")
    cost: Money
    input_cost: Money
    output_cost: Money
    currency: Literal["USD"]
    token_usage: TokenUsage


class GroupLine(Line):
    key: str | None
    name: str | None = Field(description="null where the caller may not read the conversation.")


class Before(Wire):
    """The same number of days right before."""

    from_: date = Field(alias="from")
    to: date
    requests: int
    errors: int
    unpriced: int
    cost: Money


class BucketCost(Wire):
    bucket: str = Field(description="A bucket of tokens, or `fees`: by the request and by the search.")
    tokens: int | None
    unpriced_tokens: int
    cost: Money


class Series(Wire):
    key: str | None
    name: str | None
    is_rest: bool = Field(description="All groups together that have no series of their own.")
    cost: list[str | None]


class TokenColumns(Wire):
    input: list[int]
    cache_read: list[int]
    cache_write: list[int]
    output: list[int]
    reasoning: list[int]


class OverTime(Wire):
    """Columns: the n-th number is of the part that begins at the n-th of `starts`."""

    starts: list[datetime]
    series: list[Series]
    tokens: TokenColumns
    requests: list[int]
    errors: list[int]


class Overview(Wire):
    span: Span
    group_by: Literal["agent", "model", "provider", "user", "conversation", "purpose"]
    totals: Line
    before: Before | None
    cost_by_bucket: list[BucketCost] = Field(description="Adds up to the cost of the totals.")
    groups: list[GroupLine] = Field(description="The dearest first, at most 50.")
    rest: Line | None = Field(description="What the groups that are not listed have together.")
    over_time: OverTime


class MorePercentiles(Percentiles):
    p99: int | None


class GroupTimes(Wire):
    key: str | None
    name: str | None
    requests: int
    errors: int
    time_to_first_token_ms: MorePercentiles
    duration_ms: MorePercentiles


class FirstTokens(Wire):
    starts: list[datetime]
    time_to_first_token_ms: list[MorePercentiles]


class Latencies(Wire):
    span: Span
    group_by: Literal["agent", "model", "provider", "user", "conversation", "purpose"]
    time_to_first_token_ms: MorePercentiles
    duration_ms: MorePercentiles
    groups: list[GroupTimes] = Field(description="Those with the most requests first, at most 50.")
    over_time: FirstTokens


class ToolLine(Wire):
    name: str
    calls: int
    errors: int
    unknown: int = Field(description="Calls of which nobody knows whether they had an effect.")
    duration_ms: MorePercentiles


class Recovery(Wire):
    takeovers: int = Field(description="Owners of runs that were lost and replaced.")
    handovers: int = Field(description="Owners that stopped in good order and gave their run away.")
    resumed: int = Field(description="Runs that went on from a failed or stopped one.")


class Reliability(Wire):
    span: Span
    tools: list[ToolLine]
    recovery: Recovery


class AttemptLine(Wire):
    """One request to a provider."""

    id: str
    started_at: datetime
    status: Literal["RESERVED", "SENT", "STREAMING", "SETTLED", "UNKNOWN"]
    success: bool | None
    error: str | None
    purpose: Literal["chat", "title", "other"]
    agent_id: str | None
    agent_name: str | None
    user_id: str | None
    user_name: str | None
    conversation_id: str | None
    conversation_title: str | None = Field(description="null where the caller may not read the conversation.")
    run_id: str | None
    step: int
    number: int = Field(description="Which try of that model call.")
    provider: str
    model: str
    token_usage: TokenUsage
    estimated: bool
    cost: Money
    currency: Literal["USD"]
    time_to_first_token_ms: int | None
    duration_ms: int | None


class AttemptList(Wire):
    items: list[AttemptLine]
    next_cursor: str | None


class PriceTold(Wire):
    """The version of the price that was in force when the request was made. It never changes."""

    id: str
    origin: Literal["override", "catalogue", "hardware"]
    model: str
    context_over: int
    valid_from: datetime
    valid_to: datetime | None
    source: str


class AttemptBucket(Wire):
    bucket: str
    count: int
    price_pico: int | None = Field(description="pico-USD (10⁻¹² USD) per token, request or search.")
    cost_pico: str | None = Field(description="count × pricePico, as a decimal string.")
    cost: Money


class AttemptInFull(AttemptLine):
    answered_model: str | None
    max_tokens: int
    epoch: int
    searches: int
    stop_reason: str | None
    provider_request_id: str | None
    settled_at: datetime | None
    price: PriceTold | None
    buckets: list[AttemptBucket] = Field(description="Adds up to the cost.")
