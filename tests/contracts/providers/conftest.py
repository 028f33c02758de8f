"""Fixtures of the provider contracts: connections are closed with each test's loop."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from nexus_core.providers import clients


@pytest.fixture(autouse=True)
async def closed_connections() -> AsyncIterator[None]:
    yield
    await clients.close_all()
