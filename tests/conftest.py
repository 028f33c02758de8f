"""What every test has: no network but this machine's own, the cast of people, the services it may ask for."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.db import connection

from agents.providers import forget_specs
from tests.network import only_this_machine
from tests.people import alice, bob, charlie, other_workspace, vera, workspace
from tests.services import chromium, postgres_url, redis_url
from workspaces.audit import origin
from workspaces.database import close_threads

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
def nobody_came_before() -> None:
    """What is recorded names nobody of an earlier test."""
    origin.nobody_came()


@pytest.fixture(autouse=True)
def nothing_remembered() -> None:
    """What a process remembers of the database for a moment is gone between tests."""
    forget_specs()


@pytest.fixture(autouse=True, scope="session")
def database_threads_end_first(django_db_setup: None) -> Iterator[None]:
    """The threads of `in_database` give their connections back before the test database is dropped."""
    yield
    close_threads()


@pytest.fixture(autouse=True, scope="session")
def tables_may_be_emptied(django_db_setup: None) -> None:
    """The audit's guard lets a test with transactions of its own empty the tables behind itself."""
    flush = connection.ops.execute_sql_flush

    def with_the_switch(statements: list[str]) -> None:
        name = '"workspaces_auditpruning"'
        last = [s for s in statements if s.startswith("DELETE FROM") and name in s]
        first = f"INSERT INTO {name} (before) VALUES ('9999-12-31 00:00:00')"
        flush([first, *(s for s in statements if s not in last), *last])

    connection.ops.execute_sql_flush = with_the_switch  # type: ignore[method-assign]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever lies in tests/e2e drives a browser; `-m "not e2e"` leaves it out. Files with slow tests come first,
    so that of two processes none is left alone with one at the end."""
    here = Path(__file__).parent / "e2e"
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.e2e)
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture
def told(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """`told("…")`: what a test counted, said at the end of the run also when it passes."""
    return lambda text: record_property("told", text)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What tests counted and want said, also when they pass."""
    for report in terminalreporter.getreports("passed"):
        for name, text in report.user_properties:
            if name == "told":
                terminalreporter.write_line(f"  {text}")
