"""The board: who is here now, as this process knows it. Memory only; entries die with their socket.

An entry is one open socket, or one agent at work in one conversation. What people
see is merged: several tabs are one person, at the place they touched last. Entries
of other processes are laid beside the own ones (see presence_lease.py).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Literal
from uuid import UUID

Kind = Literal["person", "agent"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One socket or one working agent. `touched` (epoch seconds) orders the tabs of one person."""

    workspace_id: UUID
    user_id: str
    """A person's id, or an agent's slug."""
    name: str
    kind: Kind
    activity: str
    since: str
    conversation_id: UUID | None = None
    cursor: dict[str, float] | None = None
    selection: dict[str, Any] | None = None
    icon: str = ""
    touched: float = field(default_factory=time.time, compare=False)

    def wire(self, readable: set[UUID] | None = None) -> dict[str, Any]:
        """`{userId, name, kind, activity, since, conversationId?, cursor?, selection?, icon?}`.

        `readable`: the conversations the receiver may know; None for all.
        """
        out: dict[str, Any] = {
            "userId": self.user_id,
            "name": self.name,
            "kind": self.kind,
            "activity": self.activity,
            "since": self.since,
        }
        if self.icon:
            out["icon"] = self.icon
        if self.conversation_id is not None and (readable is None or self.conversation_id in readable):
            out["conversationId"] = str(self.conversation_id)
            if self.cursor is not None:
                out["cursor"] = self.cursor
            if self.selection is not None:
                out["selection"] = self.selection
        return out

    def to_json(self) -> dict[str, Any]:
        """For another process."""
        return {
            "user_id": self.user_id,
            "name": self.name,
            "kind": self.kind,
            "activity": self.activity,
            "since": self.since,
            "conversation_id": str(self.conversation_id) if self.conversation_id else None,
            "cursor": self.cursor,
            "selection": self.selection,
            "icon": self.icon,
            "touched": self.touched,
        }

    @classmethod
    def from_json(cls, workspace_id: UUID, data: dict[str, Any]) -> Entry:
        where = data.pop("conversation_id")
        return cls(workspace_id=workspace_id, conversation_id=UUID(where) if where else None, **data)


def merged(entries: Iterable[Entry]) -> list[Entry]:
    """One entry per person and agent: the place touched last, since the earliest of them. People first, by name."""
    best: dict[tuple[str, str], Entry] = {}
    since: dict[tuple[str, str], str] = {}
    for entry in entries:
        key = (entry.kind, entry.user_id)
        have = best.get(key)
        if have is None or entry.touched > have.touched:
            best[key] = entry
        since[key] = min(since.get(key, entry.since), entry.since)
    out = [_since(entry, since[key]) for key, entry in best.items()]
    return sorted(out, key=lambda e: (e.kind != "person", e.name.lower(), e.user_id))


def _since(entry: Entry, since: str) -> Entry:
    return entry if entry.since == since else replace(entry, since=since)


class Board:
    """Entries by key, per workspace, safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._own: dict[UUID, dict[str, Entry]] = {}
        self._foreign: dict[UUID, list[Entry]] = {}

    def put(self, key: str, entry: Entry) -> bool:
        """Sets an entry; True when others should hear of it (a moved cursor alone is told otherwise)."""
        with self._lock:
            entries = self._own.setdefault(entry.workspace_id, {})
            old = entries.get(key)
            entries[key] = entry
        return old is None or _told(old) != _told(entry)

    def get(self, workspace_id: UUID, key: str) -> Entry | None:
        with self._lock:
            return self._own.get(workspace_id, {}).get(key)

    def drop(self, workspace_id: UUID, key: str) -> bool:
        with self._lock:
            entries = self._own.get(workspace_id, {})
            gone = entries.pop(key, None)
            if not entries:
                self._own.pop(workspace_id, None)
        return gone is not None

    def set_foreign(self, workspace_id: UUID, entries: list[Entry]) -> bool:
        """What other processes say; True when that changed."""
        with self._lock:
            old = self._foreign.get(workspace_id, [])
            if entries:
                self._foreign[workspace_id] = entries
            else:
                self._foreign.pop(workspace_id, None)
        return [_told(e) for e in old] != [_told(e) for e in entries]

    def own(self, workspace_id: UUID) -> list[Entry]:
        with self._lock:
            return list(self._own.get(workspace_id, {}).values())

    def all(self, workspace_id: UUID) -> list[Entry]:
        with self._lock:
            return [*self._own.get(workspace_id, {}).values(), *self._foreign.get(workspace_id, [])]

    def workspaces(self) -> list[UUID]:
        with self._lock:
            return list(self._own)

    def has(self, workspace_id: UUID, user_id: str) -> bool:
        return any(e.kind == "person" and e.user_id == user_id for e in self.all(workspace_id))

    def clear(self) -> None:
        with self._lock:
            self._own.clear()
            self._foreign.clear()


def _told(entry: Entry) -> tuple[object, ...]:
    return (
        entry.user_id,
        entry.kind,
        entry.name,
        entry.activity,
        entry.conversation_id,
        entry.since,
        entry.icon,
    )
