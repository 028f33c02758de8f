"""Rate limits: so many per person and window, in memory and in Redis."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from limits import parse

from scripts.services import free_port
from workspaces import limits
from workspaces.access import TooManyRequests
from workspaces.limits import limit_hit, limits_reset


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(limits.LIMITS, "exports", parse("3/minute"))
    limits_reset()
    yield
    limits_reset()


def test_it_refuses_after_so_many_and_says_when_to_come_back() -> None:
    who = uuid4()
    for _ in range(3):
        limit_hit("exports", who)
    with pytest.raises(TooManyRequests) as refusal:
        limit_hit("exports", who)
    assert (refusal.value.http_status, refusal.value.retryable) == (429, True)
    assert 1 <= refusal.value.retry_after <= 60
    limit_hit("exports", uuid4())
    limit_hit("tickets", who)


def test_it_lets_a_hundred_runs_and_several_hundred_requests_through() -> None:
    who = uuid4()
    for _ in range(100):
        limit_hit("runs", who)
    for _ in range(700):
        limit_hit("requests", who)


@pytest.mark.redis
def test_it_counts_in_redis_for_all_processes(settings: Any, redis_url: str) -> None:
    settings.NEXUS_REDIS_URL = redis_url
    who = uuid4()
    for _ in range(3):
        limit_hit("exports", who)
        limits_reset()  # another process has its own memory
    with pytest.raises(TooManyRequests):
        limit_hit("exports", who)


def test_it_lets_through_when_redis_is_away(settings: Any, caplog: pytest.LogCaptureFixture) -> None:
    settings.NEXUS_REDIS_URL = f"redis://127.0.0.1:{free_port()}/0"
    for _ in range(5):
        limit_hit("exports", "x")
    assert "could not be counted" in caplog.text
