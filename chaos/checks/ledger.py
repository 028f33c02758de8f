"""I6, I11: one row per provider request, settled once, with the provider's own numbers."""

from __future__ import annotations

from typing import Any

from ..scene import Scene, WatchedRun
from ..truth import Request


def check(scene: Scene) -> list[str]:
    return [
        f"I6 [{run.play.key}] {fault}"
        for run in scene.runs
        if run.stored is not None
        for fault in _of(run, scene)
    ]


def _of(run: WatchedRun, scene: Scene) -> list[str]:
    stored = run.stored
    assert stored is not None
    requests = scene.provider.truth.of(run.play.key)
    rows = stored.attempts
    faults = [
        f"attempt {row['id']} is still {row['status']}"
        for row in rows
        if row["status"] in ("RESERVED", "SENT", "STREAMING")
    ]
    settled = [row for row in rows if row["status"] == "SETTLED"]
    lost = [row for row in rows if row["status"] == "UNKNOWN"]
    # Cut off before an answer began: whether it had left nobody knows, and it is charged as if.
    unsure = [row for row in settled if not row["success"] and row["estimated"] and not row["tokens_output"]]
    if not len(settled) - len(unsure) <= len(requests) <= len(settled) + len(lost):
        faults.append(
            f"{len(requests)} requests came over the wire; {len(settled)} are settled, {len(lost)} lost with their owner"
        )
    if len(lost) + len(unsure) > run_kills(run) + sum(bool(request.fault) for request in requests):
        faults.append(f"{len(lost)} attempts were lost, {len(unsure)} cut, with {run_kills(run)} owners")
    faults += _numbers(settled, requests)
    faults += _sums(run, rows)
    return faults


def run_kills(run: WatchedRun) -> int:
    """How many owners the run lost: each takeover ends at most one attempt without its owner."""
    assert run.stored is not None
    return max(0, int(run.stored.run["epoch"]) - 1)


def _numbers(settled: list[dict[str, Any]], requests: list[Request]) -> list[str]:
    """Every row with the provider's own numbers is that of exactly one request, which said them."""
    faults: list[str] = []
    told = {request.input_tokens: request for request in requests}
    seen: set[int] = set()
    for row in settled:
        if row["estimated"] or not row["success"]:
            continue
        request = told.get(row["tokens_input"])
        if request is None:
            faults.append(
                f"an attempt is settled at {row['tokens_input']} input tokens, which no request told"
            )
            continue
        if request.number in seen:
            faults.append(f"request {request.number} is settled twice")
        seen.add(request.number)
        usage = request.usage
        if usage is None:
            faults.append(f"request {request.number} told no usage and is settled as told")
        elif row["tokens_output"] + row["tokens_reasoning"] != usage["output"] + usage["reasoning"]:
            faults.append(
                f"request {request.number} told {usage}, settled are {row['tokens_output']} + {row['tokens_reasoning']}"
            )
    for request in requests:
        if (
            request.finished
            and request.usage is not None
            and request.number not in seen
            and not request.fault
        ):
            lost = "its owner died before it was recorded" if run_lost(settled, requests) else ""
            if not lost:
                faults.append(f"request {request.number} finished and is settled nowhere")
    return faults


def run_lost(settled: list[dict[str, Any]], requests: list[Request]) -> bool:
    """Fewer rows are settled than requests were made: an owner took its numbers along."""
    return len([row for row in settled if row["success"]]) < len(requests)


def _sums(run: WatchedRun, rows: list[dict[str, Any]]) -> list[str]:
    """What the run says it used is what its attempts say."""
    assert run.stored is not None
    row = run.stored.run
    faults = []
    for column in ("input", "output", "reasoning"):
        of_run, of_rows = row[f"tokens_{column}"], sum(r[f"tokens_{column}"] for r in rows)
        if of_run != of_rows:
            faults.append(f"the run says {of_run} {column} tokens, its attempts {of_rows}")
    return faults
