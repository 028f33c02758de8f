"""I1: seq 1..n, one terminal. I2: drawn == stored == what the provider sent. I3: nothing shown that is not stored."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from ..clients.drawing import TERMINAL, Chunk, Drawing, same, terminal, thinking, visible
from ..play import answer_text, thinking_text
from ..scene import Scene, WatchedRun
from ..truth import Request

_WORD = re.compile(r"(\(?)([\w-]+)\.(\d+)\.(\d+)\.(\d+)\)? ")


def check(scene: Scene) -> list[str]:
    found: list[str] = []
    for run in scene.runs:
        if run.stored is None:
            continue
        chunks = [json.loads(wire) for _, _, wire in run.stored.log]
        found += _named("I1", run, _numbered(run))
        found += _named("I2", run, _as_sent(run, chunks, scene.provider.truth.of(run.play.key)))
        for drawing in run.drawings:
            found += _named("I3", run, _as_stored(drawing, chunks))
    return found


def _named(name: str, run: WatchedRun, faults: Sequence[str]) -> list[str]:
    where = run.started.run_id if run.started is not None else "never started"
    return [f"{name} [{run.play.key} {where}] {fault}" for fault in faults]


def _numbered(run: WatchedRun) -> list[str]:
    stored = run.stored
    assert stored is not None
    seqs = [seq for seq, _, _ in stored.log]
    faults = []
    if seqs != list(range(1, len(seqs) + 1)):
        faults.append(f"the seqs are {_gist(seqs)}")
    chunks = [json.loads(wire) for _, _, wire in stored.log]
    ends = [seq for seq, chunk in enumerate(chunks, 1) if terminal(chunk)]
    if ends != [len(chunks)]:
        faults.append(f"terminal chunks at {ends} of {len(chunks)}")
    if not chunks or chunks[0]["data"].get("status") != "started":
        faults.append("the first chunk is not `started`")
    row = stored.run
    if row["last_seq"] != len(seqs):
        faults.append(f"the run's last_seq is {row['last_seq']}, its log ends at {len(seqs)}")
    if row["status"] not in TERMINAL:
        faults.append(f"the run is {row['status']}")
    elif chunks and chunks[-1]["data"].get("status") != row["status"]:
        faults.append(
            f"the run is {row['status']}, its terminal chunk says {chunks[-1]['data'].get('status')}"
        )
    return faults


def _as_sent(run: WatchedRun, chunks: list[Chunk], requests: Sequence[Request]) -> list[str]:
    """The visible text is, step by step, the whole text of one request; of the last step of a run that
    was stopped or failed, the beginning of one."""
    stored = run.stored
    assert stored is not None
    faults = []
    text = visible(chunks)
    if stored.answer is None:
        faults.append("there is no answer's message")
    elif stored.answer["content"] != text:
        faults.append("the answer's message has another text than the log")
    complete = stored.run["status"] == "complete"
    for what, said, whole in (("text", text, _text_of), ("thinking", thinking(chunks), _thinking_of)):
        left = said
        for index, step in enumerate(run.play.steps):
            if not left and not complete:
                break
            size = step.words if what == "text" else step.thoughts
            if size == 0:
                continue
            make = answer_text if what == "text" else thinking_text
            candidates = [request for request in requests if request.step == index]
            fitting = [r for r in candidates if left.startswith(make(r.key, index, r.attempt, size))]
            if fitting:
                left = left[len(make(fitting[0].key, index, fitting[0].attempt, size)) :]
                if len(whole(fitting[0])) < len(make(fitting[0].key, index, fitting[0].attempt, size)):
                    faults.append(f"step {index} shows more {what} than the provider sent")
                continue
            if not complete and any(
                make(r.key, index, r.attempt, size).startswith(left) and len(left) <= len(whole(r)) + 64
                for r in candidates
            ):
                left = ""
                break
            faults.append(
                f"step {index}: the {what} is that of no single request; it goes on with {left[:60]!r} "
                f"(requests: {[(r.attempt, len(whole(r)), r.finished) for r in candidates]})"
            )
            left = ""
            break
        if left:
            faults.append(f"{what} beyond the play: {left[:80]!r}")
    return faults


def _text_of(request: Request) -> str:
    return request.text


def _thinking_of(request: Request) -> str:
    return request.thinking


def _as_stored(drawing: Drawing, chunks: list[Chunk]) -> list[str]:
    faults = [f"{drawing.watcher}: {breach}" for breach in drawing.breaches]
    for seq, (drawn, stored) in enumerate(zip(drawing.chunks, chunks, strict=False), 1):
        if same(drawn) != same(stored):
            faults.append(
                f"{drawing.watcher}: seq {seq} was drawn as {same(drawn)[:120]}, stored as {same(stored)[:120]}"
            )
            break
    if len(drawing.chunks) > len(chunks):
        faults.append(f"{drawing.watcher}: drew {len(drawing.chunks)} chunks, {len(chunks)} are stored")
    elif len(drawing.chunks) < len(chunks):
        faults.append(f"{drawing.watcher}: drew {len(drawing.chunks)} of {len(chunks)} chunks")
    return faults


def _gist(seqs: Sequence[int]) -> str:
    return str(seqs) if len(seqs) < 30 else f"{list(seqs[:12])} … {list(seqs[-12:])} ({len(seqs)})"
