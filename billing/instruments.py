"""What the meter counts: requests to providers, their tokens, cost and times; see `workspaces.instruments`."""

from __future__ import annotations

from prometheus_client import Counter, Histogram

from agents.providers import find_spec
from nexus_core.ports import AttemptOutcome, Settled
from workspaces.instruments import LONG_SECONDS, OTHER, FewLabels, seconds, usd

requests = Counter(
    "nexus_provider_requests", "Requests to providers that ended, by outcome.", ["provider", "outcome"]
)
errors = Counter(
    "nexus_provider_errors", "Requests to providers that failed, by error code.", ["provider", "code"]
)
request_seconds = Histogram(
    "nexus_provider_request_seconds",
    "From a request to the end of its answer.",
    ["provider"],
    buckets=LONG_SECONDS,
)
first_token_seconds = Histogram(
    "nexus_provider_first_token_seconds",
    "From a request to the first token of its answer.",
    ["provider"],
    buckets=LONG_SECONDS,
)
tokens = Counter(
    "nexus_tokens", "Tokens of settled requests, by bucket; buckets are disjoint.", ["provider", "bucket"]
)
cost = Counter("nexus_cost_usd", "US dollars of settled requests (the ledger is exact).", ["provider"])
unpriced = Counter("nexus_unpriced_requests", "Settled requests without a known price.", ["provider"])
refusals = Counter("nexus_budget_refusals", "Provider requests that a budget refused, by code.", ["code"])

_codes = FewLabels()


def provider_label(name: str) -> str:
    """Providers are the operator's rows; whatever else a run was asked to use is `other`."""
    return name if find_spec(name) is not None else OTHER


def attempt_settled(provider: str, outcome: AttemptOutcome, settled: Settled) -> None:
    """After the commit that booked it."""
    name = provider_label(provider)
    requests.labels(name, outcome.status).inc()
    if outcome.error_code:
        errors.labels(name, _codes(outcome.error_code)).inc()
    request_seconds.labels(name).observe(seconds(outcome.duration_ms))
    if outcome.time_to_first_token_ms is not None:
        first_token_seconds.labels(name).observe(seconds(outcome.time_to_first_token_ms))
    usage = settled.usage
    for bucket in ("input", "output", "cache_read", "cache_write", "reasoning"):
        if count := getattr(usage, bucket):
            tokens.labels(name, bucket).inc(count)
    if settled.cost.total is None:
        unpriced.labels(name).inc()
    else:
        cost.labels(name).inc(usd(settled.cost.total))


def budget_refused(code: str) -> None:
    """A request that was not made."""
    refusals.labels(code).inc()
