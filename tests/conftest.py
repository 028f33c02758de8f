"""What every test has: no network but this machine's own, the cast of people, the services it may ask for."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from asgiref.sync import SyncToAsync
from django.conf import settings
from django.db import connection, connections
from django.test import TransactionTestCase
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from pytest_django import DjangoDbBlocker

from agents.providers import forget_specs
from billing.plans import forget_plans
from tests.emptying import empty_tables, no_vacuum
from tests.moments import pauses, within_a_day, within_a_minute
from tests.network import only_this_machine
from tests.people import alice, bob, charlie, operator, other_workspace, vera, workspace
from tests.prepared import migrated_copy
from tests.services import chromium, postgres_url, redis_url
from workspaces.audit import origin
from workspaces.database import close_threads
from workspaces.limits import limits_reset

SLOW_SECONDS = 300
"""As long as a test that starts servers or a browser may take on a machine that has other things to do as well."""

__all__ = [
    "alice",
    "bob",
    "charlie",
    "chromium",
    "only_this_machine",
    "operator",
    "other_workspace",
    "pauses",
    "postgres_url",
    "redis_url",
    "vera",
    "within_a_day",
    "within_a_minute",
    "workspace",
]

# How long an example takes is the machine's affair, not the example's.
hypothesis_settings.register_profile(
    "any machine", hypothesis_settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
hypothesis_settings.load_profile("any machine")


@pytest.fixture(autouse=True)
def nobody_came_before() -> None:
    """What is recorded names nobody of an earlier test."""
    origin.nobody_came()


@pytest.fixture(autouse=True)
def nothing_remembered() -> None:
    """What a process remembers of the database for a moment, and has counted, is gone between tests."""
    forget_specs()
    forget_plans()
    limits_reset()


@pytest.fixture(scope="session")
def django_db_keepdb() -> bool:
    """On SQLite the database lies there already, migrated; it goes with the process's data folder."""
    return connection.vendor == "sqlite"


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix: None) -> None:
    if connection.vendor == "sqlite":
        migrated_copy(Path(settings.DATABASES["default"]["TEST"]["NAME"]))


@pytest.fixture(autouse=True, scope="session")
def database_threads_end_first(django_db_setup: None) -> Iterator[None]:
    """Threads give their connections back before the test database is dropped: those of `in_database`, and the one
    in which Django runs what is not async, whose connection its test client leaves open."""
    yield
    close_threads()
    SyncToAsync.single_thread_executor.submit(connections.close_all).result()


@pytest.fixture(autouse=True, scope="session")
def tables_are_emptied_quickly(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> None:
    """What a test with transactions of its own leaves behind goes by `empty_tables`, not by Django's `flush`."""
    with django_db_blocker.unblock():
        no_vacuum()
    TransactionTestCase._fixture_teardown = lambda self: empty_tables()  # type: ignore[method-assign]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever lies in tests/e2e drives a browser; `-m "not e2e"` leaves it out. Files with slow tests come first,
    so that of two processes none is left alone with one at the end."""
    here = Path(__file__).parent / "e2e"
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.e2e)
        takes_long = item.get_closest_marker("slow") or item.get_closest_marker("e2e")
        if takes_long and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(SLOW_SECONDS))
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
