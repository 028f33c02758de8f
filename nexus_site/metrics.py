"""`/metrics` in Prometheus' words: what each app's `instruments` count, and the requests counted here.

Counters and times are this process's; `nexus_runs_unfinished`, `nexus_queue_depth` and
`nexus_docket_stream_depth` are the whole installation's, the same in every process.
"""

from __future__ import annotations

from prometheus_client import REGISTRY, Counter, Histogram, generate_latest

import workspaces.instruments  # noqa: F401  (each registers its numbers)

METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")

requests = Counter("nexus_http_requests", "HTTP requests answered.", ["method", "route", "status"])
request_seconds = Histogram(
    "nexus_http_request_seconds",
    "Time until a request was answered, or its stream began.",
    ["route"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 600),
)


def request_done(method: str, route: str, status: int, seconds: float) -> None:
    """`route` is the address pattern, never the address: the number of series stays bounded."""
    requests.labels(method if method in METHODS else "other", route, str(status)).inc()
    request_seconds.labels(route).observe(seconds)


def exposition() -> bytes:
    """All of it in the text format. In a database thread."""
    return generate_latest(REGISTRY)
