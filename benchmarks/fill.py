"""Fills a fresh Nexus for the benchmark, in a process of its own, and reads what came of it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .processes import told_by

FILL_SECONDS = 120


@dataclass(frozen=True, slots=True)
class Filled:
    """Session cookies, one per person, the agent's id, and a token of the first person."""

    cookies: Sequence[str]
    agent: str
    token: str


def fill(people: int, variables: Mapping[str, str]) -> Filled:
    """Migrates, seeds, adds `people` with sessions and an agent. Raises `RuntimeError` with the output."""
    told = told_by("benchmarks.fill_database", {**os.environ, **variables}, str(people), seconds=FILL_SECONDS)
    return Filled(told["cookies"], told["agent"], told["token"])
