"""What runs and their log count; see `workspaces.instruments`.

The tallies belong to the log writer's thread: one addition per flush and run, none per chunk.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.db.models import Count
from prometheus_client import REGISTRY, Counter, Gauge, Histogram
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from agents import toolbox
from agents.shipped import AGENTS
from billing.instruments import provider_label
from nexus_core.chunks import MetadataChunk
from nexus_core.ports import ToolRecord
from workspaces.instruments import LONG_SECONDS, OTHER, QUICK_SECONDS, FewLabels, Tally, seconds

from .models import Run

log = logging.getLogger(__name__)

SHIPPED = frozenset(agent.slug for agent in AGENTS)
READ_SECONDS = 5.0
"""How old the numbers from the database may be."""

runs_ended = Counter(
    "nexus_runs_ended",
    "Runs that ended in this process. An agent that was made here is counted as `custom`.",
    ["status", "agent", "provider"],
)
run_errors = Counter("nexus_run_errors", "Runs that failed, by error code.", ["code"])
run_seconds = Histogram(
    "nexus_run_seconds", "From the beginning of a run to its end.", ["status"], buckets=LONG_SECONDS
)
first_token_seconds = Histogram(
    "nexus_time_to_first_token_seconds",
    "From a message to its answer's first word, the wait in the queue included.",
    ["provider"],
    buckets=LONG_SECONDS,
)
live_runs = Gauge("nexus_runs_live", "Runs that this process executes.")
takeovers = Counter("nexus_run_takeovers", "Runs taken over from another owner or an earlier start.")
retries = Counter("nexus_provider_retries", "Provider requests sent again, by error code.", ["code"])
fallbacks = Counter("nexus_provider_fallbacks", "Answers asked of a fallback provider.", ["provider"])
tool_calls = Counter("nexus_tool_calls", "Tool calls that ended, by status.", ["tool", "status"])
tool_seconds = Histogram("nexus_tool_seconds", "How long a tool took.", ["tool"], buckets=QUICK_SECONDS)
logs_packed = Counter("nexus_logs_packed", "Runs whose log was packed.")
log_rows_packed = Counter("nexus_log_rows_packed", "Rows of logs that went into packs.")
loop_lag = Gauge("nexus_event_loop_lag_seconds", "How late the event loop came to its last turn.")

chunk_latency = Tally(
    "nexus_chunk_latency_seconds",
    "From a provider's piece, the oldest of a flush, to its publishing after the commit. One count a run and flush.",
    QUICK_SECONDS,
)
flush_seconds = Tally("nexus_log_flush_seconds", "One transaction of the log's writer.", QUICK_SECONDS)
flush_rows = Tally(
    "nexus_log_flush_rows",
    "Chunks stored by one transaction.",
    (1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000),
)

_codes = FewLabels()


def run_ended(run: Run) -> None:
    """After the commit of its terminal chunk."""
    agent = run.agent_slug if run.agent_slug in SHIPPED else "custom"
    provider = provider_label(run.provider) if run.provider else "none"
    runs_ended.labels(run.status, agent, provider).inc()
    if run.error_code:
        run_errors.labels(_codes(run.error_code)).inc()
    if run.started_at is not None and run.finished_at is not None:
        run_seconds.labels(run.status).observe((run.finished_at - run.started_at).total_seconds())
    if run.first_token_ms is not None:
        first_token_seconds.labels(provider).observe(seconds(run.first_token_ms))
    _log_end(run)


def _log_end(run: Run) -> None:
    """One line for each run, a failed one's too: whoever ran it, how it ended, what it took."""
    said: dict[str, Any] = {
        "run_id": str(run.pk),
        "conversation_id": str(run.conversation_id),
        "workspace_id": str(run.workspace_id),
        "agent_id": run.agent_slug,
        "status": run.status,
        "provider": run.provider,
        "model": run.model,
        "code": run.error_code,
        "stop_reason": run.stop_reason,
        "first_token_ms": run.first_token_ms,
        "tokens": run.tokens_input
        + run.tokens_output
        + run.tokens_cache_read
        + run.tokens_cache_write
        + run.tokens_reasoning,
    }
    level = logging.WARNING if run.status == Run.Status.FAILED else logging.INFO
    log.log(
        level, "run ended", extra={name: value for name, value in said.items() if value not in (None, "")}
    )


def told(chunk: MetadataChunk) -> None:
    """What the loop says of its own: another try, another provider."""
    if chunk.status == "retrying":
        retries.labels(_codes(str(chunk.fields.get("code") or ""))).inc()
    elif chunk.status == "fallback":
        fallbacks.labels(provider_label(str(chunk.fields.get("provider") or ""))).inc()


def tool_ended(call: ToolRecord) -> None:
    """A model may make names up: only installed tools have a label."""
    known = {tool.name for tool in toolbox.all()}
    name = call.name if call.name in known else OTHER
    tool_calls.labels(name, call.status).inc()
    if call.duration_ms is not None:
        tool_seconds.labels(name).observe(seconds(call.duration_ms))


class Queue(Collector):
    """Unfinished runs of the whole installation, the same in every process; and with Redis what waits there."""

    def __init__(self) -> None:
        self._read_at = float("-inf")
        self._families: list[Metric] = []

    def describe(self) -> Iterator[Metric]:
        """Without this the registry would ask the database when the module is imported."""
        yield from ()

    def collect(self) -> Iterator[Metric]:
        now = time.monotonic()
        if now - self._read_at >= READ_SECONDS:
            self._families, self._read_at = list(self._read()), now
        yield from self._families

    def _read(self) -> Iterator[Metric]:
        found = Run.objects.filter(status__in=Run.UNFINISHED).values_list("status").annotate(n=Count("id"))
        counted = dict(found.order_by())
        unfinished = GaugeMetricFamily(
            "nexus_runs_unfinished",
            "Runs of all processes that have not ended, from the database.",
            labels=["status"],
        )
        for status in Run.UNFINISHED:
            unfinished.add_metric([status.value], counted.get(status.value, 0))
        yield unfinished
        yield GaugeMetricFamily(
            "nexus_queue_depth",
            "Runs of all processes that wait for their turn or a worker, from the database.",
            value=counted.get(Run.Status.QUEUED.value, 0),
        )
        if settings.NEXUS_REDIS_URL:
            depth = _docket_depth()
            if depth is not None:
                yield GaugeMetricFamily(
                    "nexus_docket_stream_depth",
                    "Deliveries in the docket stream that no worker has finished.",
                    value=depth,
                )


def _docket_depth() -> int | None:
    import redis

    try:
        with redis.Redis.from_url(
            settings.NEXUS_REDIS_URL, socket_timeout=1, socket_connect_timeout=1
        ) as server:
            length: Any = server.xlen("nexus:stream")
            return int(length)
    except (redis.RedisError, OSError):
        return None


REGISTRY.register(Queue())
