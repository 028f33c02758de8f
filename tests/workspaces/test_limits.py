"""Rate limits: so many per token, person, workspace and window, in memory and in Redis."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest
from limits import parse

from scripts.services import free_port
from workspaces import limits, redis_away
from workspaces.access import Actor, TooManyRequests
from workspaces.limits import limit_hit, limits_reset
from workspaces.models import User, Workspace

pytestmark = pytest.mark.usefixtures("within_a_minute")


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


def _in(actor: Actor, *, token: UUID | None = None) -> None:
    limit_hit("exports", replace(actor, token_id=token))


@pytest.mark.django_db
def test_a_program_gone_wild_leaves_its_owner_and_the_other_programs_something(
    alice: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(limits.LIMITS, "exports", parse("8/minute"))
    wild, other = uuid4(), uuid4()
    for _ in range(6):
        _in(alice, token=wild)
    for _ in range(3):
        with pytest.raises(TooManyRequests, match=r"6 per 1 minute for a token\. Try again in"):
            _in(alice, token=wild)
    _in(alice, token=other)
    _in(alice)
    with pytest.raises(TooManyRequests, match=r"8 per 1 minute\. Try again in"):
        _in(alice)
    with pytest.raises(TooManyRequests, match=r"8 per 1 minute\. Try again in"):
        _in(alice, token=other)


@pytest.mark.django_db
def test_a_workspace_has_what_ten_people_have(alice: Actor, other_workspace: Workspace) -> None:
    for _ in range(10):
        someone = replace(alice, user=User())
        for _ in range(3):
            _in(someone)
        for _ in range(3):
            with pytest.raises(TooManyRequests, match=r"3 per 1 minute\."):
                _in(someone)  # what a person is refused is not taken from the others
    with pytest.raises(TooManyRequests, match=r"30 per 1 minute for a workspace\."):
        _in(alice)
    _in(replace(alice, workspace=other_workspace))


def test_one_number_raises_them_all(settings: Any) -> None:
    settings.NEXUS_LIMITS_FACTOR = 2
    who = uuid4()
    for _ in range(6):
        limit_hit("exports", who)
    with pytest.raises(TooManyRequests, match="6 per 1 minute"):
        limit_hit("exports", who)
    with pytest.raises(TooManyRequests, match="1 per 1 minute"):
        limit_hit("exports", who, per_minute=1)
        limit_hit("exports", who, per_minute=1)


@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
def test_it_counts_every_use_of_many_threads(settings: Any, caplog: pytest.LogCaptureFixture) -> None:
    settings.NEXUS_REDIS_URL = ""
    limits.LIMITS["exports"] = parse("1000/minute")
    who, refused = uuid4(), []
    together = threading.Barrier(8)

    def uses() -> None:
        together.wait()
        for _ in range(200):
            try:
                limit_hit("exports", who)
            except TooManyRequests:
                refused.append(who)

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=uses) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)
    assert (len(refused), caplog.text) == (600, "")


@pytest.mark.redis
def test_it_counts_in_redis_for_all_processes(settings: Any, redis_url: str) -> None:
    settings.NEXUS_REDIS_URL = redis_url
    who = uuid4()
    for _ in range(3):
        limit_hit("exports", who)
        limits_reset()  # another process has its own memory
    with pytest.raises(TooManyRequests):
        limit_hit("exports", who)


def test_it_counts_alone_while_redis_is_away(
    settings: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_away, "AGAIN_SECONDS", 1000.0)
    settings.NEXUS_REDIS_URL = f"redis://127.0.0.1:{free_port()}/0"
    for _ in range(3):
        limit_hit("exports", "x")
    with pytest.raises(TooManyRequests):
        limit_hit("exports", "x")
    assert caplog.text.count("Redis is away") == 1  # who came later did not wait for it


@pytest.mark.redis
def test_it_counts_in_redis_again_when_it_is_back(settings: Any, redis_url: str) -> None:
    settings.NEXUS_REDIS_URL = f"redis://127.0.0.1:{free_port()}/0"
    who = uuid4()
    limit_hit("exports", who)
    settings.NEXUS_REDIS_URL = redis_url
    redis_away.ask_again()
    for _ in range(3):
        limit_hit("exports", who)
    with pytest.raises(TooManyRequests):
        limit_hit("exports", who)
