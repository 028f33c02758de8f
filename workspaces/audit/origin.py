"""Where a request or a socket came from, for what is recorded on its behalf."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import structlog
from django.conf import settings
from django.http import HttpRequest

from workspaces.access import Actor


@dataclass(slots=True)
class _Origin:
    """Of one request or socket; `actor` comes when somebody was recognised."""

    address: str = ""
    request: HttpRequest | None = None
    actor: Actor | None = field(default=None)


_origin: ContextVar[_Origin | None] = ContextVar("audit_origin", default=None)


def request_came(request: HttpRequest) -> None:
    """Remembers where a request came from for as long as it is answered."""
    found = _trusted(request.META.get("REMOTE_ADDR", ""), request.META.get("HTTP_X_FORWARDED_FOR", ""))
    _origin.set(_Origin(found, request))


def socket_came(scope: Mapping[str, Any]) -> None:
    """Remembers where a socket came from for as long as it is open."""
    forwarded = [value for name, value in scope.get("headers", []) if name.lower() == b"x-forwarded-for"]
    client = scope.get("client")
    _origin.set(_Origin(_trusted(str(client[0]) if client else "", b",".join(forwarded).decode("latin-1"))))


def acts(actor: Actor) -> None:
    """Remembers who is behind the request or socket."""
    here = _origin.get()
    if here is not None:
        here.actor = actor


def nobody_came() -> None:
    """What follows is no person's request: a run that goes on by itself."""
    _origin.set(None)


def somebody() -> tuple[UUID | None, UUID | None]:
    """The person, and the token they showed, behind the request or socket; for whom a page or the admin is open."""
    here = _origin.get()
    if here is None:
        return None, None
    if here.actor is not None:
        return here.actor.user_id, here.actor.token_id
    user = getattr(here.request, "_cached_user", None) or getattr(here.request, "_acached_user", None)
    return getattr(user, "pk", None), None


def address() -> str:
    """The address as the setting wants it recorded: whole, without its last part, or empty."""
    kind: str = settings.NEXUS_AUDIT_ADDRESSES
    here = _origin.get()
    found = here.address if here is not None else ""
    if kind == "off" or not found:
        return ""
    try:
        parsed = ipaddress.ip_address(found.partition("%")[0])
    except ValueError:
        return ""
    if kind == "full":
        return str(parsed)
    network = ipaddress.ip_network((parsed, 24 if parsed.version == 4 else 48), strict=False)
    return str(network.network_address)


def caller() -> str:
    """The whole address of who came: to count by, never to keep."""
    here = _origin.get()
    return (here.address if here is not None else "") or "unknown"


def request_id() -> str:
    """The id that the log lines of this request or socket carry."""
    named = structlog.contextvars.get_contextvars()
    return str(named.get("request_id") or named.get("connection_id") or "")[:64]


def _trusted(direct: str, forwarded: str) -> str:
    """Behind a trusted proxy the last address it wrote: those before it anybody may have made up."""
    if settings.NEXUS_TRUST_PROXY and forwarded:
        return forwarded.rsplit(",", 1)[-1].strip()
    return direct
