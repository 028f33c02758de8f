"""Django's cache in Redis, for all processes together; without Redis people log in all the same."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.core.cache.backends.locmem import LocMemCache
from django.core.cache.backends.redis import RedisCache

from workspaces.redis_away import SOCKET_OPTIONS, redis_or_memory


class RedisOrMemoryCache(RedisCache):
    """While Redis is away every process has a cache of its own: what limits log-ins counts there."""

    def __init__(self, server: Any, params: dict[str, Any]) -> None:
        super().__init__(server, {**params, "OPTIONS": {**SOCKET_OPTIONS, **params.get("OPTIONS", {})}})
        self.memory = LocMemCache("while-redis-is-away", {**params, "OPTIONS": {}})


def _either(name: str) -> Callable[..., Any]:
    in_redis, in_memory = getattr(RedisCache, name), getattr(LocMemCache, name)

    @wraps(in_redis)
    def either(self: RedisOrMemoryCache, *args: Any, **options: Any) -> Any:
        return redis_or_memory(
            lambda: in_redis(self, *args, **options), lambda: in_memory(self.memory, *args, **options)
        )

    return either


for _name in (
    "add",
    "get",
    "set",
    "touch",
    "delete",
    "get_many",
    "has_key",
    "incr",
    "set_many",
    "delete_many",
    "clear",
):
    setattr(RedisOrMemoryCache, _name, _either(_name))
