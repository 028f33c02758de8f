"""How many statements this process has sent to its database."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db.backends.signals import connection_created

_counted = 0


def count() -> int:
    return _counted


def _wrapper(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
    global _counted
    _counted += 1  # threads may lose one to another now and then: good enough for a bound
    return execute(sql, params, many, context)


def _made(sender: object, connection: Any, **_: object) -> None:
    if _wrapper not in connection.execute_wrappers:
        connection.execute_wrappers.append(_wrapper)


def count_queries() -> None:
    connection_created.connect(_made, dispatch_uid="chaos.queries")
