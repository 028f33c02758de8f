"""The id matrix [S4]: every route and frame against everybody who has no business there.

What is tried is made of the routes, the OpenAPI document and the table of frames. Something new is in
it by itself, and fails until `things.py` has its row. A foreign id is answered byte for byte like an
absent one, apart from the request's own id and the id that was asked for.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import orjson
import pytest
from allauth.mfa.models import Authenticator
from django.http import HttpResponse
from django.test import AsyncClient

from conversations.models import ConversationMark
from realtime.frames import CLIENT_FRAMES
from realtime.hub import close_hub
from realtime.presence_news import close_news
from tests.realtime.conftest import Socket, communicator_for, refused
from workspaces.database import in_database

from . import things as table
from .things import ABSENT, ALL, WITH_IDS, WRITES, Operation
from .world import World, world

__all__ = ["world"]

BACKEND = "django.contrib.auth.backends.ModelBackend"
Said = Callable[[str], None]


@asynccontextmanager
async def socket_of(token: str) -> AsyncIterator[Socket]:
    communicator = communicator_for(token=token)
    accepted, _ = await communicator.connect(timeout=20)
    assert accepted
    socket = Socket(communicator)
    await socket.next("welcome")
    yield socket
    await socket.end()
    await close_news()
    await close_hub()


_nobody: list[AsyncClient] = []
"""One client for all that comes without a cookie: making one builds all middleware anew."""


async def send(
    method: str, address: str, token: str | None, body: Any = b"{broken", client: AsyncClient | None = None
) -> HttpResponse:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    more: dict[str, Any] = {}
    if method not in table.SAFE and body is not None:
        more = {"data": body if isinstance(body, bytes) else orjson.dumps(body)}
        more["content_type"] = "application/json"
    response: HttpResponse = await getattr(client or nobody(), method)(address, headers=headers, **more)
    return response


def nobody() -> AsyncClient:
    if not _nobody:
        _nobody.append(AsyncClient())
    _nobody[0].cookies.clear()
    return _nobody[0]


def code(response: HttpResponse) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["code"]


_ONE_TIME = re.compile(rb'(nonce|value|content|data-csrf)="[A-Za-z0-9+/=_-]{20,}"')


def masked(response: HttpResponse, *asked: str) -> tuple[int, bytes, list[str]]:
    """The answer without its request's id and what was asked for, byte for byte, and the names of its headers."""
    body = b"".join(response) if response.streaming else response.content  # type: ignore[attr-defined]
    if "X-Request-Id" in response:
        body = body.replace(response["X-Request-Id"].encode(), b"-" * 32)
    for one in sorted({one for one in asked if len(one) > 12}):
        body = body.replace(one.encode(), b"?").replace(one.replace("-", "").encode(), b"?")
    return response.status_code, _ONE_TIME.sub(b"once", body), sorted(response.headers)


async def whole(response: HttpResponse) -> HttpResponse:
    """A streamed answer is read to its end."""
    if response.streaming:
        content = b"".join([part async for part in response.streaming_content])  # type: ignore[attr-defined]
        response.streaming_content = [content]  # type: ignore[attr-defined]
    return response


# --- rows ---


@pytest.mark.django_db  # it asks nothing, but where no test is marked no database is made
def test_everything_has_its_row(world: World) -> None:
    where = "has no row in tests/security/things.py"
    for op in ALL:
        assert set(op.ids) <= set(world.open), f"{op} {where} (build)"
        for name in op.query:
            assert name in table.PLAIN_PARAMETERS or name in table.QUERY_IDS, f"{op} ?{name} {where}"
    for missing in table.ids_in_bodies() - set(table.BODY_IDS):
        raise AssertionError(f"{missing} {where} (BODY_IDS)")
    assert set(CLIENT_FRAMES) == set(table.FRAMES), f"a frame {where} (FRAMES)"
    for type_ in CLIENT_FRAMES:
        assert table.ids_of_frame(type_) == set(table.FRAMES[type_]) - {""}, f"{type_} {where} (FRAMES)"
    assert {type_ for type_, row in CLIENT_FRAMES.items() if not row.writes} == set(table.VIEWERS_SEND)
    assert set(table.VIEWERS_MAY) | set(table.READERS_MAY) <= {str(op) for op in ALL}
    for route in table.pages():
        assert route in table.PAGES or route.startswith(table.ELSEWHERE), (
            f"the page {route!r} {where} (PAGES)"
        )
    with_ids = {route for route in table.pages() if "<" in route and not route.startswith("admin/")}
    odd = {route for route in with_ids if "(?P<" in route or route.startswith(("join/", "s/"))}
    assert with_ids - odd == set(table.PAGES_WITH_IDS), f"a page with an id {where} (PAGES_WITH_IDS)"


