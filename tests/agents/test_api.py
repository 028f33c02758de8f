"""Agents, providers and tools over HTTP."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from workspaces.access import Actor

from .conftest import send

pytestmark = pytest.mark.django_db(transaction=True)

LogIn = Callable[[Actor], Client]
GOOD = {"name": "Helper", "provider": "scripted", "model": "demo", "systemPrompt": "Help."}


def test_an_owner_works_with_agents(alice: Actor, client_of: LogIn) -> None:
    client = client_of(alice)
    made = send(client, "post", "/api/agents", {**GOOD, "maxTokens": 100, "tools": ["fetch_news"]})
    assert made.status_code == 201, made.content
    told = made.json()
    assert (told["id"], told["maxTokens"], told["systemPrompt"], told["isAvailable"]) == (
        "helper",
        100,
        "Help.",
        True,
    )
    assert client.get("/api/agents/helper").json() == told

    changed = send(client, "patch", "/api/agents/helper", {"max_tokens": 200, "temperature": None}).json()
    assert (changed["maxTokens"], changed["temperature"], changed["tools"]) == (200, None, ["fetch_news"])
    assert client.delete("/api/agents/helper").status_code == 204
    assert client.get("/api/agents/helper").status_code == 404


def test_the_list_has_the_shipped_agents(bob: Actor, client_of: LogIn) -> None:
    body = client_of(bob).get("/api/agents").json()
    assert body["nextCursor"] is None
    assert {"demo-agent", "session-manager-agent"} <= {agent["id"] for agent in body["items"]}


@pytest.mark.parametrize("who", ["bob", "vera"])
def test_others_are_forbidden_to_change(
    who: str, alice: Actor, client_of: LogIn, request: pytest.FixtureRequest
) -> None:
    client = client_of(request.getfixturevalue(who))
    assert send(client, "post", "/api/agents", GOOD).status_code == 403
    assert send(client, "patch", "/api/agents/demo-agent", {"name": "X"}).status_code == 403
    assert client.delete("/api/agents/demo-agent").status_code == 403


def test_a_foreign_agent_is_404(alice: Actor, charlie: Actor, client_of: LogIn) -> None:
    send(client_of(charlie), "post", "/api/agents", {**GOOD, "id": "theirs"})
    client = client_of(alice)
    for method in ("get", "delete"):
        assert getattr(client, method)("/api/agents/theirs").status_code == 404
    assert send(client, "patch", "/api/agents/theirs", {"name": "X"}).status_code == 404


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"temperature": 3}, "temperature"),
        ({"maxTokens": 0}, "maxTokens"),
        ({"provider": "nope"}, "provider"),
        ({"tools": ["nope"]}, "tools"),
        ({"name": ""}, "name"),
        ({"id": "Not a slug"}, "id"),
        ({"id": "demo-agent"}, "id"),
        ({"fallback": [{"provider": "nope", "model": "x"}]}, "fallback"),
    ],
)
def test_it_says_which_field_is_wrong(
    alice: Actor, client_of: LogIn, fields: dict[str, object], field: str
) -> None:
    response = send(client_of(alice), "post", "/api/agents", {**GOOD, **fields})
    assert response.status_code == 422
    error = response.json()["error"]
    assert error["code"] == "invalid_request"
    assert error["details"][0]["field"].split(".")[0] == field


def test_providers_and_tools_are_told(bob: Actor, client_of: LogIn) -> None:
    client = client_of(bob)
    providers = {one["name"]: one for one in client.get("/api/providers").json()["items"]}
    assert providers["anthropic"]["keyVariables"] == ["ANTHROPIC_API_KEY"]
    assert providers["anthropic"]["hasKey"] is False
    tools = {one["name"]: one for one in client.get("/api/tools").json()["items"]}
    assert tools["fetch_news"]["inputSchema"]["properties"]["category"]["enum"][:3] == [
        "tech",
        "business",
        "sports",
    ]


def test_nobody_gets_in_without_a_login(db: None) -> None:
    for path in ("/api/agents", "/api/agents/demo-agent", "/api/providers", "/api/tools"):
        assert Client().get(path).status_code == 401
