"""I5: a tool's effect outside happens at most once per call, and as often as its record says."""

from __future__ import annotations

import json
from collections import Counter

from ..scene import Scene, WatchedRun
from ..wires import call_id


def check(scene: Scene) -> list[str]:
    done: Counter[str] = Counter()
    for line in scene.cluster.effects.read_text().splitlines():
        done[json.loads(line)["key"]] += 1
    return [
        f"I5 [{run.play.key}] {fault}"
        for run in scene.runs
        if run.stored is not None
        for fault in _of(run, done, scene)
    ]


def _of(run: WatchedRun, done: Counter[str], scene: Scene) -> list[str]:
    stored = run.stored
    assert stored is not None
    faults: list[str] = []
    calls = {call["input"].get("key"): call for call in stored.calls}
    if len(calls) != len(stored.calls):
        faults.append(f"{len(stored.calls)} calls are recorded for {len(calls)} that were asked for")
    for wanted in run.play.calls:
        times, call = done[wanted.key], calls.get(wanted.key)
        if call is None:
            if times:
                faults.append(f"{wanted.key} took effect {times} times and is not recorded")
            continue
        status = call["status"]
        if wanted.tool == "chaos_append" and times > 1:
            faults.append(f"{wanted.key} took effect {times} times ({status})")
        if status == "COMPLETED" and (times < 1 or (wanted.tool == "chaos_append" and times != 1)):
            faults.append(f"{wanted.key} is COMPLETED and took effect {times} times")
        if status in ("PENDING", "RUNNING"):
            faults.append(f"{wanted.key} is {status} for ever")
        if status == "UNKNOWN" and wanted.tool == "chaos_put" and stored.run["status"] == "complete":
            faults.append(f"{wanted.key} is idempotent and was left UNKNOWN")
    return faults + _told(run, scene)


def _told(run: WatchedRun, scene: Scene) -> list[str]:
    """The model was told of each call exactly what the record and the chunk say."""
    stored = run.stored
    assert stored is not None
    faults: list[str] = []
    by_call = {call["call_id"]: call for call in stored.calls}
    for request in scene.provider.truth.of(run.play.key):
        for name, content in request.results.items():
            call = by_call.get(name)
            if call is None:
                faults.append(f"the model was told of {name}, which is not recorded")
            elif call["status"] == "COMPLETED" and json.loads(content) != call["result"]:
                faults.append(f"the model was told {content[:80]} of {name}, recorded is {call['result']}")
    for index, step in enumerate(run.play.steps[:-1]):
        later = [r for r in scene.provider.truth.of(run.play.key) if r.step == index + 1]
        for request in later:
            known = [
                place
                for place in range(len(step.calls))
                if any(call_id(run.play.key, index, n, place) in request.results for n in range(20))
            ]
            if len(known) != len(step.calls):
                faults.append(f"request {request.number} for step {index + 1} lacks results of step {index}")
    return faults
