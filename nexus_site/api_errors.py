"""Errors as HTTP answers: the one translator from exceptions to `{"error": {…}}`."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import orjson
from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation, TooManyFieldsSent
from django.db import DatabaseError, InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from django.http.multipartparser import MultiPartParserError
from ninja import NinjaAPI
from ninja.errors import HttpError, ValidationError

from nexus_core.errors import UNEXPECTED_MESSAGE, NexusError

log = logging.getLogger(__name__)

MOST_DETAILS = 20


def error_response(
    request: HttpRequest, status: int, code: str, message: str, details: Any = None
) -> HttpResponse:
    """`requestId` is what the log lines of this request carry too."""
    error: dict[str, Any] = {
        "code": code,
        "message": message,
        "requestId": getattr(request, "request_id", ""),
    }
    if details is not None:
        error["details"] = details
    body = orjson.dumps({"error": error}, default=str)
    return HttpResponse(body, status=status, content_type="application/json; charset=utf-8")


def add_error_handlers(api: NinjaAPI) -> None:
    for kind, handler in HANDLERS.items():
        api.add_exception_handler(kind, handler)


def _nexus(request: HttpRequest, error: NexusError) -> HttpResponse:
    if error.http_status >= 500:
        log.warning("request failed: %s", error.code)
    response = error_response(
        request, error.http_status, error.code, error.message, getattr(error, "details", None)
    )
    if (seconds := getattr(error, "retry_after", None)) is not None:
        response["Retry-After"] = str(max(1, round(seconds)))
    if error.http_status == 401:
        response["WWW-Authenticate"] = 'Bearer realm="nexus"'
    return response


def _validation(request: HttpRequest, error: ValidationError) -> HttpResponse:
    details = [
        {"field": _field(fault["loc"]), "message": fault["msg"]} for fault in error.errors[:MOST_DETAILS]
    ]
    said = "; ".join(f"{fault['field']}: {fault['message']}" for fault in details[:3])
    return error_response(request, 422, "invalid_request", said or "The request is not valid.", details)


def _field(location: Sequence[str | int]) -> str:
    """`("body", "body", "agentId")` → `agentId`; a body as a whole is `body`."""
    source, *rest = location
    inner = rest[1:] if source in ("body", "form", "file") and len(rest) > 1 else rest
    return ".".join(str(part) for part in inner) or str(source)


def _http(request: HttpRequest, error: HttpError) -> HttpResponse:
    if error.status_code == 400 and error.message.startswith("Cannot parse request body"):
        return error_response(request, 400, "invalid_json", "The body is not JSON, or not valid JSON.")
    code = {401: "unauthorized", 403: "forbidden", 404: "not_found", 429: "too_many_requests"}
    return error_response(
        request, error.status_code, code.get(error.status_code, "invalid_request"), error.message
    )


def _absent(request: HttpRequest, error: Http404) -> HttpResponse:
    return error_response(request, 404, "not_found", "Not found.")


def _denied(request: HttpRequest, error: PermissionDenied) -> HttpResponse:
    return error_response(request, 403, "forbidden", "You may not do this here.")


def _too_big(request: HttpRequest, error: RequestDataTooBig) -> HttpResponse:
    return error_response(
        request, 413, "body_too_large", "The body is too large. Send files by POST /api/files."
    )


def _suspicious(request: HttpRequest, error: Exception) -> HttpResponse:
    return error_response(request, 400, "invalid_request", "The request cannot be read.")


def _database_away(request: HttpRequest, error: DatabaseError) -> HttpResponse:
    log.error("database: %s", type(error).__name__, exc_info=error)
    response = error_response(request, 503, "unavailable", "The database does not answer. Please try again.")
    response["Retry-After"] = "2"
    return response


def _unexpected(request: HttpRequest, error: Exception) -> HttpResponse:
    log.error("unhandled error in the API", exc_info=error)
    return error_response(request, 500, NexusError.code, UNEXPECTED_MESSAGE)


HANDLERS: dict[type[Exception], Any] = {
    NexusError: _nexus,
    ValidationError: _validation,
    HttpError: _http,
    Http404: _absent,
    PermissionDenied: _denied,
    RequestDataTooBig: _too_big,
    TooManyFieldsSent: _suspicious,
    SuspiciousOperation: _suspicious,
    MultiPartParserError: _suspicious,
    UnicodeDecodeError: _suspicious,
    OperationalError: _database_away,
    InterfaceError: _database_away,
    Exception: _unexpected,
}