# --- the API ---


async def test_it_is_closed_to_who_shows_nothing_that_stands(world: World, told: Said) -> None:
    """Nobody, a wrong token, an expired one, a revoked one, one of somebody who left: the same refusal."""
    shown = {"nobody": None, "wrong": "nxs_wrong"} | {
        name: world.tokens[name]
        for name in ("expired", "revoked", "ex-member", "ex-member, token not revoked")
    }
    count = 0
    for op in ALL:
        wrong = None
        for name, token in shown.items():
            answer = await send(op.method, op.at(world.open), token)
            assert code(answer) == (401, "unauthorized"), f"{op} for {name}"
            if name in ("wrong", "expired", "revoked", "ex-member"):
                wrong = wrong or masked(answer)
                assert masked(answer) == wrong, f"{op} tells a token that is {name} from one that never was"
            count += 1
    told(f"closed doors: {len(ALL)} operations x {len(shown)} credentials = {count} refused alike")


@pytest.mark.parametrize("who", ["charlie", "bob", "eve", "eve-own"])
async def test_a_foreign_id_is_like_an_absent_one(world: World, told: Said, who: str) -> None:
    """For the owner of another workspace, for a colleague who is not let in, and for who left."""
    name = who.partition("-")[0]
    foreign = {"charlie": world.open, "bob": world.private, "eve": world.open, "eve-own": world.left}[who]
    absent = dict.fromkeys(foreign, ABSENT)
    count = 0
    for op in WITH_IDS:
        if name == "bob" and set(op.ids) & table.OPEN_TO_MEMBERS:
            continue
        answers = [await send(op.method, op.at(ids), world.tokens[name]) for ids in (foreign, absent)]
        asked = [value for ids in (foreign, absent) for value in ids.values()]
        assert masked(answers[0], *asked) == masked(answers[1], *asked), f"{op} for {who}"
        hidden = (403, "forbidden") if name == "bob" and "invitation_id" in op.ids else (404, "not_found")
        assert code(answers[0]) == hidden, f"{op} for {who}"
        count += 2
    told(f"ids in addresses for {who}: {count} answers")


async def test_a_foreign_id_in_a_body_or_a_query_is_like_an_absent_one(world: World, told: Said) -> None:
    count = 0
    by_name = {str(op): op for op in ALL}
    for who, foreign in (("charlie", world.open), ("bob", world.private), ("eve", world.left)):
        own = world.own[who]
        absent = dict.fromkeys(foreign, ABSENT) | {"agent": "no-such-agent"}
        kept = {name: own[name] for name in table.OWN}
        rows: list[tuple[Operation, str, Any, str | None]] = [
            (by_name[key[0]], key[1], body, None) for key, body in table.BODY_IDS.items()
        ]
        rows += [
            (op, name, None, table.QUERY_IDS[name])
            for op in ALL
            for name in op.query
            if name in table.QUERY_IDS
        ]
        for op, name, body, value in rows:
            if who == "bob" and name in table.KNOWN_TO_MEMBERS:
                continue
            answers = []
            for ids in (foreign, absent):
                address = op.at(own) + (f"?{name}={ids[value[1:]]}" if value else "")
                sent = table.put_in(body, ids | kept) if body is not None else None
                answers.append(await whole(await send(op.method, address, world.tokens[who], sent)))
            asked = [one for ids in (foreign, absent) for one in ids.values()]
            assert masked(answers[0], *asked) == masked(answers[1], *asked), f"{op} {name} for {who}"
            assert body is None or answers[0].status_code in (200, 403, 404, 422), f"{op} {name} for {who}"
            if answers[0].status_code == 200 and body is not None:
                assert name in ("ids",), f"{op} took the {name} of somebody else"
            count += 2
    told(f"ids in bodies and queries: {count} answers")


