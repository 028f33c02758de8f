"""Every door that counts refuses who comes too often [S13], for a person, a token and a workspace: all calls of
`limit_hit` and `run_counted`, each by its address.

The list is compared with the source: a door that stops counting is missed here, a new one has no row.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from limits import parse

from tests.realtime.conftest import Socket, communicator_for, connect, log_in
from tests.security.things import build, put_in
from workspaces.access import Actor
from workspaces.database import in_database
from workspaces.invitations import invitation_create
from workspaces.limits import LIMITS, Limit, limit_hit, limits_reset
from workspaces.models import Membership, User, Workspace
from workspaces.tokens import MadeToken, token_create

__all__ = ["connect"]

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("within_a_day")]
Said = Callable[[str], None]
ROOT = Path(__file__).resolve().parents[2]
COUNTING = {"limit_hit", "run_counted"}
ASK = {"agentId": "demo-agent", "message": "x", "background": True}
FILE = object()
DOORS: dict[str, list[tuple[Limit, str, str, Any]]] = {
    "nexus_site/api_base.py:_enter": [("requests", "get", "/api/me", None)],
    "workspaces/api.py:make": [("tickets", "post", "/api/ws-ticket", {})],
    "workspaces/tenancy.py:workspace_create_by": [
        ("workspaces", "post", "/api/workspaces", {"name": "Second"}),
    ],
    "workspaces/invitations.py:invitation_create": [("invitations", "post", "/api/invitations", {})],
    "workspaces/audit/api.py:_exported": [("exports", "get", "/api/audit/export.csv", None)],
    "billing/dashboard_api.py:_exported": [
        ("exports", "get", "/api/usage/export.csv", None),
        ("exports", "get", "/api/usage/export.json", None),
    ],
    "conversations/services/sharing.py:link_create": [
        ("exports", "post", "/api/conversations/{conversation_id}/links", {}),
    ],
    "conversations/api/conversations.py:_export": [
        ("exports", "get", "/api/conversations/{conversation_id}/export", None),
    ],
    "conversations/api/threads.py:_fork": [
        ("exports", "post", "/api/conversations/{conversation_id}/fork", {"messageId": "$message_id"}),
    ],
    "conversations/api/imports.py:_preview": [("exports", "post", "/api/imports/preview", FILE)],
    "conversations/api/imports.py:_import": [("exports", "post", "/api/imports", FILE)],
    "conversations/api/invoke.py:begin": [
        ("runs", "post", "/api/invoke", ASK),
        ("runs", "post", "/api/agents/stream", {"agentId": "demo-agent", "input": "x"}),
    ],
    "conversations/api/runs.py:_resume": [("runs", "post", "/api/runs/{run_id}/resume", {})],
    "conversations/api/threads.py:_continue": [("runs", "post", "/api/messages/{message_id}/continue", {})],
}
"""By the place that counts: the limit, and how to come there."""
ELSEWHERE = {
    "billing/plans.py:run_counted": "the one place for all runs",
    "conversations/frames.py:_counted": "a socket; below",
    "realtime/allowance.py:count": "the frames of all sockets together; below",
    "realtime/consumer.py:_connect": "a socket that opens; below",
    "workspaces/pages.py:wrapped": "the forms of the members page; below",
    "workspaces/pages.py:join": "coming in by an invitation; below",
    "workspaces/pages.py:_gone": "tests/workspaces/test_people_pages.py",
    "conversations/shared_page.py:wrapped": "tests/conversations/test_sharing_links.py, and below",
}
ROWS = [(where, *row) for where, rows in DOORS.items() for row in rows]
Whose = Literal["person", "token", "workspace"]
WHOSE: dict[Whose, str] = {"person": "", "token": " for a token", "workspace": " for a workspace"}


@pytest.fixture(autouse=True)
def _counts_from_nothing() -> Iterator[None]:
    limits_reset()
    yield
    limits_reset()


@pytest.fixture
def used_up(monkeypatch: pytest.MonkeyPatch) -> Callable[[Limit, Whose, Actor | str], None]:
    """`used_up("exports", "person", alice)`: a person has four, a token three, a workspace forty, and they are gone."""

    def use(limit: Limit, whose: Whose, who: Actor | str) -> None:
        monkeypatch.setitem(LIMITS, limit, parse("4/day"))
        if whose == "workspace":
            assert isinstance(who, Actor)
            for number in range(40):
                if number % 4 == 0:
                    other = replace(who, user=User(), token_id=None)
                limit_hit(limit, other)
        else:
            for _ in range(3 if whose == "token" else 4):
                limit_hit(limit, who.user_id if isinstance(who, Actor) and whose == "person" else who)

    return use


def logged_in(actor: Actor) -> Client:
    client = Client()
    client.force_login(actor.user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def counting_places() -> set[str]:
    """`file:function` of every call that counts."""
    found = set()
    for app in ("agents", "billing", "conversations", "nexus_site", "realtime", "workspaces"):
        for path in sorted((ROOT / app).rglob("*.py")):
            inner: dict[ast.AST, str] = {}
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    inner |= dict.fromkeys(ast.walk(node), node.name)  # outer functions come first
                elif isinstance(node, ast.Call) and _names(node) & COUNTING:
                    found.add(f"{path.relative_to(ROOT)}:{inner[node]}")
    return found


def _names(call: ast.Call) -> set[str]:
    """What is called, and what is handed on to be called (`to_thread(limit_hit, …)`)."""
    return {getattr(node, "id", "") for node in (call.func, *call.args)}


def test_every_door_that_counts_has_its_row() -> None:
    assert counting_places() == {*DOORS, *ELSEWHERE}


@pytest.mark.parametrize("whose", WHOSE)
@pytest.mark.parametrize(("where", "limit", "method", "path", "body"), ROWS, ids=[row[3] for row in ROWS])
def test_a_door_refuses_who_comes_too_often(
    alice: Actor, settings: Any, tmp_path: Path, used_up: Any, where: str, limit: Limit, method: str, path: str, body: Any,
    whose: Whose,
) -> None:  # fmt: skip
    if limit == "workspaces" and whose != "person":
        return  # a new one is in no workspace yet
    settings.MEDIA_ROOT = tmp_path
    things = build(alice, "rates")
    token = token_of(alice)
    used_up(limit, whose, replace(alice, token_id=token.row.pk) if whose == "token" else alice)
    more: dict[str, Any] = {}
    if body is FILE:
        more = {"data": {"file": SimpleUploadedFile("x.json", b"{}", "application/json")}}
    elif body is not None:
        more = {"data": put_in(body, things), "content_type": "application/json"}
    client = Client() if whose == "token" else logged_in(alice)
    if whose == "token":
        more["headers"] = {"Authorization": f"Bearer {token.text}"}
    response = getattr(client, method)(path.format(**things), **more)
    assert response.status_code == 429, f"{where} does not count"
    error = response.json()["error"]
    assert error["code"] == "too_many_requests"
    assert f"1 day{WHOSE[whose]}. Try again" in error["message"]
    assert 1 <= int(response["Retry-After"]) <= 86_400


def token_of(actor: Actor) -> MadeToken:
    return token_create(user=actor.user, workspace=actor.workspace, name="a program")


async def test_a_socket_begins_no_run_more_than_there_are(connect: Any, alice: Actor, used_up: Any) -> None:
    used_up("runs", "workspace", alice)
    socket = await connect(alice)
    start = {"type": "run.start", "clientId": "c", "agentId": "demo-agent", "input": "x", "id": "r"}
    refused = await socket.ask(start, "error")
    assert refused["code"] == "too_many_requests" and " for a workspace. " in refused["message"]


@pytest.mark.parametrize(("whose", "most"), [("person", 59), ("token", 60), ("workspace", 40)])
async def test_frames_of_all_sockets_are_counted_together(
    connect: Any, alice: Actor, bob: Actor, monkeypatch: pytest.MonkeyPatch, whose: Whose, most: int
) -> None:
    """Three sockets, each far below its own rate, twenty frames each: two are let through."""
    monkeypatch.setitem(LIMITS, "frames", parse(f"{most}/day"))
    if whose == "token":
        token = (await in_database(token_of, alice)).text
        sockets = [await connect(session="", token=token) for _ in range(3)]
    else:
        sockets = [await connect(who) for who in (alice, alice, bob if whose == "workspace" else alice)]
    if whose == "workspace":
        for _ in range(9):
            limit_hit("frames", replace(alice, user=User()), cost=most)
    asked = {"type": "unsubscribe", "conversationId": "none"}
    for socket in sockets[:2]:
        await socket.send(*[asked] * 20)
        await socket.settled()
    await sockets[2].send(*[{"type": "ping"}] * 30, *[asked] * 19)
    await sockets[2].settled()  # heartbeats are free
    await sockets[2].send(asked)
    assert await sockets[2].closes() == 4429


async def test_a_socket_more_than_there_may_be_is_turned_away(
    connect: Any, alice: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(LIMITS, "sockets", parse("1/day"))
    await connect(alice)
    late = Socket(communicator_for(session=await in_database(log_in, alice)))
    accepted, _ = await late.communicator.connect(timeout=30)
    assert accepted and await late.closes() == 4429 and late.seen == []


def test_a_form_of_the_members_page_counts(alice: Actor, used_up: Any) -> None:
    used_up("requests", "person", alice)
    form = {"name": "Another name", "allow_share_links": "on"}
    response = logged_in(alice).post("/workspaces/change?workspace=acme", form, follow=True)
    assert "That was too often" in response.content.decode()
    assert Workspace.objects.get(slug="acme").name == "Acme"


def test_coming_in_by_an_invitation_counts(alice: Actor, charlie: Actor, used_up: Any) -> None:
    made = invitation_create(actor=alice)
    browser = logged_in(charlie)
    assert browser.get(f"/join/{made.text}/", follow=True).status_code == 200
    used_up("requests", "person", charlie)
    response = browser.post("/join/")
    assert response.status_code == 429 and int(response["Retry-After"]) >= 1
    assert not Membership.objects.filter(workspace=alice.workspace, user=charlie.user).exists()


def test_reading_by_links_counts_by_address(used_up: Any) -> None:
    used_up("links", "person", "127.0.0.1")
    response = Client().get("/s/nothing/")
    assert response.status_code == 429 and int(response["Retry-After"]) >= 1
