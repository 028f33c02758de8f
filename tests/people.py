"""The cast of every test: Alice owns, Bob is a member, Vera is a viewer, Charlie is a stranger.

Each fixture is the person's Actor. Charlie owns a workspace of his own, so that every
wall can be tried from behind another one.
"""

from __future__ import annotations

import pytest
from django.test import Client

from workspaces.access import Actor, actor_for
from workspaces.models import Role, User, Workspace
from workspaces.services import membership_set, workspace_create

PASSWORD = "correct horse battery"


def person(username: str, workspace: Workspace, role: str) -> Actor:
    """A new person with that role there."""
    user = User.objects.create(username=username, name=username.capitalize(), email=f"{username}@example.org")
    user.set_password(PASSWORD)
    user.save()
    membership_set(workspace=workspace, user=user, role=role)
    return actor_for(user, workspace.slug)


@pytest.fixture
def workspace(db: None) -> Workspace:
    """Where Alice, Bob and Vera work."""
    return workspace_create(name="Acme", slug="acme")


@pytest.fixture
def other_workspace(db: None) -> Workspace:
    """Where Charlie sits."""
    return workspace_create(name="Other", slug="other")


@pytest.fixture
def alice(workspace: Workspace) -> Actor:
    return person("alice", workspace, Role.OWNER)


@pytest.fixture
def bob(workspace: Workspace) -> Actor:
    return person("bob", workspace, Role.MEMBER)


@pytest.fixture
def vera(workspace: Workspace) -> Actor:
    return person("vera", workspace, Role.VIEWER)


@pytest.fixture
def charlie(other_workspace: Workspace) -> Actor:
    return person("charlie", other_workspace, Role.OWNER)


@pytest.fixture
def operator(alice: Actor) -> Client:
    """Alice at a browser, who runs the server too: she sees every page, the admin's as well."""
    alice.user.is_staff = alice.user.is_superuser = True
    alice.user.save()
    client = Client()
    client.force_login(alice.user, backend="django.contrib.auth.backends.ModelBackend")
    return client
