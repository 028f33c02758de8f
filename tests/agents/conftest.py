"""Alice owns Acme, Bob is a member there, Vera a viewer, Charlie owns another workspace."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from agents.availability import forget_probes
from workspaces.access import Actor, actor_for
from workspaces.models import Role
from workspaces.services import membership_set, user_create, workspace_create

BACKEND = "django.contrib.auth.backends.ModelBackend"


@pytest.fixture(autouse=True)
def _without_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine's own keys and servers are not the tests'."""
    from nexus_core.providers.table import PROVIDERS

    for spec in PROVIDERS:
        for name in (*spec.key_vars, spec.base_url_var):
            if name:
                monkeypatch.delenv(name, raising=False)
    forget_probes()


@pytest.fixture
def alice(db: None) -> Actor:
    person = user_create(username="alice", password="alice", check_password=False)
    return actor_for(person, workspace_create(name="Acme", owner=person).slug)


@pytest.fixture
def bob(alice: Actor) -> Actor:
    return member(alice, "bob", Role.MEMBER)


@pytest.fixture
def vera(alice: Actor) -> Actor:
    return member(alice, "vera", Role.VIEWER)


@pytest.fixture
def charlie(db: None) -> Actor:
    person = user_create(username="charlie", password="charlie", check_password=False)
    return actor_for(person, workspace_create(name="Elsewhere", owner=person).slug)


def member(owner: Actor, name: str, role: str) -> Actor:
    person = user_create(username=name, password=name, check_password=False)
    membership_set(workspace=owner.workspace, user=person, role=role)
    return actor_for(person, owner.workspace.slug)


@pytest.fixture
def client_of() -> Callable[[Actor], Client]:
    def log_in(actor: Actor) -> Client:
        client = Client()
        client.force_login(actor.user, backend=BACKEND)
        return client

    return log_in


def send(client: Client, method: str, path: str, body: Any) -> Any:
    return getattr(client, method)(path, body, content_type="application/json")
