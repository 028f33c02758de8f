"""The short form of `make chaos`: real servers, a few of each kind of damage, no violation."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from chaos.campaign import SHORT

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.chaos
@pytest.mark.timeout(900)
def test_it_holds_what_it_promises_when_things_break(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "chaos", "--short", "--folder", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout[-6000:]}\n{done.stderr[-3000:]}"
    results = [json.loads(line) for line in (tmp_path / "results.jsonl").read_text().splitlines()]
    assert len(results) == sum(trials for _, _, trials in SHORT)
    assert not [violation for result in results for violation in result["violations"]]
    # A campaign in which nothing was ever hit would prove nothing.
    assert sum(result["struck"] > 0 for result in results) > len(results) / 2
