"""What the check of the base sees: a process that keeps what it should have given back."""

from __future__ import annotations

from typing import Any

import pytest

from chaos.checks.base import MORE_BYTES, MORE_HANDLES, MORE_TASKS, more_than

FIRST: dict[str, Any] = {
    "tasks": {"sweeper": 1, "Task": 3},
    "handles": {"socket": 9, "file": 4},
    "bytes": 10**8,
}


def test_it_is_content_with_a_process_as_it_was_and_with_one_whose_pools_have_filled() -> None:
    assert more_than(FIRST, FIRST) == []
    assert more_than(FIRST, {**FIRST, "handles": {"socket": 9 + MORE_HANDLES, "file": 4}}) == []


@pytest.mark.parametrize(
    ("kept", "said"),
    [
        ({"tasks": {"sweeper": 1, "Task": 4 + MORE_TASKS}}, "tasks"),
        ({"handles": {"socket": 10 + MORE_HANDLES, "file": 4}}, "handles"),
        ({"bytes": 10**8 + MORE_BYTES + 1}, "MiB"),
    ],
)
def test_it_tells_of_tasks_handles_and_memory_that_did_not_come_back(kept: dict[str, Any], said: str) -> None:
    found = more_than(FIRST, {**FIRST, **kept})
    assert len(found) == 1
    assert said in found[0]
