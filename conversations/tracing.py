"""Tracing of this process: on when `OTEL_EXPORTER_OTLP_ENDPOINT` names a collector, else nothing is imported.

The span that a run was started under is kept in the cache by the run's id (with Redis for all
processes), so that a worker, a later turn in the queue and an owner after a takeover go on in the same trace.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.cache import cache

from nexus_core import tracing

log = logging.getLogger(__name__)

CARRIED_SECONDS = 24 * 3600
FLUSH_SECONDS = 5.0
_provider: Any = None


def start() -> None:
    """Called when a server or worker process starts. The SDK reads its own `OTEL_…` variables."""
    global _provider
    if not settings.NEXUS_TRACING or _provider is not None:
        return
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    # Not the global provider: only what this code asks for is exported, not the spans of libraries.
    # `Resource.create` lets OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES win only over its own defaults.
    _provider = TracerProvider(
        resource=Resource({SERVICE_NAME: "nexus"}).merge(Resource.create()), shutdown_on_exit=False
    )
    _provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    tracing.enable(_provider.get_tracer("nexus"), content=settings.NEXUS_TRACE_CONTENT)
    log.info("tracing is on")


async def stop() -> None:
    """Sends what is left, within reason."""
    global _provider
    provider, _provider = _provider, None
    if provider is None:
        return
    tracing.disable()
    try:
        async with asyncio.timeout(FLUSH_SECONDS):
            await asyncio.to_thread(provider.shutdown)
    except TimeoutError:
        log.warning("the collector did not take the last spans in time")


def carry(run_id: UUID) -> None:
    """Remembers the current span as the parent of that run. After the commit that made it."""
    if tracing.enabled() and (traceparent := tracing.carrier()):
        try:
            cache.set(_key(run_id), traceparent, CARRIED_SECONDS)
        except Exception as fault:  # Redis is away: the run gets a trace of its own
            log.warning("the trace of a run could not be carried on (%s)", type(fault).__name__)


def carried(run_id: UUID) -> Any:
    """The context that the run was started under, or None. In a database thread."""
    if not tracing.enabled():
        return None
    try:
        return tracing.context_of(cache.get(_key(run_id)) or "")
    except Exception as fault:
        log.warning("the trace of a run could not be found (%s)", type(fault).__name__)
        return None


def _key(run_id: UUID) -> str:
    return f"nexus:trace:{run_id}"
