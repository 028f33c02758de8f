"""RequestMiddleware: every answer carries `X-Request-Id`, its log lines name it, and it is counted."""

from __future__ import annotations

import re
import uuid
from collections.abc import Awaitable, Callable
from time import perf_counter

import structlog
from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest, HttpResponseBase

from workspaces.audit.origin import request_came

from . import metrics

_GIVEN = re.compile(r"^[A-Za-z0-9._-]{8,64}$")
NO_ROUTE = "none"


class RequestMiddleware:
    """Takes a sane `X-Request-Id` of a proxy, else makes one; `request.request_id` has it."""

    sync_capable = True
    async_capable = True

    def __init__(
        self, get_response: Callable[[HttpRequest], HttpResponseBase | Awaitable[HttpResponseBase]]
    ) -> None:
        self.get_response = get_response
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        if self.is_async:
            return self._acall(request)
        began = self._begin(request)
        response = self.get_response(request)
        assert isinstance(response, HttpResponseBase)
        return self._end(request, response, began)

    async def _acall(self, request: HttpRequest) -> HttpResponseBase:
        began = self._begin(request)
        response = await self.get_response(request)  # type: ignore[misc]
        return self._end(request, response, began)

    @staticmethod
    def _begin(request: HttpRequest) -> float:
        given = request.headers.get("X-Request-Id", "")
        request.request_id = given if _GIVEN.match(given) else uuid.uuid4().hex  # type: ignore[attr-defined]
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request.request_id)  # type: ignore[attr-defined]
        request_came(request)
        return perf_counter()

    @staticmethod
    def _end(request: HttpRequest, response: HttpResponseBase, began: float) -> HttpResponseBase:
        response["X-Request-Id"] = request.request_id  # type: ignore[attr-defined]
        found = request.resolver_match
        route = (found.route if found else "") or (found.url_name if found else "") or NO_ROUTE
        metrics.request_done(request.method or "", route, response.status_code, perf_counter() - began)
        return response
