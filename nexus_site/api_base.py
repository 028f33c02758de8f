"""`NexusAPI` (ninja's API with our errors everywhere) and the `Door` that every operation stands behind."""

from __future__ import annotations

import inspect
import json
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any, NoReturn

from asgiref.sync import sync_to_async
from django.http import HttpRequest, HttpResponse, QueryDict
from django.http.response import HttpResponseBase
from django.urls import URLPattern, URLResolver, re_path
from ninja import NinjaAPI
from ninja.openapi.schema import OpenAPISchema
from ninja.parser import Parser

from billing.plans import plan_terms
from conversations.database import in_database
from conversations.engine.recorder import storable, storable_json
from workspaces.access import Actor
from workspaces.auth import authenticate_http
from workspaces.context import bind_actor, bind_named
from workspaces.limits import limit_hit

from .api_errors import error_response
from .api_schema import with_errors

Guard = Callable[[HttpRequest, Actor], None]


class Door:
    """Lets a request in: who it is, how often they came, then the app's own guard. One hop into a thread.

    The actor is at `request.auth` (and `request.actor`). `guard(request, actor)` raises its refusals.
    """

    csrf = True
    """The documentation page sends the CSRF token along."""

    def __init__(self, guard: Guard | None = None) -> None:
        self._guard = guard

    async def __call__(self, request: HttpRequest) -> Actor:
        if request.resolver_match is not None:
            bind_named(request.resolver_match.kwargs)
        actor = await in_database(self._enter, request)
        bind_actor(actor)  # what was bound in the thread stayed there
        return actor

    def _enter(self, request: HttpRequest) -> Actor:
        actor = authenticate_http(request)
        most = plan_terms(actor.workspace.plan).requests_per_minute
        limit_hit("requests", actor, per_minute=most)
        if self._guard is not None:
            self._guard(request, actor)
        return actor


class NexusParser(Parser):
    """JSON as it is sent, with what no database stores (NUL, lone surrogates) replaced."""

    def parse_body(self, request: HttpRequest) -> Any:
        return storable_json(json.loads(request.body, parse_constant=_no_number))

    def parse_querydict(self, data: Any, list_fields: list[str], request: HttpRequest) -> dict[str, Any]:
        found: dict[str, Any] = super().parse_querydict(data, list_fields, request)
        return (
            {name: _clean(value) for name, value in found.items()} if isinstance(data, QueryDict) else found
        )


def _clean(value: Any) -> Any:
    return [storable(item) for item in value] if isinstance(value, list) else storable(value)


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


class NexusAPI(NinjaAPI):
    def __init__(self, **options: Any) -> None:
        super().__init__(parser=NexusParser(), **options)

    def get_openapi_schema(self, **options: Any) -> OpenAPISchema:
        return with_errors(super().get_openapi_schema(**options))

    def _get_bound_routers(self) -> list[Any]:
        routers: list[Any] = super()._get_bound_routers()
        for router in routers:
            for path_view in router.path_operations.values():
                for operation in path_view.operations:
                    operation.by_alias = True  # documented as it is sent: camelCase
        return routers

    def _get_urls(self) -> list[URLResolver | URLPattern]:
        """Ninja's addresses without its root, and behind them ours for what is not there."""
        found = super()._get_urls()
        for pattern in found:
            if isinstance(pattern, URLPattern):
                pattern.callback = _answering(pattern.callback)
        return [*found[:-1], _root(found[-1]), re_path(r"^.*$", absent)]


def _root(pattern: URLResolver | URLPattern) -> URLResolver | URLPattern:
    # Its name is what ninja finds the API's own address by; what it answers is an absent address.
    if isinstance(pattern, URLPattern):
        pattern.callback = absent
    return pattern


async def absent(request: HttpRequest, **kwargs: Any) -> HttpResponse:
    return error_response(request, 404, "not_found", "There is no such address in the API.")


def _answering(view: Callable[..., Any]) -> Callable[..., Awaitable[HttpResponseBase]]:
    """The view with our shape where ninja answers in text (a method that is not there)."""
    run = view if inspect.iscoroutinefunction(view) else sync_to_async(view)

    @wraps(view)
    async def answering(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        response: HttpResponseBase = await run(request, *args, **kwargs)
        if response.status_code == 405 and "json" not in response.get("Content-Type", ""):
            allowed = response.get("Allow", "")
            response = error_response(
                request,
                405,
                "method_not_allowed",
                f"{request.method} is not possible here. Possible: {allowed}.",
            )
            response["Allow"] = allowed
        return response

    answering.csrf_exempt = True  # type: ignore[attr-defined]
    return answering
