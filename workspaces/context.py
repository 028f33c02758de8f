"""What log lines name: the ids bound to the context of a request, a socket or a run.

They travel with `contextvars`: into tasks, into `in_database`, `to_thread` and `sync_to_async`. A thread
of its own (the log writer) binds them around what it says.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import structlog

from .access import Actor
from .audit import origin

NAMED = ("conversation_id", "run_id", "message_id", "tool_id")
"""Ids in an address or a frame that its lines name."""


def bind_actor(actor: Actor) -> None:
    origin.acts(actor)
    structlog.contextvars.bind_contextvars(workspace_id=str(actor.workspace_id), user_id=str(actor.user_id))


def bind_named(found: Mapping[str, Any]) -> None:
    """Of the parameters of an address those that name a thing."""
    structlog.contextvars.bind_contextvars(
        **{name: str(found[name]) for name in NAMED if found.get(name) is not None}
    )


def bind_new(**ids: Any) -> None:
    """Begins anew: nothing bound before is on the lines from here on."""
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(**{name: str(value) for name, value in ids.items() if value})


def bind_run(run_id: Any) -> None:
    """Begins a run's lines. They also name the request or socket that started it, where it began in its context."""
    before = structlog.contextvars.get_contextvars()
    kept = {} if "run_id" in before else {k: before.get(k) for k in ("request_id", "connection_id")}
    bind_new(run_id=run_id, **kept)
    origin.nobody_came()


def bind(**ids: Any) -> None:
    structlog.contextvars.bind_contextvars(**{name: str(value) for name, value in ids.items() if value})


@contextmanager
def bound(**ids: Any) -> Iterator[None]:
    """Within the block the lines name these ids too; none where a value is empty."""
    with structlog.contextvars.bound_contextvars(
        **{name: str(value) for name, value in ids.items() if value}
    ):
        yield
