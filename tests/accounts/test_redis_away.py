"""People log in while Redis is away, and guessing is limited all the same."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client

from scripts.services import free_port
from tests.accounts.conftest import PASSWORD
from workspaces import redis_away
from workspaces.redis_away import ask_again


@pytest.fixture(autouse=True)
def _away(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    ask_again()
    monkeypatch.setattr(
        redis_away, "AGAIN_SECONDS", 600.0
    )  # not asked again by itself, however slow the machine is
    settings.CACHES = {"default": in_redis(f"redis://127.0.0.1:{free_port()}/0")}
    yield
    cache.memory.clear()  # type: ignore[attr-defined]
    ask_again()


def in_redis(url: str) -> dict[str, str]:
    return {"BACKEND": "nexus_site.cache.RedisOrMemoryCache", "LOCATION": url}


def log_in(password: str) -> Any:
    return Client().post("/accounts/login/", {"login": "alice", "password": password})


@pytest.mark.django_db
def test_it_lets_people_in(alice: Any) -> None:
    assert log_in(PASSWORD).status_code == 302


@pytest.mark.django_db
def test_it_limits_guessing(alice: Any) -> None:
    for _ in range(5):
        assert log_in("wrong").status_code == 200
    late = log_in(PASSWORD)
    assert late.status_code == 200 and "Too many failed login attempts" in late.content.decode()


def test_every_way_to_the_cache_works_alone(caplog: pytest.LogCaptureFixture) -> None:
    cache.set("a", 1)
    cache.set_many({"b": 2, "c": 3})
    assert cache.add("d", 4) and not cache.add("d", 5)
    assert cache.incr("a") == 2 and cache.touch("a", 60) and "a" in cache
    assert cache.get_many(["a", "b", "c", "d", "e"]) == {"a": 2, "b": 2, "c": 3, "d": 4}
    cache.delete("a")
    cache.delete_many(["b"])
    assert (cache.get("a"), cache.get("b", "none"), cache.get("c")) == (None, "none", 3)
    cache.clear()
    assert cache.get("c") is None
    assert caplog.text.count("Redis is away") == 1


@pytest.mark.redis
def test_it_is_one_cache_for_all_when_redis_is_back(settings: Any, redis_url: str) -> None:
    cache.set("alone", 1)
    settings.CACHES = {"default": in_redis(redis_url)}
    assert cache.get("alone") == 1  # for a few seconds nobody asks
    ask_again()
    assert cache.get("alone") is None
    cache.set("together", 2, 60)
    assert cache.memory.get("together") is None  # type: ignore[attr-defined]
    assert cache.get("together") == 2
