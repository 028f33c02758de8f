"""Which messages of a conversation a reader sees, and which part of them a page holds. Pure: ids in, ids out.

Messages form a tree by their parents. At a fork the reader sees the branch in which
something was written last, or the one that leads to a message that was asked for.
People's messages and agents' answers under one parent are no alternatives: two may
write, and two answer, at one place. `client/thread.js` chooses in the same way.

A page holds a window of that line: its newest part, or what stands before a message.
Other versions at the window's forks come along, whole while they are small; of the
others only their first message, and the reader's choice of one asks for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

MOST_OF_OTHER_VERSIONS = 200
"""Messages of versions that are not shown, in one window."""


class Node(NamedTuple):
    """A message's place. `superseded` ones are not shown; what was written below them stays where it was."""

    id: UUID
    parent_id: UUID | None
    number: int
    role: str
    superseded: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """What a reader sees, oldest first; `others` has the other versions of a message by its id."""

    nodes: list[Node]
    others: Mapping[UUID, list[Node]]
    children: Mapping[UUID | None, list[Node]]


@dataclass(frozen=True, slots=True)
class Window:
    """A part of a line. `ids` are the messages to load: `line` and the other versions beside it.

    `before` is the first message when there are earlier ones (`earlier_count`), else None;
    `unloaded` names versions of which only the first message is among `ids`.
    """

    line: list[UUID]
    ids: set[UUID]
    before: UUID | None
    earlier_count: int
    unloaded: list[UUID]


def shown_line(nodes: Iterable[Node], *, through: UUID | None = None) -> Line:
    """The line through the newest message, or through the message `through` and what was written last below it."""
    every = {node.id: node for node in nodes}
    shown = sorted((n for n in every.values() if _visible(n)), key=lambda node: node.number)
    above = {node.id: _parent(node, every) for node in shown}
    children: dict[UUID | None, list[Node]] = {}
    for node in shown:
        children.setdefault(above[node.id], []).append(node)
    newest: dict[UUID, int] = {}
    for node in reversed(shown):
        newest[node.id] = max([node.number, *(newest[child.id] for child in children.get(node.id, []))])
    wanted: set[UUID | None] = set()
    at = through if through in above else None
    while at is not None:
        wanted.add(at)
        at = above[at]
    line: list[Node] = []
    others: dict[UUID, list[Node]] = {}
    places: list[UUID | None] = [None]
    while places:
        siblings = children.get(places.pop(0), [])
        for role in ("user", "assistant"):
            group = [node for node in siblings if node.role == role]
            if not group:
                continue
            chosen = max(group, key=lambda node: (node.id in wanted, newest[node.id]))
            line.append(chosen)
            places.append(chosen.id)
            if len(group) > 1:
                others[chosen.id] = [node for node in group if node is not chosen]
    # Questions by age, each followed by its answer, however late that one was finished.
    asked = {node.id: node.number for node in line if node.role == "user"}

    def place(node: Node) -> tuple[int, int]:
        question = above[node.id] if node.role == "assistant" else None
        if question is not None and question in asked:
            return asked[question], node.number
        return node.number, 0

    line.sort(key=place)
    return Line(line, others, children)


def window(line: Line, *, limit: int, before: UUID | None = None) -> Window:
    """The newest `limit` messages of the line, or as many that stand before the message `before`.

    It begins with a question where it can, so that no answer stands alone at its top.
    """
    nodes = line.nodes
    end = len(nodes)
    if before is not None:
        end = next((index for index, node in enumerate(nodes) if node.id == before), 0)
    start = max(0, end - limit)
    while start > 0 and nodes[start].role != "user":
        start -= 1
    part = nodes[start:end]
    ids = {node.id for node in part}
    unloaded: list[UUID] = []
    room = MOST_OF_OTHER_VERSIONS
    for node in reversed(part):
        for other in line.others.get(node.id, []):
            below = _below(other, line.children, room)
            ids.add(other.id)
            if below is None:
                unloaded.append(other.id)
            else:
                ids |= below
                room -= len(below)
    return Window([node.id for node in part], ids, part[0].id if start and part else None, start, unloaded)


def _visible(node: Node) -> bool:
    return not node.superseded and node.role in ("user", "assistant")


def _parent(node: Node, every: Mapping[UUID, Node]) -> UUID | None:
    """The message it hangs at: its parent, or where that one is withdrawn what the parent hung at."""
    at = every.get(node.parent_id) if node.parent_id else None
    while at is not None and not _visible(at):
        at = every.get(at.parent_id) if at.parent_id else None
    return at.id if at is not None else None


def _below(node: Node, children: Mapping[UUID | None, Sequence[Node]], most: int) -> set[UUID] | None:
    """The message and all below it; None when they are more than `most`."""
    found = {node.id}
    places = [node.id]
    while places:
        for child in children.get(places.pop(), []):
            found.add(child.id)
            places.append(child.id)
        if len(found) > most:
            return None
    return found
