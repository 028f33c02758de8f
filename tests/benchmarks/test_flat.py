"""The soak tells growth from noise, and sees processes as they are."""

from __future__ import annotations

import gc
import os
import random
import socket
from pathlib import Path

from benchmarks.flat import Course, chart, count_is_flat, memory_is_flat
from benchmarks.load import Pids
from benchmarks.marks import Faults
from benchmarks.soak import Life, Row, Soak, verdict
from benchmarks.watch import Sample, sample

SECONDS = [5.0 * n for n in range(360)]


def course(per_hour: float, noise: float = 1.0) -> Course:
    dice = random.Random(7)
    return Course(SECONDS, [150 + per_hour * at / 3600 + dice.uniform(-noise, noise) for at in SECONDS])


def test_it_takes_noise_for_flat() -> None:
    assert memory_is_flat(course(0, noise=6))


def test_it_sees_a_leak_through_the_noise() -> None:
    leak = course(40, noise=3)
    assert not memory_is_flat(leak)
    assert 35 < leak.judged().slope() * 3600 < 45


def test_it_does_not_judge_the_warm_up() -> None:
    warm = [min(at / 300, 1.0) * 80 for at in SECONDS]
    assert memory_is_flat(Course(SECONDS, warm))


def test_it_sees_counts_that_grow() -> None:
    assert count_is_flat(Course(SECONDS, [40 + n % 3 for n in range(360)]))
    assert not count_is_flat(Course(SECONDS, [40 + n / 10 for n in range(360)]))


def test_it_draws_a_chart() -> None:
    drawn = chart([1.0, 2.0, 3.0, 8.0])
    assert (drawn[0], drawn[-1], len(drawn)) == ("▁", "█", 4)


def test_it_measures_a_process_from_outside(tmp_path: Path) -> None:
    gc.collect()  # what other tests forgot to close does not end in between
    before = sample([os.getpid()])
    with (tmp_path / "x").open("w"), socket.socket():
        during = sample([os.getpid()])
    assert before.processes == 1
    assert before.memory > 2**20
    assert before.cpu_s > 0
    assert during.connections == before.connections + 1
    assert during.files == before.files + 2


def test_it_counts_nothing_for_a_process_that_is_gone() -> None:
    assert sample([2**22]) == Sample()  # no process may have that number


def watched(memory: float) -> Row:
    row = Row(Pids(1))
    row.at = SECONDS
    row.samples = [Sample(cpu_s=at, memory=int((100 + memory * at) * 2**20), files=9) for at in SECONDS]
    return row


def test_it_fails_a_soak_that_grows_or_loses() -> None:
    plan = Soak(minutes=30)
    good = Life([], plan, 0)
    assert verdict(good, {"web": watched(0)}, plan)[1]
    text, flat = verdict(good, {"web": watched(0.02)}, plan)
    assert not flat
    assert "memory of web" in text
    assert verdict(Life([], Soak(minutes=2), 0), {"web": watched(0.02)}, Soak(minutes=2))[1]
    assert not verdict(Life([], plan, 0, faults=Faults(lost=1)), {"web": watched(0)}, plan)[1]
