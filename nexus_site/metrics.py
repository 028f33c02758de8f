"""What this server counts, in Prometheus' words. No ids, names or text of anybody.

Requests and sockets are this process's; runs, tokens and times come from the
database, of all processes, at most every fifteen seconds.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.db.models import Count, Q, Sum
from django.utils import timezone
from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from conversations.models import Run
from realtime.hub import existing_hub

RUNS_SECONDS = 15.0
WORKSPACE_ROOMS = "workspace."
RECENT_SECONDS = 600
MOST_RECENT = 5000
METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")

disable_created_metrics()  # type: ignore[no-untyped-call]
registry = CollectorRegistry()
requests = Counter(
    "nexus_http_requests", "API requests answered.", ["method", "route", "status"], registry=registry
)
request_seconds = Histogram(
    "nexus_http_request_seconds",
    "Time until an API request was answered, or its stream began.",
    ["route"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 600),
    registry=registry,
)


def request_done(method: str, route: str, status: int, seconds: float) -> None:
    """`route` is the address pattern, never the address: the number of series stays bounded."""
    requests.labels(method if method in METHODS else "other", route, str(status)).inc()
    request_seconds.labels(route).observe(seconds)


class RunNumbers(Collector):
    """Runs by status, tokens, and time to first token of the last ten minutes."""

    def __init__(self) -> None:
        self._read_at = float("-inf")
        self._families: list[Metric] = []

    def collect(self) -> Iterator[Metric]:
        now = time.monotonic()
        if now - self._read_at >= RUNS_SECONDS:
            self._families, self._read_at = _read(), now
        yield from self._families


def _read() -> list[Metric]:
    runs = GaugeMetricFamily("nexus_runs", "Runs by status.", labels=["status"])
    counted = dict(Run.objects.values_list("status").annotate(Count("id")).order_by())
    for status in Run.Status.values:
        runs.add_metric([status], counted.get(status, 0))
    depth = GaugeMetricFamily(
        "nexus_queue_depth", "Runs that wait for their turn.", value=counted.get("queued", 0)
    )
    tokens = GaugeMetricFamily("nexus_tokens", "Tokens of all runs, by kind.", labels=["kind"])
    columns = ("input", "output", "cache_read", "cache_write", "reasoning")
    sums: dict[str, Any] = Run.objects.aggregate(**{name: Sum(f"tokens_{name}") for name in columns})
    for name in columns:
        tokens.add_metric([name], sums[name] or 0)
    since = timezone.now() - timedelta(seconds=RECENT_SECONDS)
    first = sorted(
        found
        for found in Run.objects.filter(Q(first_token_ms__isnull=False), created_at__gte=since)
        .order_by("-created_at")
        .values_list("first_token_ms", flat=True)[:MOST_RECENT]
        if found is not None
    )
    waits = GaugeMetricFamily(
        "nexus_time_to_first_token_ms",
        "From the message to its answer's first word, last ten minutes.",
        labels=["quantile"],
    )
    for share in (50, 95, 99):
        if first:
            waits.add_metric([f"0.{share}"], first[min(len(first) - 1, len(first) * share // 100)])
    return [runs, depth, tokens, waits]


class Sockets(Collector):
    def collect(self) -> Iterator[Metric]:
        hub = existing_hub()
        # Every socket stands in exactly one workspace's room.
        rooms = [room for room in hub.rooms() if room.startswith(WORKSPACE_ROOMS)] if hub is not None else []
        count = sum(hub.members(room) for room in rooms) if hub is not None else 0
        yield GaugeMetricFamily("nexus_sockets", "Open sockets of this process.", value=count)


registry.register(RunNumbers())
registry.register(Sockets())


def exposition() -> bytes:
    """All of it in the text format. In a database thread."""
    return generate_latest(registry)
