"""From a provider's failure to our error tree: status, body and transport faults.

What a person reads comes from `nexus_core.errors`; what the provider said goes to
`cause`, as a `ProviderFault` without the request, so that no header (and with
it no key) travels in an exception.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

import orjson

from ..errors import (
    AUTH_MESSAGE,
    CONTEXT_MESSAGE,
    RATE_MESSAGE,
    SERVER_MESSAGE,
    AuthenticationFailed,
    BadProviderRequest,
    ContextTooLong,
    LLMError,
    ProviderUnavailable,
    RateLimited,
    StreamBroken,
)

JSON = Any

_KIND_STATUS = {
    # Anthropic's error types, which also arrive inside a stream that began with 200.
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
    # OpenAI's, in `error` and `response.failed`.
    "server_error": 500,
    "rate_limit_exceeded": 429,
    "insufficient_quota": 429,
    "invalid_api_key": 401,
    "model_not_found": 404,
    "context_length_exceeded": 400,
    "invalid_prompt": 400,
    "vector_store_timeout": 504,
    "service_unavailable": 503,
    # Google's statuses.
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "RESOURCE_EXHAUSTED": 429,
    "INTERNAL": 500,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}
_TOO_LONG = re.compile(
    r"context_length_exceeded|exceed_context_size|prompt is too long|maximum context length"
    r"|context (length|window|size)|input token count .* exceeds|too many (input )?tokens"
    r"|reduce the length|input is too long|request_too_large|string_above_max_length",
    re.IGNORECASE,
)
_NO_CREDIT = re.compile(
    r"insufficient_quota|insufficient[ _]balance|credit balance is too low|billing_error", re.IGNORECASE
)
_BAD_KEY = re.compile(r"api[_ ]key[_ ](not[_ ]valid|invalid|expired)", re.IGNORECASE)
_DETAIL_LIMIT = 2000


@dataclass(frozen=True, slots=True)
class Where:
    """Who failed, for messages: the provider's name and label, the model, the key to keep secret."""

    provider: str
    label: str
    model: str
    secret: str = ""


class ProviderFault(Exception):
    """What the provider or the transport said: for logs and admins, never for the screen."""

    def __init__(self, said: str, *, status: int | None = None, kind: str = "", request_id: str = "") -> None:
        super().__init__(said)
        self.status = status
        self.kind = kind
        self.request_id = request_id


