"""Fills a fresh Nexus for the benchmark, in a process of its own, and reads what came of it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson

from .processes import python

FILL_SECONDS = 120


@dataclass(frozen=True, slots=True)
class Filled:
    """Session cookies, one per person, the agent's id, and a token of the first person."""

    cookies: Sequence[str]
    agent: str
    token: str


def fill(people: int, variables: Mapping[str, str]) -> Filled:
    """Migrates, seeds, adds `people` with sessions and an agent. Raises `RuntimeError` with the output."""
    done = subprocess.run(
        python("-m", "benchmarks.fill_database", str(people)),
        cwd=Path(__file__).resolve().parent.parent,
        env={**os.environ, **variables},
        capture_output=True,
        timeout=FILL_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(
            f"the database could not be filled:\n{done.stderr.decode(errors='replace')[-4000:]}"
        )
    told = orjson.loads(done.stdout.splitlines()[-1])
    return Filled(told["cookies"], told["agent"], told["token"])
