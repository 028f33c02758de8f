"""`told("…")`: what a test of this folder counted. `make test` prints it at the end (tests/conftest.py)."""

from __future__ import annotations

from collections.abc import Callable

import pytest


@pytest.fixture
def told(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    return lambda text: record_property("told", text)
