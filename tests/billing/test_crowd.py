"""Admissions under concurrency, with processes that are killed: no overshoot, nothing leaks, no refusal while there was room.

A thousand of them; `NEXUS_TEST_LONG=1` makes it a hundred thousand.
"""

from __future__ import annotations

import json
import os
import time
from bisect import bisect_left, bisect_right
from collections import defaultdict
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from django.db import connection, transaction

from billing.budget_models import BudgetPeriod
from billing.models import Attempt
from billing.settling import attempt_settle_in_transaction
from nexus_core.ports import Attempt as Reserved
from nexus_core.ports import Settled
from nexus_core.usage import Cost, Usage

from .conftest import outcome_of, request_to
from .money import budget_of, holds, most, price_of, somewhere
from .spender import spenders

LONG = bool(os.environ.get("NEXUS_TEST_LONG"))
ROUNDS, CALLS = (25, 1000) if LONG else (3, 84)
PROCESSES, THREADS = 4, 6
ALL, AGENTS = 9, 3
"""So many fit at once, of all and of the agent's: fewer than ask."""

Line = tuple[str, str, float, bool]


@pytest.mark.timeout(7200 if LONG else 600)
@pytest.mark.django_db(transaction=True)
def test_a_crowd_with_deaths_never_overshoots_and_is_never_refused_while_there_is_room(
    tmp_path: Path,
) -> None:
    price_of()
    where, log = somewhere(), tmp_path / "log"
    each = most(request_to("m1", max_tokens=100))
    budget_of(where, ALL * each, on_end="refuse")
    budget_of(where, AGENTS * each, on_end="refuse", scope="agent", scope_id="helper")
    given_back: dict[int, tuple[float, float]] = {}
    with spenders(PROCESSES - 1, connection, tmp_path) as others:
        for number in range(ROUNDS):
            with spenders(1, connection, tmp_path) as (doomed,):
                processes = [doomed, *others]
                runs = [uuid4() for _ in processes]
                for n, process in enumerate(processes):
                    seed = number * PROCESSES + n
                    ids = {"workspace_id": str(where), "run_id": str(runs[n])}
                    process.tell(do="churn", ids=ids, calls=CALLS, threads=THREADS, log=str(log), seed=seed)
                begun = f'["{number * PROCESSES}.'
                until(log, begun, CALLS)
                doomed.kill()
                before = time.monotonic()
                settle_what_it_left(runs[0])
                given_back[number * PROCESSES] = before, time.monotonic()
                assert [process.hear() for process in others] == [CALLS] * len(others)
    lines: list[Line] = [tuple(json.loads(line)) for line in log.read_text().splitlines()]
    check(lines, given_back)
    holds(quiet=True)
    assert {(period.spent, period.reserved) for period in BudgetPeriod.objects.all()} == {(0, 0)}


def until(log: Path, begins: str, count: int) -> None:
    """The process whose lines begin so has written so many of them (a call writes four, or two)."""
    while not log.exists() or sum(line.startswith(begins) for line in log.read_text().splitlines()) < count:
        time.sleep(0.02)


def settle_what_it_left(run: UUID) -> None:
    """Given back whole, as what was never sent is, so that there is as much room as before."""
    for row in Attempt.objects.filter(run_id=run, status__in=Attempt.OPEN):
        with transaction.atomic():
            reserved = Reserved(row.pk, row.provider, row.model, 100)
            outcome = outcome_of(None, status="failed", sent=False)
            assert attempt_settle_in_transaction(reserved, outcome, Settled(Usage(), Cost(0, 0)))


def check(lines: list[Line], given_back: dict[int, tuple[float, float]]) -> None:
    """By the clock that all processes share; `given_back` says from when to when what a dead process held was."""
    never = float("inf"), float("inf")
    calls: dict[str, dict[str, float]] = defaultdict(dict)
    agents: dict[str, bool] = {}
    for call, what, at, agent in lines:
        calls[call][what], agents[call] = at, agent
    surely: list[tuple[float, int, bool]] = []
    perhaps: list[tuple[float, int, bool]] = []
    refused = 0
    for call, times in calls.items():
        agent, (first, last) = agents[call], given_back.get(int(call.split(".")[0]), never)
        if "refused" in times:
            refused += 1
            continue
        # Held at least from the answer to the beginning of the end, at most from the question to its end.
        if "holds" in times:
            surely += [(times["holds"], 1, agent), (times.get("ends", first), -1, agent)]
        perhaps += [(times["asks"], 1, agent), (times.get("free", last), -1, agent)]
    assert refused and len(calls) - refused > ALL
    assert highest(surely, False) <= ALL and highest(surely, True) <= AGENTS
    held, of_agent = steps(perhaps, False), steps(perhaps, True)
    for call, times in calls.items():
        if "refused" not in times:
            continue
        span = times["asks"], times["refused"]
        full = most_in(held, *span) >= ALL or (agents[call] and most_in(of_agent, *span) >= AGENTS)
        assert full, f"{call} was refused while there was room"


def steps(changes: list[tuple[float, int, bool]], only_agent: bool) -> list[tuple[float, int]]:
    """How many hold something from when on; of one moment those who begin come first."""
    found, now = [], 0
    for at, more, agent in sorted(changes, key=lambda change: (change[0], -change[1])):
        if agent or not only_agent:
            now += more
            found.append((at, now))
    return found


def highest(changes: list[tuple[float, int, bool]], only_agent: bool) -> int:
    """The most at once; of one moment those who end come first."""
    now = top = 0
    for _, more, agent in sorted(changes):
        if agent or not only_agent:
            now += more
            top = max(top, now)
    return top


def most_in(found: list[tuple[float, int]], begins: float, ends: float) -> int:
    """The highest number within that span."""
    first = max(0, bisect_right(found, (begins, 10**9)) - 1)
    last = bisect_left(found, (ends, 10**9))
    return max((count for _, count in found[first:last]), default=0)
