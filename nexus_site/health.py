"""`/livez` (the process answers), `/readyz` (it can do its work), `/metrics`.

Metrics are for whoever runs the server: at loopback without a proxy in between, or
with `Authorization: Bearer <NEXUS_METRICS_TOKEN>`. To everyone else there is no such page.
"""

from __future__ import annotations

import asyncio
import hmac
import logging

from django.conf import settings
from django.core.cache import cache
from django.db import connection
from django.http import HttpRequest, HttpResponse, HttpResponseNotFound, JsonResponse
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST

from conversations.database import in_database
from conversations.engine import port

from .metrics import exposition

log = logging.getLogger(__name__)

CHECK_SECONDS = 3.0
LOOPBACK = ("127.0.0.1", "::1", "::ffff:127.0.0.1")
FORWARDED = ("X-Forwarded-For", "Forwarded", "X-Real-Ip", "X-Forwarded-Host")


@require_safe
async def livez(request: HttpRequest) -> HttpResponse:
    return HttpResponse("ok\n", content_type="text/plain")


@require_safe
async def readyz(request: HttpRequest) -> JsonResponse:
    """200, or 503 with what is missing."""
    checks = {"database": await _database(), "engine": "ok" if port.current() is not None else "not started"}
    if settings.NEXUS_REDIS_URL:
        checks["redis"] = await _redis()
    ready = all(said == "ok" for said in checks.values())
    response = JsonResponse({"ready": ready, "checks": checks}, status=200 if ready else 503)
    response["Cache-Control"] = "no-store"
    return response


@require_safe
async def metrics(request: HttpRequest) -> HttpResponse:
    if not may_see_metrics(request):
        return HttpResponseNotFound("Not found.\n", content_type="text/plain")
    return HttpResponse(await in_database(exposition), content_type=CONTENT_TYPE_LATEST)


def may_see_metrics(request: HttpRequest) -> bool:
    token: str = settings.NEXUS_METRICS_TOKEN
    header = request.headers.get("Authorization", "")
    if token and hmac.compare_digest(header.encode(), f"Bearer {token}".encode()):
        return True
    # A proxy on the same machine makes everyone look like loopback; it says so in a header.
    forwarded = any(name in request.headers for name in FORWARDED)
    return request.META.get("REMOTE_ADDR") in LOOPBACK and not forwarded


async def _database() -> str:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            await in_database(_ask_database)
    except Exception as fault:
        log.warning("readyz: database: %s", type(fault).__name__)
        return "does not answer"
    return "ok"


def _ask_database() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        cursor.fetchone()


async def _redis() -> str:
    """The cache is the same Redis."""
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            await in_database(cache.get, "readyz")
    except Exception as fault:
        log.warning("readyz: redis: %s", type(fault).__name__)
        return "does not answer"
    return "ok"
