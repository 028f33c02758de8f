"""Who waits for a process to come to a fail point, and when it is given up."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from chaos.faults.processes import _happened

OVER: Any = SimpleNamespace(runs=["a run"], going=list)
"""A trial of which everybody has seen the end."""


async def test_it_gives_up_a_point_that_nobody_came_to(tmp_path: Path) -> None:
    armed = tmp_path / "after_finish"
    armed.write_text("{}")
    assert not await _happened(OVER, tmp_path / "after_finish.done")
    assert not armed.exists(), "whoever comes there now goes on"


async def test_it_waits_for_a_process_that_is_just_there(tmp_path: Path) -> None:
    """It has taken the file, and will write that it did, and die: that is the trial's doing, no accident."""
    done, taken = tmp_path / "after_finish.done", tmp_path / "after_finish.4711"
    taken.write_text("{}")
    waiting = asyncio.create_task(_happened(OVER, done))
    await asyncio.sleep(0.1)
    assert not waiting.done()
    taken.rename(done)
    assert await waiting


async def test_it_gives_up_a_point_that_was_passed_and_is_armed_again(tmp_path: Path) -> None:
    """Who comes there before its turn takes the file for a moment, to count."""
    taken = tmp_path / "after_finish.4711"
    taken.write_text("{}")
    waiting = asyncio.create_task(_happened(OVER, tmp_path / "after_finish.done"))
    await asyncio.sleep(0.05)
    taken.rename(tmp_path / "after_finish")
    assert not await waiting
