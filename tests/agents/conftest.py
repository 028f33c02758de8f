"""People at the HTTP client, and a machine without keys."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from agents import availability
from workspaces.access import Actor

BACKEND = "django.contrib.auth.backends.ModelBackend"


@pytest.fixture(autouse=True)
def _without_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine's own keys and servers are not the tests'."""
    from nexus_core.providers.table import PROVIDERS

    for spec in PROVIDERS:
        for name in (*spec.key_vars, spec.base_url_var):
            if name:
                monkeypatch.delenv(name, raising=False)
    availability.forget_probes()
    # A page waits a quarter of a second for them. What they found is wanted here, however slow the machine is.
    monkeypatch.setattr(availability, "LONGEST_WAIT", 30.0)


@pytest.fixture
def client_of() -> Callable[[Actor], Client]:
    def log_in(actor: Actor) -> Client:
        client = Client()
        client.force_login(actor.user, backend=BACKEND)
        return client

    return log_in


def send(client: Client, method: str, path: str, body: Any) -> Any:
    return getattr(client, method)(path, body, content_type="application/json")