async def test_nothing_changes_for_who_may_only_read(world: World, told: Said) -> None:
    count = 0
    for op in WRITES:
        if str(op) not in table.VIEWERS_MAY:
            answer = await send(op.method, op.at(world.open), world.tokens["vera"])
            assert answer.status_code == 403, f"{op} for a viewer"
            count += 1
        if str(op) not in table.READERS_MAY:
            answer = await send(op.method, op.at(world.open), world.tokens["reader"])
            assert answer.status_code == 403, f"{op} for a read-only token, its owner's own"
            count += 1
    told(f"writes of viewers and read-only tokens: {count} refused")


async def test_a_cookie_changes_nothing_without_its_csrf_token(world: World, told: Said) -> None:
    client = AsyncClient(enforce_csrf_checks=True)
    await client.aforce_login(world.actors["alice"].user, backend=BACKEND)
    for op in WRITES:
        answer = await send(op.method, op.at(world.open), None, client=client)
        assert code(answer) == (403, "csrf_failed"), str(op)
    told(f"writes by a cookie alone: {len(WRITES)} refused")


async def test_it_opens_no_other_workspace_by_its_name(world: World, told: Said) -> None:
    """Neither to a token, nor to the session of somebody who left."""
    eve = AsyncClient()
    await eve.aforce_login(world.actors["eve"].user, backend=BACKEND)
    count = 0
    for op in ALL:
        for token, client in ((world.tokens["charlie"], None), (world.tokens["eve"], None), (None, eve)):
            answers = [
                await send(op.method, f"{op.at(world.open)}?workspace={slug}", token, client=client)
                for slug in ("acme", "no-such-workspace")
            ]
            assert masked(answers[0]) == masked(answers[1]), str(op)
            assert code(answers[0]) == (404, "not_found"), str(op)
            count += 2
    told(f"workspaces named in addresses: {count} refused alike")


async def test_a_cursor_of_elsewhere_shows_nothing_of_elsewhere(world: World, told: Said) -> None:
    """A cursor says where to go on, never where to look."""
    count = 0
    for op in ALL:
        if "cursor" not in op.query or op.method != "get":
            continue
        extra = "&q=Hello" if "q" in op.query else ""
        mine = await send("get", f"{op.at(world.open)}?limit=1{extra}", world.tokens["alice"])
        cursor = mine.json().get("nextCursor") if mine.status_code == 200 else None
        address = op.at(world.own["charlie"]) + f"?limit=100{extra}" + (f"&cursor={cursor}" if cursor else "")
        theirs = await send("get", address, world.tokens["charlie"])
        assert theirs.status_code in (200, 404, 422), f"{op}: {theirs.content!r}"
        for one in (*world.open.values(), *world.private.values()):
            assert one in table.SHARED_IDS | {"demo-agent", "openai"} or one not in theirs.content.decode(), (
                str(op)
            )
        count += 1
    told(f"cursors of another workspace: {count} lists")


# --- pages ---


def filled(route: str, ids: dict[str, str]) -> str:
    return "/" + re.sub(r"<(?:\w+:)?(\w+)>", lambda found: ids[found[1]], route)


async def test_pages_are_closed_and_their_ids_tell_nothing(world: World, told: Said) -> None:
    count = 0
    for route, kind in table.PAGES.items():
        for method in ("get", "post"):
            address = filled(route, world.open | {"text": "no-such-invitation"})
            answer: Any = await getattr(nobody(), method)(address)
            if kind == table.TO_LOGIN:
                assert answer.status_code == 302 and "/accounts/login/" in answer["Location"], route
            count += 1
    bob = AsyncClient()
    await bob.aforce_login(world.actors["bob"].user, backend=BACKEND)
    for route in table.pages():
        if route.startswith("admin/") and route not in ("admin/login/", "admin/logout/", "admin/jsi18n/"):
            address = re.sub(r"<[^>]+>", "1", route).replace("^", "").replace("$", "")
            if "(" in address:
                continue
            for client in (nobody(), bob):
                answer = await client.get(f"/{address}")
                assert answer.status_code == 302 and "login" in answer["Location"], route
                count += 1
    secret = await in_database(
        Authenticator.objects.create, user=world.actors["alice"].user, type="webauthn", data={"name": "hers"}
    )
    absent = dict.fromkeys(world.open, ABSENT) | {"pk": "999999"}
    for who, foreign in (("charlie", world.open), ("bob", world.private), ("eve", world.left)):
        client = AsyncClient()
        await client.aforce_login(world.actors[who].user, backend=BACKEND)
        slug = world.actors[who].workspace.slug
        for route, method in table.PAGES_WITH_IDS.items():
            if who == "bob" and "user_id" in route:
                continue
            found = []
            for ids in (foreign | {"pk": str(secret.pk)}, absent):
                # Messages of one answer are said in the next: each is read on a page of its own.
                address = filled(route, ids) + f"?workspace={slug}"
                found.append(masked(await getattr(client, method)(address), *ids.values()))
                await client.get("/members/")
                count += 1
            assert found[0] == found[1], f"{route} for {who}"
            assert found[0][0] in ((302, 404) if who == "bob" or "pk" in route else (404,)), (
                f"{route} for {who}"
            )
    told(f"pages: {count} answers")