def retry_after_seconds(headers: Mapping[str, str], now: float | None = None) -> float | None:
    """Seconds to wait by `retry-after-ms` or `Retry-After` (seconds or an HTTP date), never negative.

    None where the provider did not say, or said nothing that can be read. No upper
    bound: who waits decides how long is too long.
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return max(milliseconds / 1000, 0.0)
    value = headers.get("retry-after")
    if value is None:
        return None
    seconds = _number(value)
    if seconds is None:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - (time.time() if now is None else now)
        except (ValueError, OverflowError):
            return None
    return max(seconds, 0.0)


def _number(value: str | None) -> float | None:
    try:
        number = float(value) if value is not None else math.nan
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def refused(where: Where, status: int, headers: Mapping[str, str], body: bytes) -> LLMError:
    """The error of an answer whose status is not a success."""
    error = _error_object(body)
    request_id = next((headers[h] for h in ("request-id", "x-request-id") if headers.get(h)), "")
    return _error(where, status, error, retry_after_seconds(headers), request_id)


def said_in_stream(where: Where, error: JSON) -> LLMError:
    """The error object that a provider sent inside a stream which began well."""
    found = error if isinstance(error, Mapping) else {"message": str(error)}
    for key in ("code", "type", "status"):
        value = found.get(key)
        if isinstance(value, int) and 400 <= value < 600:
            return _error(where, value, found)
        if isinstance(value, str) and value in _KIND_STATUS:
            return _error(where, _KIND_STATUS[value], found)
    return _error(where, 500, found)


def unreachable(where: Where, cause: BaseException, message: str = "") -> ProviderUnavailable:
    """No answer came: refused, lost or timed out before the first byte of it."""
    error = ProviderUnavailable(
        message or SERVER_MESSAGE.format(provider=where.label),
        provider=where.provider,
        model=where.model,
        cause=ProviderFault(_cleaned(where, f"{type(cause).__name__}: {cause}")),
    )
    error.sent = not _never_connected(cause)
    return error


def _never_connected(fault: BaseException | None) -> bool:
    """Whether a fault, or one under it, says that there was no connection to send anything over.

    By name: the clients wrap aiohttp's errors in their own, and a connection that was
    lost later looks like one that timed out there.
    """
    while fault is not None:
        if isinstance(fault, ConnectionRefusedError):
            return True
        if {cls.__name__ for cls in type(fault).__mro__} & {"ClientConnectorError", "ConnectionTimeoutError"}:
            return True
        fault = fault.__cause__ or fault.__context__
    return False


def broken(where: Where, said: str | BaseException) -> StreamBroken:
    """The stream ended without a stop reason, stalled, or could not be read."""
    text = said if isinstance(said, str) else f"{type(said).__name__}: {said}"
    return StreamBroken(
        SERVER_MESSAGE.format(provider=where.label),
        provider=where.provider,
        model=where.model,
        cause=ProviderFault(_cleaned(where, text)),
    )


def _error(
    where: Where,
    status: int,
    error: Mapping[str, JSON],
    retry_after: float | None = None,
    request_id: str = "",
) -> LLMError:
    said = " ".join(str(error[k]) for k in ("code", "type", "status", "message") if error.get(k))
    details = error.get("details")
    if details:
        said = f"{said} {details}"
    kind = str(error.get("type") or error.get("status") or error.get("code") or "")
    cause = ProviderFault(_cleaned(where, said), status=status, kind=kind, request_id=request_id)
    place: dict[str, Any] = {
        "provider": where.provider,
        "model": where.model,
        "status": status,
        "cause": cause,
    }
    server = SERVER_MESSAGE.format(provider=where.label)

    if status == 429:
        if _NO_CREDIT.search(said):
            limited = RateLimited(_no_credit(where), **place)
            limited.retryable = False
            return limited
        return RateLimited(RATE_MESSAGE, retry_after=_google_delay(details, retry_after), **place)
    if status in (401, 403) or (status == 400 and _BAD_KEY.search(said)):
        return AuthenticationFailed(AUTH_MESSAGE, **place)
    if status in (408, 409, 425) or status >= 500:
        return ProviderUnavailable(server, retry_after=retry_after, **place)
    if status in (400, 413, 422) and _TOO_LONG.search(said):
        return ContextTooLong(CONTEXT_MESSAGE, **place)
    if status == 402 or _NO_CREDIT.search(said):
        return BadProviderRequest(_no_credit(where), **place)
    if status == 404:
        return BadProviderRequest(
            f'{where.label} does not know the model "{where.model}", or it is not open to this key.', **place
        )
    if status >= 400:
        return BadProviderRequest(
            f'{where.label} does not accept this request for the model "{where.model}". '
            "Check the settings of the agent.",
            **place,
        )
    return ProviderUnavailable(server, **place)  # a redirect, or a success that is none


def _no_credit(where: Where) -> str:
    return f"The {where.label} account has no credit left."


def _error_object(body: bytes) -> Mapping[str, JSON]:
    """The `error` object of a body, whatever the provider's way to wrap it."""
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {"message": body[:_DETAIL_LIMIT].decode("utf-8", "replace")}
    if isinstance(parsed, list) and parsed:  # Google wraps some errors in a list
        parsed = parsed[0]
    if not isinstance(parsed, Mapping):
        return {"message": str(parsed)}
    error = parsed.get("error", parsed)
    return error if isinstance(error, Mapping) else {**parsed, "message": str(error)}


def _google_delay(details: JSON, header: float | None) -> float | None:
    """Google names the delay in the body, as `RetryInfo`: `"retryDelay": "34.07s"`."""
    if header is None and isinstance(details, list):
        for detail in details:
            delay = detail.get("retryDelay") if isinstance(detail, Mapping) else None
            if isinstance(delay, str) and (seconds := _number(delay.removesuffix("s"))) is not None:
                return max(seconds, 0.0)
    return header


def _cleaned(where: Where, text: str) -> str:
    if where.secret:
        text = text.replace(where.secret, "[key]")
    return text[:_DETAIL_LIMIT]
