"""Who may know which conversation: asked of the floor above by functions that it registers at start.

Without one registered, nobody may know anything: that is the safe side.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from uuid import UUID

from workspaces.access import Actor

Readable = Callable[[Actor, Iterable[UUID]], set[UUID]]
OpenToAll = Callable[[Iterable[UUID]], set[UUID]]

_readable: Readable | None = None
_open_to_all: OpenToAll | None = None


def register_conversation_filter(readable: Readable, open_to_all: OpenToAll | None = None) -> None:
    """`readable(actor, ids)`: those of the ids this person may read. `open_to_all(ids)`: those that everyone
    in their workspace may read; without it each person is asked about singly."""
    global _readable, _open_to_all
    _readable, _open_to_all = readable, open_to_all


def readable(actor: Actor, conversation_ids: Iterable[UUID]) -> set[UUID]:
    """Those of the ids that this person may read. Queries the database."""
    ids = set(conversation_ids)
    return _readable(actor, ids) if _readable is not None and ids else set()


def open_to_all(conversation_ids: Iterable[UUID]) -> set[UUID]:
    """Those of the ids that everyone in their workspace may read. Queries the database."""
    ids = set(conversation_ids)
    return _open_to_all(ids) if _open_to_all is not None and ids else set()
