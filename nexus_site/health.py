"""`/livez` (the event loop turns), `/readyz` (this process can do its work), `/metrics`.

They are answered before anything else is looked at, so that a probe by plain address, over plain
http and without a database gets its answer. Metrics are for whoever runs the server: at loopback
without a proxy in between, or with `Authorization: Bearer <NEXUS_METRICS_TOKEN>`. To everyone
else there is no such page.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

from asgiref.sync import async_to_sync, iscoroutinefunction, markcoroutinefunction
from django.conf import settings
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseNotFound, JsonResponse
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST

from conversations.database import in_database
from conversations.engine.condition import conditions

from .metrics import exposition

log = logging.getLogger(__name__)

CHECK_SECONDS = 3.0
AGAIN_SECONDS = 5.0
"""How long an answer about missing migrations holds."""
LOOPBACK = ("127.0.0.1", "::1", "::ffff:127.0.0.1")
FORWARDED = ("X-Forwarded-For", "Forwarded", "X-Real-Ip", "X-Forwarded-Host")

_migrated = False
_unmigrated_at = float("-inf")


@require_safe
async def livez(request: HttpRequest) -> HttpResponse:
    """On the event loop: whoever gets it knows that the loop turns."""
    return HttpResponse("ok\n", content_type="text/plain")


@require_safe
async def readyz(request: HttpRequest) -> JsonResponse:
    """200, or 503 with what is missing."""
    checks = {"database": await _database(), **conditions()}
    if checks["database"] == "ok":
        checks["migrations"] = await _migrations()
    if settings.NEXUS_REDIS_URL:
        checks["redis"] = await _redis()
    ready = all(said == "ok" for said in checks.values())
    response = JsonResponse({"ready": ready, "checks": checks}, status=200 if ready else 503)
    response["Cache-Control"] = "no-store"
    response._has_been_logged = True  # type: ignore[attr-defined]  # asked every few seconds: not a line each
    return response


@require_safe
async def metrics(request: HttpRequest) -> HttpResponse:
    if not may_see_metrics(request):
        return HttpResponseNotFound("Not found.\n", content_type="text/plain")
    return HttpResponse(await in_database(exposition), content_type=CONTENT_TYPE_LATEST)


PROBES: dict[str, Callable[[HttpRequest], Awaitable[HttpResponse]]] = {
    "/livez": livez,
    "/readyz": readyz,
    "/metrics": metrics,
}


class ProbeMiddleware:
    """The first of all: no host, cookie, redirect or session stands before a probe."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> Any:
        probe = PROBES.get(request.path_info)
        if self.is_async:
            return self._acall(request, probe)
        return self.get_response(request) if probe is None else async_to_sync(probe)(request)

    async def _acall(self, request: HttpRequest, probe: Any) -> HttpResponseBase:
        response: HttpResponseBase = await (self.get_response if probe is None else probe)(request)
        return response


def may_see_metrics(request: HttpRequest) -> bool:
    token: str = settings.NEXUS_METRICS_TOKEN
    header = request.headers.get("Authorization", "")
    if token and hmac.compare_digest(header.encode(), f"Bearer {token}".encode()):
        return True
    # A proxy on the same machine makes everyone look like loopback; it says so in a header.
    forwarded = any(name in request.headers for name in FORWARDED)
    return request.META.get("REMOTE_ADDR") in LOOPBACK and not forwarded


async def _database() -> str:
    return await _answers("database", _ask_database)


def _ask_database() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        cursor.fetchone()


async def _migrations() -> str:
    """Looked at until they are all there, then never again: a process does not lose them."""
    global _migrated, _unmigrated_at
    if _migrated:
        return "ok"
    if time.monotonic() - _unmigrated_at < AGAIN_SECONDS:
        return "not applied"
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            missing = await in_database(_missing_migrations)
    except Exception as fault:
        log.warning("readyz: migrations: %s", type(fault).__name__)
        return "does not answer"
    if missing:
        _unmigrated_at = time.monotonic()
        return "not applied"
    _migrated = True
    return "ok"


def _missing_migrations() -> int:
    executor = MigrationExecutor(connection)
    return len(executor.migration_plan(executor.loader.graph.leaf_nodes()))


async def _redis() -> str:
    return await _answers("redis", _ask_redis)


def _ask_redis() -> None:
    import redis

    with redis.Redis.from_url(settings.NEXUS_REDIS_URL, socket_timeout=2, socket_connect_timeout=2) as server:
        server.ping()


async def _answers(name: str, ask: Callable[[], None]) -> str:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            await in_database(ask)
    except Exception as fault:
        log.warning("readyz: %s: %s", name, type(fault).__name__)
        return "does not answer"
    return "ok"
