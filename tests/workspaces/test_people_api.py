"""The API of members, invitations and workspaces, from the outside."""

from __future__ import annotations

from typing import Any

import pytest

from tests.people import person
from workspaces.access import Actor
from workspaces.models import Invitation, Membership, Role, Workspace
from workspaces.secrets import digest
from workspaces.tokens import token_create

from .test_api import Caller, error

pytestmark = pytest.mark.django_db(transaction=True)


def test_it_lists_changes_and_removes_members(alice: Actor, bob: Actor) -> None:
    call = Caller(alice)
    listed = call("get", "/api/members").json()["items"]
    assert [(m["name"], m["role"]) for m in listed] == [("Alice", "owner"), ("Bob", "member")]
    assert listed[0]["joinedAt"].endswith("Z")
    at = f"/api/members/{bob.user_id}"
    assert call("get", at).json()["name"] == "Bob"
    assert call("patch", at, {"role": "viewer"}).json()["role"] == "viewer"
    assert call("patch", at, {"role": "king"}).status_code == 422
    theirs = Caller(token=token_create(user=bob.user, workspace=bob.workspace, name="t").text)
    assert theirs("get", "/api/me").json()["role"] == "viewer"
    assert call("delete", at).status_code == 204
    assert error(call("get", at)) == (404, "not_found")
    assert error(theirs("get", "/api/me")) == (401, "unauthorized")


def test_it_says_who_may_not_and_what_is_not_there(alice: Actor, bob: Actor, charlie: Actor) -> None:
    assert error(Caller(alice)("delete", f"/api/members/{alice.user_id}")) == (422, "last_owner")
    assert error(Caller(alice)("patch", f"/api/members/{alice.user_id}", {"role": "admin"})) == (
        422,
        "last_owner",
    )
    assert error(Caller(bob)("patch", f"/api/members/{alice.user_id}", {"role": "viewer"})) == (
        403,
        "forbidden",
    )
    for at in (f"/api/members/{charlie.user_id}", "/api/members/nobody"):
        assert error(Caller(alice)("get", at)) == (404, "not_found")
        assert error(Caller(alice)("patch", at, {"role": "viewer"})) == (404, "not_found")
        assert error(Caller(alice)("delete", at)) == (404, "not_found")
    adam = person("adam", alice.workspace, Role.ADMIN)
    assert error(Caller(adam)("delete", f"/api/members/{alice.user_id}")) == (403, "forbidden")
    reader = token_create(user=bob.user, workspace=bob.workspace, name="t", scopes=["read"]).text
    assert error(Caller(token=reader)("delete", f"/api/members/{bob.user_id}")) == (403, "forbidden")
    assert Caller(bob)("delete", f"/api/members/{bob.user_id}").status_code == 204


def test_it_invites_by_link_and_revokes(alice: Actor, bob: Actor, charlie: Actor) -> None:
    call = Caller(alice)
    response = call("post", "/api/invitations", {"role": "viewer", "mostUses": None})
    made = response.json()
    assert (
        response.status_code == 201 and made["mostUses"] is None and made["createdBy"] == str(alice.user_id)
    )
    text = made["link"].rstrip("/").rsplit("/", 1)[-1]
    assert Invitation.objects.get().digest == digest(text)
    (shown,) = call("get", "/api/invitations").json()["items"]
    assert shown == {key: value for key, value in made.items() if key != "link"}
    assert error(Caller(bob)("get", "/api/invitations")) == (403, "forbidden")
    assert error(Caller(charlie)("delete", f"/api/invitations/{made['id']}")) == (404, "not_found")
    assert call("delete", f"/api/invitations/{made['id']}").status_code == 204
    assert call("get", "/api/invitations").json()["items"] == []
    assert call("post", "/api/invitations", {"role": "owner"}).status_code == 422


def test_a_mailed_link_is_in_the_mail_alone(alice: Actor, mailoutbox: list[Any]) -> None:
    made = Caller(alice)("post", "/api/invitations", {"email": "nina@example.org"}).json()
    assert made["link"] is None and made["email"] == "nina@example.org" and made["mostUses"] == 1
    assert "http://testserver/join/" in mailoutbox[0].body
    assert error(Caller(alice)("post", "/api/invitations", {"email": "nina"})) == (422, "invalid_request")


def test_it_makes_changes_and_deletes_workspaces(alice: Actor, bob: Actor) -> None:
    call = Caller(alice)
    made = call("post", "/api/workspaces", {"name": "Second"})
    assert made.status_code == 201 and made.json()["role"] == "owner" and made.json()["slug"] == "second"
    assert error(Caller(bob)("post", "/api/workspaces", {"name": "Mine"})) == (403, "forbidden")
    assert [w["name"] for w in call("get", "/api/workspaces").json()["items"]] == ["Acme", "Second"]
    changed = call(
        "patch", "/api/workspaces/current", {"name": "Acme & Co", "allowPersonalKeys": False}
    ).json()
    assert (changed["name"], changed["allowPersonalKeys"], changed["slug"]) == ("Acme & Co", False, "acme")
    assert call("get", "/api/workspaces/current").json() == changed
    assert error(Caller(bob)("patch", "/api/workspaces/current", {"name": "x"})) == (403, "forbidden")
    assert error(Caller(bob)("delete", "/api/workspaces/current?confirm=Acme+%26+Co")) == (403, "forbidden")
    assert error(call("delete", "/api/workspaces/current?confirm=Acme")) == (422, "invalid_request")
    assert call("delete", "/api/workspaces/current").status_code == 422
    assert call("delete", "/api/workspaces/current?confirm=Acme+%26+Co").status_code == 204
    assert Workspace.objects.get(slug="acme").deleted_at is not None
    assert Membership.objects.filter(workspace=alice.workspace).count() == 2, "kept, for who brings it back"
    assert call("get", "/api/workspaces/current").json()["slug"] == "second"
    assert error(Caller(bob)("get", "/api/me")) == (403, "forbidden")
