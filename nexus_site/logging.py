"""Structured logs: one line an event, with ids and codes, never message text or secrets.

What is bound to the context (`request_id`, `connection_id`, `workspace_id`, `run_id` …) is on every
line of that request, socket or run, whichever thread writes it. JSON in production, readable in DEBUG.
"""

from __future__ import annotations

import os
import re
import sys
import traceback
from collections.abc import Iterable, Mapping, MutableMapping
from functools import cache
from typing import Any

import structlog

CHATTY = (
    # At DEBUG they write what they carry: SQL with its values, frames, bodies of requests to providers.
    "aiohttp",
    "anthropic",
    "asyncio",
    "django.db.backends",
    "httpcore",
    "httpcore2",
    "openai",
    "redis",
    "uvicorn.error",
    "websockets",
)
QUIET = (
    # The access log is the proxy's business, Daphne's is `access_log.py`; these would repeat it.
    "daphne",
    "django.channels.server",
    "docket",
    "httpx",
    "httpx2",
    "uvicorn.access",
)
MOST_TEXT = 300
"""Characters of a fault's own words that are kept."""
SAY_WHAT_THEY_GOT = frozenset({"ValueError", "LookupError", "DataError", "IntegrityError", "ProviderFault"})
"""Errors that quote what they were given: with their subclasses, only their names are logged."""
STORE_AWAY = frozenset(
    {
        "django.db.utils.InterfaceError",
        "django.db.utils.InternalError",
        "django.db.utils.OperationalError",
        "redis.exceptions.ConnectionError",
        "redis.exceptions.TimeoutError",
    }
)
"""A store that does not answer: where that was noticed says nothing, so it is one line (`fault`) without frames."""
MASK = "[secret]"

_SECRETS = re.compile(
    r"nxs_[A-Za-z0-9_-]{8,}"  # our tokens
    r"|\bsk-[A-Za-z0-9_-]{8,}|\bAIza[A-Za-z0-9_-]{20,}|\bgsk_[A-Za-z0-9]{16,}|\bgh[pousr]_[A-Za-z0-9]{16,}"
    r"|(?<=ticket\.)[A-Za-z0-9_-]{8,}"
    r"|(?i:(?<=bearer )[^\s\"',]{6,})"
    r"|(?i:(?<=api-key: )[^\s\"',]{6,})"
    r"|(?<=://)[^\s/@:]*:[^\s/@]+(?=@)"  # user:password@ in an address
)
_NAMES_OF_SECRETS = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD)S?$")

EventDict = MutableMapping[str, Any]


@cache
def _own_secrets() -> tuple[str, ...]:
    """The values of the environment's secrets, longest first: a key has no shape of its own with some providers."""
    found = {
        part
        for name, value in os.environ.items()
        if _NAMES_OF_SECRETS.search(name.upper())
        for part in [value, *value.split(",")]
        if len(part) >= 12
    }
    return tuple(sorted(found, key=len, reverse=True))


def masked(text: str) -> str:
    """The text without what looks like, or is, a secret."""
    for secret in _own_secrets():
        if secret in text:
            text = text.replace(secret, MASK)
    return _SECRETS.sub(MASK, text)


def mask_secrets(_: Any, __: str, event: EventDict) -> EventDict:
    """The last look at a line, whoever wrote it."""
    for name, value in event.items():
        if isinstance(value, str):
            event[name] = masked(value)
        elif isinstance(value, Mapping | list | tuple):
            event[name] = masked(repr(value))
    return event


def add_exception(_: Any, __: str, event: EventDict) -> EventDict:
    """Where a fault happened, and its name; its own words only where they do not quote the data."""
    info = event.pop("exc_info", None)
    if info is True:
        info = sys.exc_info()
    if isinstance(info, BaseException):
        info = (type(info), info, info.__traceback__)
    if isinstance(info, tuple) and info[1] is not None:
        if STORE_AWAY & {f"{cls.__module__}.{cls.__qualname__}" for cls in type(info[1]).__mro__}:
            event["fault"] = fault_text(info[1]).splitlines()[-1]
        else:
            event["exception"] = fault_text(info[1])
    return event


def fault_text(fault: BaseException) -> str:
    """A traceback without values: frames, then each fault's name and words. Causes first."""
    parts: list[str] = []
    for one in _chain(fault):
        parts += traceback.format_tb(one.__traceback__)
        parts.append(f"{type(one).__module__}.{type(one).__qualname__}{_words(one)}\n")
    return "".join(parts).rstrip()


def _chain(fault: BaseException) -> Iterable[BaseException]:
    found: list[BaseException] = []
    at: BaseException | None = fault
    while at is not None and at not in found and len(found) < 8:
        found.append(at)
        at = at.__cause__ or (None if at.__suppress_context__ else at.__context__)
    return reversed(found)


def _words(fault: BaseException) -> str:
    if {cls.__name__ for cls in type(fault).__mro__} & SAY_WHAT_THEY_GOT:
        return ""
    said = str(fault).strip()
    first = said.splitlines()[0] if said else ""  # PostgreSQL quotes rows from the second line on
    return f": {first[:MOST_TEXT]}" if first else ""


def logging_config(level: str, *, json: bool) -> dict[str, Any]:
    """A `dictConfig` in which Django's loggers and ours share one formatter."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(allow=EXTRAS),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    last = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if json
        else structlog.dev.ConsoleRenderer(colors=False)
    )
    calm = "INFO" if level == "DEBUG" else level
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "line": {
                "()": structlog.stdlib.ProcessorFormatter,
                "processors": [
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    add_exception,
                    mask_secrets,
                    last,
                ],
                "foreign_pre_chain": shared,
            }
        },
        "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
        "root": {"handlers": ["console"], "level": level},
        "loggers": {
            "django": {"level": level},
            # uvicorn sets up handlers of its own before the application is loaded.
            "uvicorn": {"handlers": [], "propagate": True},
            **{name: {"level": calm, "handlers": [], "propagate": True} for name in CHATTY},
            **{name: {"level": "WARNING", "handlers": [], "propagate": True} for name in QUIET},
        },
    }


EXTRAS = [
    "run_id",
    "conversation_id",
    "workspace_id",
    "agent_id",
    "provider",
    "model",
    "status",
    "code",
    "http_status",
    "method",
    "path",
    "stop_reason",
    "epoch",
    "duration_ms",
    "first_token_ms",
    "tokens",
    "cost_usd",
    "tool",
    "delay_ms",
    "attempt",
    "provider_request_id",
]
"""Fields that a line may carry besides its text (`log.info(…, extra={…})`): ids, codes and numbers."""
