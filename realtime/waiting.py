"""Agents that wait for people: nobody works on their runs, so no process has them in its memory. They are asked of
the floor above, by a function that it registers at start, and told when it rings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from uuid import UUID

from .frames import Frame
from .presence_board import Entry
from .publish import publish
from .rooms import presence_room

WAITING = "waiting for approval"
"""What such an agent does, in the words of presence."""
CHANGED = "presence.waiting"
"""The doorbell between processes; no socket ever gets it."""

Waiting = Callable[[UUID, UUID | None], Sequence[Entry]]

_waiting: Waiting | None = None


def register_waiting_agents(waiting: Waiting) -> None:
    """`waiting(workspace_id, conversation_id)`: an entry for each agent that waits there; None: in all conversations."""
    global _waiting
    _waiting = waiting


def waiting_agents(workspace_id: UUID, conversation_id: UUID | None = None) -> Sequence[Entry]:
    """Those that wait now. Queries the database."""
    return _waiting(workspace_id, conversation_id) if _waiting is not None else ()


def waiting_changed(workspace_id: UUID) -> None:
    """After the commit: an agent began to wait there, or waits no more. From any thread and process."""
    publish(presence_room(workspace_id), Frame("", CHANGED))
