"""The API of oneself, tokens, tickets and keys, and its doors, from the outside."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.middleware.csrf import _get_new_csrf_string
from django.test import Client
from django.utils import timezone

from workspaces.access import Actor
from workspaces.models import ApiToken, ProviderKey, SocketTicket, Workspace
from workspaces.provider_keys import provider_key_set
from workspaces.services import membership_set
from workspaces.tokens import token_create

pytestmark = pytest.mark.django_db(transaction=True)


class Caller:
    """Somebody at the API: by cookie with its CSRF token, by bearer token, or by nothing."""

    def __init__(self, actor: Actor | None = None, token: str = "") -> None:
        self.client = Client(enforce_csrf_checks=True)
        self.headers: dict[str, str] = {}
        if actor is not None:
            self.client.force_login(actor.user, backend="django.contrib.auth.backends.ModelBackend")
            self.headers["X-CSRFToken"] = _get_new_csrf_string()
            self.client.cookies["csrftoken"] = self.headers["X-CSRFToken"]
        if token:
            self.headers["Authorization"] = f"Bearer {token}"

    def __call__(self, method: str, path: str, body: Any = None) -> Any:
        return getattr(self.client, method)(path, body, content_type="application/json", headers=self.headers)


def error(response: Any) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["code"]


def token_of(actor: Actor, **how: Any) -> str:
    return token_create(user=actor.user, workspace=actor.workspace, name="t", **how).text


# --- doors ---


def test_it_refuses_without_a_credential_or_with_a_wrong_one(alice: Actor) -> None:
    assert error(Caller()("get", "/api/me")) == (401, "unauthorized")
    assert error(Caller(token="nxs_wrong")("get", "/api/me")) == (401, "unauthorized")
    basic = Caller()
    basic.headers["Authorization"] = "Basic YTpi"
    assert error(basic("get", "/api/me")) == (401, "unauthorized")


def test_it_does_not_let_a_wrong_token_in_by_the_cookie_beside_it(alice: Actor) -> None:
    assert error(Caller(alice, token="nxs_wrong")("get", "/api/me")) == (401, "unauthorized")


def test_it_wants_the_csrf_token_with_a_cookie_and_only_for_writing(alice: Actor) -> None:
    caller = Caller(alice)
    del caller.headers["X-CSRFToken"]
    assert caller("get", "/api/me").status_code == 200
    assert error(caller("patch", "/api/me", {"name": "Mallory"})) == (403, "csrf_failed")
    caller.headers["X-CSRFToken"] = _get_new_csrf_string()
    assert error(caller("patch", "/api/me", {"name": "Mallory"})) == (403, "csrf_failed")
    assert Caller(alice)("patch", "/api/me", {"name": "Alice A."}).json()["name"] == "Alice A."


def test_it_needs_no_csrf_token_with_a_bearer_token(alice: Actor) -> None:
    assert Caller(token=token_of(alice))("patch", "/api/me", {"title": "Boss"}).json()["title"] == "Boss"


def test_it_refuses_expired_and_revoked_tokens_and_those_of_former_members(alice: Actor, bob: Actor) -> None:
    caller = Caller(token=token_of(bob))
    assert caller("get", "/api/me").status_code == 200
    ApiToken.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert error(caller("get", "/api/me")) == (401, "unauthorized")
    ApiToken.objects.update(expires_at=None, revoked_at=timezone.now())
    assert error(caller("get", "/api/me")) == (401, "unauthorized")
    ApiToken.objects.update(revoked_at=None)
    bob.workspace.memberships.filter(user=bob.user).delete()
    assert error(caller("get", "/api/me")) == (401, "unauthorized")


def test_it_notes_the_last_use_of_a_token_once_a_minute(alice: Actor) -> None:
    caller = Caller(token=token_of(alice))
    caller("get", "/api/me")
    first = ApiToken.objects.get().last_used_at
    assert first is not None
    caller("get", "/api/me")
    assert ApiToken.objects.get().last_used_at == first
    ApiToken.objects.update(last_used_at=timezone.now() - timedelta(seconds=61))
    caller("get", "/api/me")
    assert ApiToken.objects.get().last_used_at > first


def test_it_acts_in_the_workspace_that_was_asked_for(alice: Actor, other_workspace: Workspace) -> None:
    caller = Caller(alice)
    absent, foreign = caller("get", "/api/me?workspace=nowhere"), caller("get", "/api/me?workspace=other")
    assert error(absent) == error(foreign) == (404, "not_found")
    membership_set(workspace=other_workspace, user=alice.user, role="viewer")
    assert caller("get", "/api/me?workspace=other").json()["workspace"]["slug"] == "other"
    assert caller("get", "/api/me").json()["workspace"]["slug"] == "acme"
    assert error(Caller(token=token_of(alice))("get", "/api/me?workspace=other")) == (404, "not_found")


# --- oneself ---


def test_it_says_who_one_is(alice: Actor) -> None:
    me = Caller(alice)("get", "/api/me").json()
    assert me["id"] == str(alice.user_id)
    assert (me["username"], me["name"], me["role"], me["theme"]) == ("alice", "Alice", "owner", "system")
    assert [w["slug"] for w in me["workspaces"]] == ["acme"]


@pytest.mark.parametrize("body", [{"theme": "pink"}, {"timezone": "Mars"}, {"name": "x" * 151}, {"name": 5}])
def test_it_refuses_a_profile_that_cannot_be(alice: Actor, body: dict[str, Any]) -> None:
    assert error(Caller(alice)("patch", "/api/me", body)) == (422, "invalid_request")


def test_it_lists_the_members_of_this_workspace_only(alice: Actor, bob: Actor, charlie: Actor) -> None:
    items = Caller(bob)("get", "/api/members").json()["items"]
    assert [(m["name"], m["role"]) for m in items] == [("Alice", "owner"), ("Bob", "member")]


# --- tokens ---


def test_it_makes_a_token_shows_it_once_and_ends_it(alice: Actor) -> None:
    caller = Caller(alice)
    made = caller("post", "/api/tokens", {"name": "ci", "expiresAt": None})
    assert made.status_code == 201
    token = made.json()
    assert token["token"].endswith(token["lastFour"])
    (listed,) = caller("get", "/api/tokens").json()["items"]
    assert "token" not in listed
    assert listed["id"] == token["id"]
    by_token = Caller(token=token["token"])
    assert by_token("get", "/api/me").json()["id"] == str(alice.user_id)
    assert caller("delete", f"/api/tokens/{token['id']}").status_code == 204
    assert error(by_token("get", "/api/me")) == (401, "unauthorized")
    assert caller("get", "/api/tokens").json()["items"] == []


def test_it_hides_others_tokens_except_from_admins(alice: Actor, bob: Actor, charlie: Actor) -> None:
    token_of(alice)
    token_of(bob)
    theirs = ApiToken.objects.get(user=alice.user).pk
    mine = ApiToken.objects.get(user=bob.user).pk
    assert [t["id"] for t in Caller(bob)("get", "/api/tokens").json()["items"]] == [str(mine)]
    for caller, key in (
        (Caller(bob), theirs),
        (Caller(charlie), mine),
        (Caller(bob), uuid4()),
        (Caller(bob), "x"),
    ):
        assert error(caller("delete", f"/api/tokens/{key}")) == (404, "not_found")
    assert len(Caller(alice)("get", "/api/tokens").json()["items"]) == 2
    assert Caller(alice)("delete", f"/api/tokens/{mine}").status_code == 204


def test_it_lets_a_read_only_token_read_only(alice: Actor) -> None:
    caller = Caller(token=token_of(alice, scopes=["read"]))
    assert caller("get", "/api/me").status_code == 200
    for method, path, body in (
        ("patch", "/api/me", {"name": "x"}),
        ("post", "/api/tokens", {"name": "stronger"}),
        ("post", "/api/provider-keys", {"provider": "openai", "secret": "sk-0123456789ab"}),
    ):
        assert error(caller(method, path, body)) == (403, "forbidden")
    assert caller("post", "/api/ws-ticket").status_code == 200


@pytest.mark.parametrize(
    "body",
    [{}, {"name": ""}, {"name": "x", "scopes": ["all"]}, {"name": "x", "expiresAt": "2001-01-01T00:00:00Z"}],
)
def test_it_refuses_a_token_that_cannot_be(alice: Actor, body: dict[str, Any]) -> None:
    assert error(Caller(alice)("post", "/api/tokens", body)) == (422, "invalid_request")


def test_it_gives_a_ticket_for_thirty_seconds(alice: Actor) -> None:
    before = timezone.now()
    ticket = Caller(alice)("post", "/api/ws-ticket").json()
    after = timezone.now()
    row = SocketTicket.objects.get()
    assert ticket["ticket"] not in str(SocketTicket.objects.values())
    assert before <= row.expires_at - timedelta(seconds=30) <= after
    assert row.session_key


# --- provider keys ---


def test_it_stores_a_key_and_shows_its_end(alice: Actor) -> None:
    caller = Caller(alice)
    key = caller(
        "post",
        "/api/provider-keys",
        {"provider": "openai", "secret": "sk-0123456789abcdef", "scope": "workspace"},
    )
    assert key.json() | {"createdAt": ""} == {
        "provider": "openai", "scope": "workspace", "lastFour": "cdef", "createdAt": "",
    }  # fmt: skip
    listed = caller("get", "/api/provider-keys")
    assert "sk-0123" not in listed.content.decode()
    assert [k["lastFour"] for k in listed.json()["items"]] == ["cdef"]
    assert caller("delete", "/api/provider-keys/openai?scope=workspace").status_code == 204
    assert error(caller("delete", "/api/provider-keys/openai?scope=workspace")) == (404, "not_found")


def test_it_keeps_keys_of_persons_and_of_the_workspace_apart(
    alice: Actor, bob: Actor, charlie: Actor
) -> None:
    provider_key_set(actor=alice, provider="openai", secret="sk-workspace-key")
    caller = Caller(bob)
    assert error(caller("post", "/api/provider-keys", {"provider": "x", "secret": "y"})) == (403, "forbidden")
    assert (
        caller(
            "post", "/api/provider-keys", {"provider": "openai", "secret": "sk-bobs-own-key-1", "scope": "me"}
        ).status_code
        == 200
    )
    assert error(caller("delete", "/api/provider-keys/openai")) == (403, "forbidden")
    assert [k["scope"] for k in Caller(alice)("get", "/api/provider-keys").json()["items"]] == ["workspace"]
    assert {k["scope"] for k in caller("get", "/api/provider-keys").json()["items"]} == {"workspace", "me"}
    assert Caller(charlie)("get", "/api/provider-keys").json()["items"] == []
    assert caller("delete", "/api/provider-keys/openai?scope=me").status_code == 204
    assert ProviderKey.objects.count() == 1


# --- presence and activities ---


def test_it_lists_activities_page_by_page(alice: Actor, bob: Actor, charlie: Actor) -> None:
    from realtime.activity import activity_record

    for n in range(5):
        activity_record(workspace_id=alice.workspace_id, activity_type=f"t{n}", user_id=bob.user_id)
    caller = Caller(alice)
    first = caller("get", "/api/activities?limit=3").json()
    rest = caller("get", f"/api/activities?limit=3&cursor={first['nextCursor']}").json()
    assert [a["activityType"] for a in first["items"] + rest["items"]] == ["t4", "t3", "t2", "t1", "t0"]
    assert rest["nextCursor"] is None
    assert set(first["items"][0]) >= {"id", "activityType", "userId", "metadata", "createdAt"}
    assert Caller(charlie)("get", "/api/activities").json()["items"] == []
    assert error(caller("get", "/api/activities?limit=0")) == (422, "invalid_request")
    assert error(caller("get", "/api/activities?cursor=zzz")) == (422, "invalid_request")


def test_it_says_that_nobody_is_here(alice: Actor) -> None:
    assert Caller(alice)("get", "/api/presence").json() == {"items": [], "nextCursor": None}
