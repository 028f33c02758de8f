"""What every test has: no network but this machine's own, the cast of people, the services it may ask for."""

import pytest

from agents.providers import forget_specs
from tests.network import only_this_machine
from tests.people import alice, bob, charlie, other_workspace, vera, workspace
from tests.services import chromium, postgres_url, redis_url

__all__ = [
    "alice",
    "bob",
    "charlie",
    "chromium",
    "only_this_machine",
    "other_workspace",
    "postgres_url",
    "redis_url",
    "vera",
    "workspace",
]


@pytest.fixture(autouse=True)
def nothing_remembered() -> None:
    """What a process remembers of the database for a moment is gone between tests."""
    forget_specs()
