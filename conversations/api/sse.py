"""A run as server-sent events: `id: <seq>` and `data: <chunk JSON>`, replay then live.

A closed connection never cancels the run. Who may not read it any more (removed,
revoked, made private) gets the last byte within a few seconds. While the database is
away there are only pings: a reader that was cut off would be refused when it comes back,
and a browser does not ask again after a refusal.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from time import monotonic
from uuid import UUID

from django.contrib.sessions.models import Session
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, StreamingHttpResponse
from django.utils import timezone

from realtime.ending import ending
from workspaces.access import Actor, Forbidden, NotFound
from workspaces.models import ApiToken, Membership

from ..access import access_run
from ..database import in_database
from ..follow import FAULT_SECONDS, follow
from .answers import BadCursor, number_of

PING_SECONDS = 15.0
RIGHTS_SECONDS = 3.0

HEADERS = {
    "Cache-Control": "no-cache, no-transform",
    "X-Accel-Buffering": "no",
    # Said outright, so that nothing on the way compresses it and holds events back.
    "Content-Encoding": "identity",
}


def event_stream(actor: Actor, run_id: UUID, after: int) -> StreamingHttpResponse:
    """The answer that streams the run's chunks with seq > after."""
    response = StreamingHttpResponse(
        events(actor, run_id, after), content_type="text/event-stream; charset=utf-8"
    )
    for name, value in HEADERS.items():
        response[name] = value
    return response


def start_of(request: HttpRequest, after: int) -> int:
    """Where to begin: `Last-Event-ID` (what a browser sends when it reconnects) before `?after=`."""
    told = request.headers.get("Last-Event-ID", "").strip()
    try:
        return number_of(told) if told else after
    except BadCursor:
        return after


async def events(actor: Actor, run_id: UUID, after: int) -> AsyncIterator[bytes]:
    yield b": connected\n\n"
    chunks = follow(run_id, after)
    waiting: asyncio.Task[tuple[int, str] | None] | None = None
    ends = asyncio.ensure_future(ending().wait())
    last_byte = last_check = monotonic()
    try:
        while True:
            if waiting is None:
                waiting = asyncio.ensure_future(_next(chunks))
            await asyncio.wait(
                {waiting, ends},
                timeout=min(RIGHTS_SECONDS, PING_SECONDS),
                return_when=asyncio.FIRST_COMPLETED,
            )
            if ends.done():  # this process stops: the reader comes back after its last seq
                return
            now = monotonic()
            if now - last_check >= RIGHTS_SECONDS:
                may = await may_read(actor, run_id)
                if may is False:
                    return
                if may:
                    last_check = now
                else:
                    await asyncio.sleep(FAULT_SECONDS)
            if not waiting.done() or now - last_check >= RIGHTS_SECONDS:
                if now - last_byte >= PING_SECONDS - RIGHTS_SECONDS:
                    last_byte = now
                    yield b": ping\n\n"
                continue
            found, waiting = waiting.result(), None
            if found is None:
                return
            seq, wire = found
            last_byte = now
            yield f"id: {seq}\ndata: {wire}\n\n".encode()
    finally:
        ends.cancel()
        if waiting is not None:
            waiting.cancel()
            with suppress(asyncio.CancelledError):
                await waiting
        await chunks.aclose()  # type: ignore[attr-defined]


async def may_read(actor: Actor, run_id: UUID) -> bool | None:
    """None: nobody can say, the database is away."""
    try:
        return await in_database(_may_read, actor, run_id)
    except (NotFound, Forbidden):
        return False
    except (OperationalError, InterfaceError):
        return None


def _may_read(actor: Actor, run_id: UUID) -> bool:
    """The credential still stands, the person is still a member, the run is still theirs to read."""
    members = Membership.objects.filter(
        workspace_id=actor.workspace_id,
        workspace__deleted_at=None,
        user_id=actor.user_id,
        user__is_active=True,
    )
    if not members.exists():
        return False
    if actor.token_id is not None:
        token = ApiToken.objects.filter(pk=actor.token_id).first()
        if token is None or not token.is_usable:
            return False
    elif actor.session_key:
        alive = Session.objects.filter(pk=actor.session_key, expire_date__gt=timezone.now())
        # A new password ends the sessions that know the old one, before their rows go.
        same = members.filter(user__password=actor.user.password)
        if not (alive.exists() and same.exists()):
            return False
    access_run(actor, run_id)
    return True


async def _next(chunks: AsyncIterator[tuple[int, str]]) -> tuple[int, str] | None:
    return await anext(chunks, None)
