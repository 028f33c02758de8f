"""When a run counts as one that nobody takes; not while the machine, and who looks, stands still."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace
from typing import Any

import pytest

from chaos.checks import leases
from chaos.inspector import Unfinished


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in (("EVERY_SECONDS", 0.05), ("LOOK_SECONDS", 0.02), ("GRACE_SECONDS", 0.5)):
        monkeypatch.setattr(leases, name, seconds)


class Runs:
    """One run whose lease ended when this was made."""

    def __init__(self, stands: float = 0.0) -> None:
        self.began, self.stands = time.monotonic(), stands
        self.looks = 0

    async def unfinished(self) -> list[Unfinished]:
        self.looks += 1
        if self.stands and self.looks > 1:
            return []  # taken, as soon as somebody could
        time.sleep(self.stands)
        alone = time.monotonic() - self.began
        return [Unfinished("run", "running", 1, 3, 2.0 + alone, 9.0, "", waits_for_another=False)]


def scene_of(runs: Runs) -> Any:
    cluster = SimpleNamespace(inspector=runs, plan=SimpleNamespace(lease_seconds=2.0))
    return SimpleNamespace(cluster=cluster, able_since=0.0, violations=[])


async def test_it_tells_of_a_run_that_nobody_takes() -> None:
    scene = scene_of(Runs())
    watching = asyncio.create_task(leases.watch_leases(scene))
    async with asyncio.timeout(60):
        while not scene.violations:
            await asyncio.sleep(0.02)
    watching.cancel()
    assert "nobody has taken it" in scene.violations[0]


async def test_it_blames_nobody_while_the_machine_stands_still() -> None:
    runs = Runs(stands=1.5)
    scene = scene_of(runs)
    watching = asyncio.create_task(leases.watch_leases(scene))
    async with asyncio.timeout(60):
        while runs.looks < 3:
            await asyncio.sleep(0.02)
    watching.cancel()
    assert scene.violations == []
