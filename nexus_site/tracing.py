"""TracingMiddleware: a span for each HTTP request, under the caller's where it sends `traceparent`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest, HttpResponseBase

from nexus_core import tracing


class TracingMiddleware:
    """Installed only where tracing is on. Names the address pattern, never the address or its query."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> Any:
        if self.is_async:
            return self._acall(request)
        with self._span(request) as made:
            return _answered(request, self.get_response(request), made)

    async def _acall(self, request: HttpRequest) -> HttpResponseBase:
        with self._span(request) as made:
            return _answered(request, await self.get_response(request), made)

    @staticmethod
    def _span(request: HttpRequest) -> Any:
        return tracing.span(
            request.method or "GET",
            parent=tracing.context_of(request.headers.get("traceparent", "")),
            kind="server",
            **{
                "http.request.method": request.method,
                "url.scheme": request.scheme,
                "nexus.request.id": getattr(request, "request_id", ""),
            },
        )


def _answered(request: HttpRequest, response: HttpResponseBase, made: Any) -> HttpResponseBase:
    if made is not None:
        found = request.resolver_match
        if found is not None:
            made.update_name(f"{request.method} /{found.route}")
            made.set_attribute("http.route", f"/{found.route}")
        made.set_attribute("http.response.status_code", response.status_code)
        if response.status_code >= 500:
            made.set_attribute("error.type", str(response.status_code))
    return response
