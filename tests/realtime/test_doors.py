"""Who gets a socket: cookie with a fitting Origin, bearer token, ticket; and who does not."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError
from django.utils import timezone

from workspaces import auth
from workspaces.access import Actor
from workspaces.database import in_database
from workspaces.models import ApiToken, SocketTicket, User
from workspaces.tickets import ticket_create
from workspaces.tokens import token_create

from .conftest import PATIENCE, Connect, communicator_for, log_in, refused

pytestmark = pytest.mark.django_db(transaction=True)


async def token_of(actor: Actor, **how: Any) -> str:
    return (await in_database(token_create, user=actor.user, workspace=actor.workspace, name="t", **how)).text


@pytest.mark.parametrize(
    "origin",
    [
        None,
        b"null",
        b"",
        b"https://testserver",
        b"http://testserver:8000",
        b"http://testserver.evil.example",
        b"http://eviltestserver",
        b"http://evil.example",
        b"http://testserver@evil.example",
        b"ws://testserver",
        b"file://",
        b"http://[::1",
        b"http://testserver:99999",
    ],
)
async def test_it_refuses_a_cookie_from_another_origin(
    connect: Connect, alice: Actor, origin: bytes | None
) -> None:
    session = await in_database(log_in, alice)
    assert await refused(communicator_for(session=session, origin=origin))


@pytest.mark.parametrize("origin", [b"http://testserver", b"http://testserver:80", b"http://TESTSERVER"])
async def test_it_lets_the_own_origin_in(connect: Connect, alice: Actor, origin: bytes) -> None:
    await connect(alice, origin=origin)


async def test_it_compares_the_port_that_the_browser_asked(connect: Connect, alice: Actor) -> None:
    session = await in_database(log_in, alice)
    await connect(alice, origin=b"http://testserver:8123", host=b"testserver:8123")
    assert await refused(
        communicator_for(session=session, origin=b"http://testserver", host=b"testserver:8123")
    )


async def test_it_refuses_a_host_that_is_not_ours(connect: Connect, alice: Actor) -> None:
    session = await in_database(log_in, alice)
    assert await refused(
        communicator_for(session=session, origin=b"http://evil.example", host=b"evil.example")
    )


async def test_it_lets_trusted_origins_in(connect: Connect, alice: Actor, settings: Any) -> None:
    settings.CSRF_TRUSTED_ORIGINS = ["https://nexus.example", "https://*.corp.example"]
    await connect(alice, origin=b"https://nexus.example")
    await connect(alice, origin=b"https://a.corp.example")
    session = await in_database(log_in, alice)
    for other in (b"http://nexus.example", b"https://corp.example.evil", b"https://evilcorp.example"):
        assert await refused(communicator_for(session=session, origin=other))


async def test_it_refuses_without_a_credential_or_with_a_dead_session(connect: Connect, alice: Actor) -> None:
    assert await refused(communicator_for())
    assert await refused(communicator_for(session="0" * 32))
    session = await in_database(log_in, alice)
    await in_database(lambda: User.objects.filter(pk=alice.user_id).update(is_active=False))
    assert await refused(communicator_for(session=session))


async def test_it_takes_a_bearer_token_without_an_origin(connect: Connect, alice: Actor) -> None:
    socket = await connect(token=await token_of(alice), origin=None)
    assert socket.seen[0]["user"]["id"] == str(alice.user_id)


async def test_it_refuses_wrong_expired_and_revoked_tokens(connect: Connect, alice: Actor) -> None:
    token = await token_of(alice)
    assert await refused(communicator_for(token=token + "x"))
    assert await refused(communicator_for(token="nxs_"))
    await in_database(lambda: ApiToken.objects.update(expires_at=timezone.now() - timedelta(seconds=1)))
    assert await refused(communicator_for(token=token))
    await in_database(lambda: ApiToken.objects.update(expires_at=None, revoked_at=timezone.now()))
    assert await refused(communicator_for(token=token))


async def test_it_does_not_fall_back_to_the_cookie_when_a_token_is_wrong(
    connect: Connect, alice: Actor
) -> None:
    session = await in_database(log_in, alice)
    assert await refused(communicator_for(session=session, token="nxs_wrong"))
    assert await refused(communicator_for(session=session, ticket="wrong"))


async def test_it_takes_a_ticket_once(connect: Connect, alice: Actor) -> None:
    ticket = (await in_database(ticket_create, actor=alice)).text
    socket = await connect(ticket=ticket, origin=None)
    assert socket.seen[0]["user"]["id"] == str(alice.user_id)
    assert await refused(communicator_for(ticket=ticket, origin=None))


async def test_it_gives_a_ticket_to_one_of_many_at_once(connect: Connect, alice: Actor) -> None:
    ticket = (await in_database(ticket_create, actor=alice)).text
    refusals = await asyncio.gather(
        *[refused(communicator_for(ticket=ticket, origin=None)) for _ in range(12)]
    )
    assert refusals.count(False) == 1


async def test_it_refuses_a_ticket_after_its_time_or_its_token(connect: Connect, alice: Actor) -> None:
    ticket = (await in_database(ticket_create, actor=alice)).text
    await in_database(lambda: SocketTicket.objects.update(expires_at=timezone.now() - timedelta(seconds=1)))
    assert await refused(communicator_for(ticket=ticket, origin=None))
    made = await in_database(token_create, user=alice.user, workspace=alice.workspace, name="t")
    from workspaces.access import actor_for

    by_token = await in_database(actor_for, alice.user, "acme", made.row)
    ticket = (await in_database(ticket_create, actor=by_token)).text
    await in_database(lambda: ApiToken.objects.update(revoked_at=timezone.now()))
    assert await refused(communicator_for(ticket=ticket, origin=None))


async def test_it_keeps_no_ticket_and_no_token_in_plain(connect: Connect, alice: Actor) -> None:
    ticket = (await in_database(ticket_create, actor=alice)).text
    token = await token_of(alice)
    rows = await in_database(lambda: [*SocketTicket.objects.values(), *ApiToken.objects.values()])
    assert ticket not in str(rows)
    assert token not in str(rows)
    assert token.startswith("nxs_")
    assert len(token) >= 40


async def test_it_acts_in_the_workspace_that_was_asked_for(
    connect: Connect, alice: Actor, charlie: Actor, other_workspace: Any
) -> None:
    from workspaces.services import membership_set

    session = await in_database(log_in, alice)
    assert await refused(communicator_for(session=session, path="/ws/?workspace=other"))
    assert await refused(communicator_for(session=session, path="/ws/?workspace=nowhere"))
    await in_database(membership_set, workspace=other_workspace, user=alice.user, role="viewer")
    socket = await connect(session=session, path="/ws/?workspace=other")
    assert (socket.seen[0]["workspace"]["slug"], socket.seen[0]["role"]) == ("other", "viewer")
    # A token is bound to one.
    token = await token_of(alice)
    assert await refused(communicator_for(token=token, path="/ws/?workspace=other"))


async def test_it_lets_a_read_only_token_watch_and_not_write(connect: Connect, alice: Actor) -> None:
    socket = await connect(token=await token_of(alice, scopes=["read"]), origin=None)
    await socket.ask({"type": "ping"}, "pong")
    error = await socket.ask({"type": "activity.broadcast", "activityType": "x"}, "error")
    assert error["code"] == "forbidden"


async def test_it_sends_people_away_for_a_moment_while_the_database_is_away(
    connect: Connect, alice: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not a refusal: a client that is refused asks for the login, one that is closed with 4012 comes back."""

    def away(scope: object) -> Actor:
        raise OperationalError("the connection is closed")

    token = await token_of(alice)
    monkeypatch.setattr(auth, "_scope_actor", away)
    communicator = communicator_for(token=token)
    accepted, _ = await communicator.connect(timeout=PATIENCE)
    assert accepted
    closed = await communicator.receive_output(PATIENCE)
    assert (closed["type"], closed["code"]) == ("websocket.close", 4012)
