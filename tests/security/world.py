"""Who stands where for the id matrix: Alice's house, and everybody who has no business in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from django.test import override_settings
from django.utils import timezone

from agents.services import agent_create
from tests.emptying import empty_tables
from tests.people import person
from workspaces.access import Actor, actor_for
from workspaces.limits import limits_reset
from workspaces.models import ApiToken, Membership, Role
from workspaces.services import membership_remove, workspace_create
from workspaces.tokens import token_create, token_revoke_row

from . import things as table


@dataclass
class World:
    """Alice's house with everything in it, and who stands outside or has no key to a room."""

    open: dict[str, str] = field(default_factory=dict)
    private: dict[str, str] = field(default_factory=dict)
    left: dict[str, str] = field(default_factory=dict)
    """Things that the one who left made, and that are still there."""
    own: dict[str, dict[str, str]] = field(default_factory=dict)
    """By person: one of everything that is theirs."""
    tokens: dict[str, str] = field(default_factory=dict)
    actors: dict[str, Actor] = field(default_factory=dict)


def _world() -> World:
    acme, other = workspace_create(name="Acme", slug="acme"), workspace_create(name="Other", slug="other")
    alice, bob = person("alice", acme, Role.OWNER), person("bob", acme, Role.MEMBER)
    vera, charlie = person("vera", acme, Role.VIEWER), person("charlie", other, Role.OWNER)
    made = World(actors={"alice": alice, "bob": bob, "vera": vera, "charlie": charlie})
    agent_create(
        actor=alice, fields={"name": "Hers", "provider": "scripted", "model": "demo"}, slug="alices-own-agent"
    )
    made.open = table.build(alice, "open") | {"agent": "alices-own-agent"}
    made.private = table.build(alice, "private", private=True) | {"agent": "alices-own-agent"}
    eve_there = person("eve", alice.workspace, Role.MEMBER)
    made.left = table.build(eve_there, "left", private=True) | {"agent": "alices-own-agent"}
    home = workspace_create(name="Home", slug="home")
    for name, actor in (("bob", bob), ("charlie", charlie)):
        made.own[name] = table.build(actor, name) | {"agent": "demo-agent"}

    def token(name: str, actor: Actor, *scopes: str) -> ApiToken:
        new = token_create(user=actor.user, workspace=actor.workspace, name=name, scopes=list(scopes))
        made.tokens[name] = new.text
        return new.row

    for name in ("alice", "bob", "vera", "charlie"):
        token(name, made.actors[name])
    token("reader", alice, "read")
    ApiToken.objects.filter(pk=token("expired", alice).pk).update(
        expires_at=timezone.now() - timedelta(seconds=1)
    )
    token_revoke_row(token=token("revoked", alice))
    stays = token("ex-member, token not revoked", eve_there)
    token("ex-member", eve_there)
    membership_remove(workspace=alice.workspace, user=eve_there.user)
    ApiToken.objects.filter(pk=stays.pk).update(revoked_at=None)
    Membership.objects.create(workspace=home, user=eve_there.user, role=Role.OWNER)
    eve = made.actors["eve"] = actor_for(eve_there.user, "home")
    made.own["eve"] = table.build(eve, "eve") | {"agent": "demo-agent"}
    token("eve", eve)
    return made


@pytest.fixture(scope="module")
def world(
    django_db_setup: None, django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    """Made once: nobody here changes anything, which is what is tested. Run the whole file, not one test of it."""
    place = override_settings(MEDIA_ROOT=tmp_path_factory.mktemp("media"), ALLOWED_HOSTS=["testserver"])
    with django_db_blocker.unblock(), place:
        limits_reset()
        yield _world()
        limits_reset()
        empty_tables()