# --- frames ---


async def answer_to(socket: Socket, frame: dict[str, Any]) -> dict[str, Any] | None:
    """What comes back to this frame, or None: the pong sent behind it came first."""
    seen = len(socket.seen)
    await socket.send({**frame, "id": "asked"}, {"type": "ping", "id": "after"})
    await socket.next("pong", id="after")
    return next((one for one in socket.seen[seen:] if one.get("id") == "asked"), None)


def frames_of(type_: str, ids: dict[str, str]) -> list[tuple[str, dict[str, Any]]]:
    """By the id that it tries; a client id of its own in each."""
    once = {"once": uuid4().hex}
    return [
        (name, {"type": type_, **table.put_in(body, ids | once)})
        for name, body in table.FRAMES[type_].items()
    ]


async def test_a_foreign_id_in_a_frame_is_like_an_absent_one(world: World, told: Said) -> None:
    count = 0
    people = (("charlie", world.open), ("bob", world.private), ("eve", world.left), ("eve", world.open))
    for who, foreign in people:
        own = {name: world.own[who][name] for name in table.OWN}
        absent = dict.fromkeys(foreign, ABSENT) | {"agent": "no-such-agent"} | own
        async with socket_of(world.tokens[who]) as socket:
            for type_ in CLIENT_FRAMES:
                both = zip(frames_of(type_, foreign | own), frames_of(type_, absent), strict=True)
                for (name, theirs), (_, none) in both:
                    if not name or (who == "bob" and name in ("agentId", "userId")):
                        continue
                    answers = [await answer_to(socket, frame) for frame in (theirs, none)]
                    text = [orjson.dumps(one).decode() for one in answers]
                    for value in (*foreign.values(), ABSENT, "no-such-agent"):
                        text = [one.replace(value, "?") for one in text]
                    assert text[0] == text[1], f"{theirs} for {who}"
                    refusal = (answers[0] or {}).get("code", "")
                    assert refusal.endswith("not_found") or type_ in table.HEARD_ALIKE, f"{theirs}: {answers}"
                    count += 2
            heard = [frame for frame in socket.seen if frame["type"] not in ("unsubscribed", "error")]
            assert foreign["conversation_id"] not in str(heard)
    told(f"ids in frames: {count} answers")


async def test_frames_change_nothing_for_who_may_only_read(world: World, told: Said) -> None:
    count = 0
    for who, may in (("vera", set(table.VIEWERS_SEND)), ("reader", table.READERS_SEND)):
        async with socket_of(world.tokens[who]) as socket:
            for type_ in CLIENT_FRAMES:
                for _, frame in frames_of(type_, world.open):
                    answer = await answer_to(socket, frame)
                    refusal = (answer or {}).get("code")
                    assert refusal == (None if type_ in may else "forbidden"), f"{frame} for {who}: {answer}"
                    count += 1
    marks = ConversationMark.objects.filter(user=world.actors["alice"].user, read_number__gt=0)
    assert await in_database(marks.count) == 0
    told(f"frames of viewers and read-only tokens: {count}")


async def test_no_socket_for_who_shows_nothing_that_stands(world: World, told: Said) -> None:
    shown = [
        {"token": world.tokens[name]}
        for name in ("expired", "revoked", "ex-member", "ex-member, token not revoked")
    ]
    shown += [{}, {"token": "nxs_wrong"}, {"ticket": "wrong"}, {"session": "wrong"}]
    shown += [{"token": world.tokens[name], "path": "/ws/?workspace=acme"} for name in ("charlie", "eve")]
    for how in shown:
        assert await refused(communicator_for(**how)), how  # type: ignore[arg-type]
    told(f"handshakes: {len(shown)} refused")
