"""The servers that tests may ask for: a real PostgreSQL, a real Redis, a real Chromium.

`make test` starts them once and names them in the environment. Without it (a single file run by
hand) the first test that asks starts its own. Where there is none the test is skipped, with CI=true it fails.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from scripts.services import ServiceMissing
from scripts.services.chromium import find_chromium
from scripts.services.postgres import start_postgres
from scripts.services.redis import start_redis


@dataclass(frozen=True)
class Chromium:
    """The program, and the folders with the shared libraries that it needs ("" when the machine has them)."""

    path: str
    libraries: str


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The address of a PostgreSQL with pgvector, whose user may create databases."""
    if url := os.environ.get("NEXUS_TEST_POSTGRES_URL"):
        yield url
        return
    try:
        server = start_postgres()
    except ServiceMissing as why:
        without("PostgreSQL", why)
    yield server.value
    server.stop()


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """The address of a Redis; tests take a database number of their own."""
    if url := os.environ.get("NEXUS_TEST_REDIS_URL"):
        yield url
        return
    try:
        server = start_redis()
    except ServiceMissing as why:
        without("Redis", why)
    yield server.value
    server.stop()


@pytest.fixture(scope="session")
def chromium() -> Chromium:
    if path := os.environ.get("NEXUS_TEST_CHROMIUM"):
        return Chromium(path, os.environ.get("NEXUS_TEST_CHROMIUM_LIBS", ""))
    try:
        found = find_chromium()
    except ServiceMissing as why:
        without("Chromium", why)
    return Chromium(found.value, found.libraries)


def without(what: str, why: Exception) -> None:
    """Skips the test for want of a service; where the tests must be whole it fails instead."""
    message = f"no {what}: {why}"
    if os.environ.get("CI", "").lower() in ("1", "true"):
        pytest.fail(message)
    pytest.skip(message)
