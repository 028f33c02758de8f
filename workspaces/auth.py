"""From a request or a socket's scope to an Actor. One function per door.

    authenticate_http(request)    the API: bearer token, else session with CSRF
    page_actor(request)           a page: the session's person in the session's workspace
    authenticate_scope(scope)     a socket: bearer, ticket, else cookie with a strict Origin

A credential that is shown and wrong is refused; it never falls back to another one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs

from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth import get_user
from django.db import transaction
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import CsrfViewMiddleware
from django.utils import timezone

from .access import Actor, Forbidden, NotFound, Unauthorized, actor_for
from .audit import record
from .context import bind_actor
from .database import in_database
from .models import ApiToken, User
from .origin import origin_allowed
from .secrets import digest
from .tickets import ticket_redeem
from .two_step import require_second_step

log = logging.getLogger(__name__)

SESSION_WORKSPACE = "workspace"
SAFE_METHODS = ("GET", "HEAD", "OPTIONS", "TRACE")
USED_EVERY = timedelta(minutes=1)
TICKET_PREFIX = "ticket."


class CsrfFailed(Forbidden):
    """A cookie came without its CSRF token, or from another site."""

    code = "csrf_failed"


class _Csrf(CsrfViewMiddleware):
    def _reject(self, request: HttpRequest, reason: str) -> str:
        return reason


# --- HTTP ---


def authenticate_http(request: HttpRequest) -> Actor:
    """The actor of an API request.

    Raises:
        Unauthorized: no credential, or a wrong, expired or revoked token.
        CsrfFailed: a cookie on an unsafe method without the CSRF token.
        NotFound: `?workspace=` names one this person is not in.
        Forbidden: the person is in no workspace.
        TwoStepRequired: a cookie, and the workspace asks for a second step that this person has not.
    """
    header = request.headers.get("Authorization", "")
    if header:
        return _remember(request, token_actor(header, slug=request.GET.get("workspace")))
    user = getattr(request, "user", None) or get_user(request)
    if not user.is_authenticated:
        raise Unauthorized()
    if request.method not in SAFE_METHODS:
        _check_csrf(request)
    return _remember(request, _session_actor(request, user))


async def aauthenticate_http(request: HttpRequest) -> Actor:
    """The same in an async view, with one hop into a thread."""
    return await sync_to_async(authenticate_http)(request)


def page_actor(request: HttpRequest) -> Actor:
    """The actor of a page that stands behind a login; `?workspace=slug` also changes the session's workspace."""
    actor = _session_actor(request, request.user)
    if request.GET.get("workspace") and request.session.get(SESSION_WORKSPACE) != actor.workspace.slug:
        request.session[SESSION_WORKSPACE] = actor.workspace.slug
    return _remember(request, actor)


def _session_actor(request: HttpRequest, user: Any) -> Actor:
    slug = request.GET.get("workspace")
    return _cookie_actor(
        user, slug, request.session.get(SESSION_WORKSPACE), request.session.session_key or ""
    )


def _cookie_actor(user: Any, slug: str | None, current: Any, session_key: str) -> Actor:
    """`slug` was asked for and must fit; `current` is a wish from earlier and may have lapsed. The one door of all who
    come by a session, so that a second step is asked for here."""
    assert isinstance(user, User)
    if slug:
        return require_second_step(actor_for(user, slug, session_key=session_key))
    if isinstance(current, str) and current:
        try:
            return require_second_step(actor_for(user, current, session_key=session_key))
        except NotFound:
            pass
    return require_second_step(actor_for(user, session_key=session_key))


def _check_csrf(request: HttpRequest) -> None:
    check = _Csrf(lambda _: HttpResponse())
    check.process_request(request)
    # API views are exempt from the middleware, since a bearer token needs none; a cookie does.
    exempt: Callable[..., Any] = lambda *a, **k: None  # noqa: E731
    reason = check.process_view(request, exempt, (), {})
    if reason:
        raise CsrfFailed("The CSRF token is missing or wrong. Reload the page and try again.")


def _remember(request: HttpRequest, actor: Actor) -> Actor:
    request.actor = actor  # type: ignore[attr-defined]
    bind_actor(actor)
    return actor


# --- tokens ---


def token_actor(header: str, *, slug: str | None = None) -> Actor:
    """The actor of an `Authorization` header's value. A token acts in its own workspace only."""
    scheme, _, text = header.partition(" ")
    if scheme.lower() != "bearer" or not text.strip():
        raise Unauthorized("Send the token as: Authorization: Bearer nxs_…")
    now = timezone.now()
    token = (
        ApiToken.objects.select_related("user", "workspace")
        .filter(digest=digest(text.strip()), revoked_at=None)
        .filter(Q(expires_at=None) | Q(expires_at__gt=now))
        .first()
    )
    if token is None:
        raise Unauthorized("This token is wrong, expired or revoked.")
    if slug and slug != token.workspace.slug:
        raise NotFound()
    try:
        actor = actor_for(token.user, token=token)
    except Forbidden:
        raise Unauthorized("This token's owner is no longer in its workspace.") from None
    if token.last_used_at is None or token.last_used_at < now - USED_EVERY:
        # At most once a minute, and only if nobody else just did: reading must not become writing.
        stale = ApiToken.objects.filter(
            Q(last_used_at=None) | Q(last_used_at__lt=now - USED_EVERY), pk=token.pk
        )
        if token.last_used_at is not None:
            stale.update(last_used_at=now)
        else:
            _used_first(actor, token, stale, now)
    return actor


@transaction.atomic
def _used_first(actor: Actor, token: ApiToken, unused: QuerySet[ApiToken], now: datetime) -> None:
    """Once in a token's life: the UPDATE decides who of several was first."""
    if unused.filter(last_used_at=None).update(last_used_at=now):
        record(
            "token_first_used",
            actor=actor,
            target_type="token",
            target_id=token.pk,
            target_name=f"{token.name} (…{token.last_four})",
        )


# --- sockets ---


async def authenticate_scope(scope: dict[str, Any]) -> Actor:
    """The actor of a socket: bearer header, ticket in the subprotocols, else the session cookie.

    Raises:
        Unauthorized: no credential or a wrong one.
        Forbidden: the cookie came from another origin, or the person is in no workspace.
        NotFound: `?workspace=` names one this person is not in.
    """
    return await in_database(_scope_actor, scope)


def _scope_actor(scope: dict[str, Any]) -> Actor:
    headers = {name.lower(): value for name, value in scope.get("headers", [])}
    slug = _query(scope, "workspace")
    bearer = headers.get(b"authorization")
    if bearer is not None:
        return token_actor(bearer.decode("latin-1"), slug=slug)
    for offered in scope.get("subprotocols") or []:
        if offered.startswith(TICKET_PREFIX):
            return ticket_redeem(ticket=offered.removeprefix(TICKET_PREFIX))
    session = scope.get("session")
    cookies = scope.get("cookies") or {}
    if session is None or settings.SESSION_COOKIE_NAME not in cookies:
        raise Unauthorized()
    if not origin_allowed(scope):
        raise Forbidden("This origin may not open a socket here.")
    request = HttpRequest()
    request.session = session
    user = get_user(request)
    if not user.is_authenticated:
        raise Unauthorized()
    return _cookie_actor(user, slug, session.get(SESSION_WORKSPACE), session.session_key or "")


def _query(scope: dict[str, Any], name: str) -> str | None:
    values = parse_qs(scope.get("query_string", b"").decode("latin-1")).get(name)
    return values[0] if values else None
