"""The line that a reader sees, and the part of it that a page holds."""

from __future__ import annotations

from itertools import count
from uuid import UUID, uuid5

from conversations.branches import MOST_OF_OTHER_VERSIONS, Line, Node, shown_line, window

SPACE = UUID("00000000-0000-4000-8000-000000000000")


def ident(name: str) -> UUID:
    return uuid5(SPACE, name)


def tree(*rows: str) -> list[Node]:
    """`"a1<q1"` is an answer under q1, `"-a1<q1"` a withdrawn one; numbered in this order."""
    nodes = []
    for number, row in enumerate(rows, 1):
        name, _, parent = row.removeprefix("-").partition("<")
        role = "user" if name.startswith("q") else "assistant"
        nodes.append(Node(ident(name), ident(parent) if parent else None, number, role, row.startswith("-")))
    return nodes


def names(line: Line, nodes: list[Node], rows: tuple[str, ...]) -> list[str]:
    known = {node.id: row.removeprefix("-").partition("<")[0] for node, row in zip(nodes, rows, strict=True)}
    return [known[node.id] for node in line.nodes]


def seen(*rows: str, through: str | None = None) -> list[str]:
    nodes = tree(*rows)
    return names(shown_line(nodes, through=ident(through) if through else None), nodes, rows)


def chain(pairs: int) -> list[Node]:
    """Question, answer, question …, each under the one before."""
    rows: list[Node] = []
    for number in range(1, 2 * pairs + 1):
        role = "user" if number % 2 else "assistant"
        rows.append(Node(ident(f"n{number}"), rows[-1].id if rows else None, number, role))
    return rows


def test_it_follows_the_branch_in_which_something_was_written_last():
    rows = ("q1", "a1<q1", "q2", "a2<q2", "q3<a1")
    assert seen(*rows) == ["q1", "a1", "q3"]
    assert seen(*rows, through="a2") == ["q2", "a2"]


def test_it_takes_questions_and_answers_under_one_message_for_no_alternatives():
    rows = ("q1", "q2<q1", "a1<q1", "a2<q2", "q3<a2")
    assert seen(*rows) == ["q1", "a1", "q2", "a2", "q3"]


def test_it_keeps_what_was_asked_after_an_answer_that_was_made_again():
    assert seen("q1", "-a1<q1", "q2<a1", "a2<q2", "a3<q1") == ["q1", "a3", "q2", "a2"]


def test_it_opens_with_the_newest_part_that_begins_with_a_question():
    nodes = chain(50)
    part = window(shown_line(nodes), limit=5)
    assert part.line == [node.id for node in nodes[-6:]]
    assert part.before == nodes[-6].id and part.earlier_count == 94
    assert part.ids == set(part.line) and part.unloaded == []


def test_it_leads_to_the_first_message_in_parts_without_hole_or_repeat():
    nodes = chain(50)
    line = shown_line(nodes)
    part = window(line, limit=7)
    found = list(part.line)
    for _ in count():
        if part.before is None:
            break
        part = window(line, limit=7, before=part.before)
        found = part.line + found
    assert found == [node.id for node in nodes]
    assert part.earlier_count == 0


def test_it_brings_small_other_versions_whole_and_of_large_ones_the_first_message():
    nodes = chain(3)
    small = Node(ident("again"), nodes[4].id, 7, "assistant")
    part = window(shown_line([*nodes, small], through=nodes[5].id), limit=2)
    assert part.line == [nodes[4].id, nodes[5].id] and small.id in part.ids and not part.unloaded
    below = [Node(ident("edit"), nodes[3].id, 8, "user")]
    for number in range(9, 9 + MOST_OF_OTHER_VERSIONS):
        below.append(Node(ident(f"b{number}"), below[-1].id, number, "assistant" if number % 2 else "user"))
    line = shown_line([*nodes, *below], through=nodes[5].id)
    part = window(line, limit=2)
    assert part.unloaded == [below[0].id]
    assert part.ids == {nodes[4].id, nodes[5].id, below[0].id}


def test_it_leaves_out_branches_that_fork_above_the_part():
    nodes = chain(20)
    old = [Node(ident("old1"), nodes[1].id, 41, "user"), Node(ident("old2"), ident("old1"), 42, "assistant")]
    part = window(shown_line([*nodes, *old], through=nodes[-1].id), limit=10)
    assert part.ids == {node.id for node in nodes[-10:]}
