"""Checkpoints: what is kept of a run's completed steps, and whether it can be gone on from [C13].

A step's row is the checkpoint. It has a digest of its content, and the run's log has
to reach as far as it says, without a hole. One that does not fit is not used, nor is
any after it: the run goes on from the step before, or from the start, and says so.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import orjson

from nexus_core.chunks import Chunk, from_wire
from nexus_core.messages import ToolCallPart, part_from_json

from .log import PackDamaged, whole_log
from .models import Step, ToolCall

log = logging.getLogger(__name__)

Numbered = tuple[int, Chunk]


@dataclass(frozen=True, slots=True)
class Checkpoints:
    """What one run left, as far as it can be trusted.

    Attributes:
        steps: sound ones, in order; `calls` are theirs, in the model's order.
        log: the readable chunks by seq; `last_seq` the last one stored, readable or not.
        damaged: the first step that cannot be used, if there is one, and all after it.
    """

    steps: list[Step] = field(default_factory=list)
    calls: list[ToolCall] = field(default_factory=list)
    log: list[Numbered] = field(default_factory=list)
    last_seq: int = 0
    damaged: list[Step] = field(default_factory=list)

    @property
    def keep_seq(self) -> int:
        """The last seq of the last sound step; 1 (`started`) when there is none."""
        return max(1, self.steps[-1].last_seq) if self.steps else 1


def checkpoints_of(run_id: UUID) -> Checkpoints:
    """Three queries."""
    steps = list(Step.objects.filter(run_id=run_id).order_by("index"))
    calls = list(ToolCall.objects.filter(run_id=run_id).order_by("step", "created_at", "position"))
    chunks, whole_until, last_seq = _readable_log(run_id)
    sound: list[Step] = []
    theirs: list[ToolCall] = []
    for step in steps:
        asked = [call for call in calls if call.step == step.index]
        fault = _fault(step, sound[-1] if sound else None, whole_until, asked)
        if fault:
            log.warning("run %s: the checkpoint of step %s is not used: %s", run_id, step.index, fault)
            break
        sound.append(step)
        # A step that was made anew, because the first one was damaged, has the newest of its calls.
        theirs += asked[len(asked) - _calls_in(step) :]
    return Checkpoints(sound, theirs, chunks, last_seq, steps[len(sound) :])


def step_digest(step: Step) -> bytes:
    """SHA-256 over what the step says; the same for a row before it is stored and after it was read."""
    content = {
        "run": str(step.run_id),
        "index": step.index,
        "last_seq": step.last_seq,
        "stop_reason": step.stop_reason,
        "parts": step.parts,
        "usage": step.usage,
        "cost": [step.cost_input, step.cost_output],
        "model": [step.provider, step.model],
        "attempt": str(step.attempt_id),
    }
    text = json.dumps(_canonical(content), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).digest()


def _canonical(value: Any) -> Any:
    """Numbers as they are after any database: PostgreSQL writes 1e22 as an integer, for one."""
    if isinstance(value, dict):
        return {key: _canonical(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_canonical(item) for item in value]
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    try:
        return repr(float(value) + 0.0)  # -0.0 is 0 there
    except OverflowError:
        return str(value)


def _fault(step: Step, before: Step | None, whole_until: int, asked: Sequence[ToolCall]) -> str:
    """Why the step cannot be gone on from, or an empty string."""
    if before is not None and (step.index != before.index + 1 or step.last_seq < before.last_seq):
        return f"it does not follow step {before.index}"
    if step.digest is not None and bytes(step.digest) != step_digest(step):
        return "its content does not fit its digest"
    if step.last_seq > whole_until:
        return f"it ends at seq {step.last_seq}, and the log is whole until {whole_until}"
    try:
        wanted = _calls_in(step)
    except (TypeError, ValueError, KeyError, AttributeError) as fault:
        return f"its content cannot be read ({type(fault).__name__})"
    if wanted > len(asked):
        return f"it asked for {wanted} tool calls, and {len(asked)} are recorded"
    return ""


def _calls_in(step: Step) -> int:
    """How many tool calls the step asked for."""
    if step.stop_reason == "pause":  # what a paused turn calls, its provider answers
        return 0
    return sum(isinstance(part_from_json(part), ToolCallPart) for part in step.parts)


def readable_log(run_id: UUID) -> list[Numbered]:
    """All chunks that are stored of a run and can be read."""
    return _readable_log(run_id)[0]


def _readable_log(run_id: UUID) -> tuple[list[Numbered], int, int]:
    """The chunks, the seq until which none is missing or unreadable, and the last seq there is."""
    try:
        pieces = whole_log(run_id)
    except PackDamaged as fault:
        log.error("run %s: its log is damaged: %s", run_id, fault)
        return [], 0, 0
    chunks: list[Numbered] = []
    whole_until = 0
    for seq, _, wire in pieces:
        try:
            chunks.append((seq, from_wire(orjson.loads(wire))))
        except (ValueError, KeyError, TypeError) as fault:
            log.error("run %s: chunk %s of its log cannot be read: %s", run_id, seq, type(fault).__name__)
            continue
        if seq == whole_until + 1:
            whole_until = seq
    return chunks, whole_until, pieces[-1].seq if pieces else 0


def until(chunks: Iterable[Numbered], seq: int) -> list[Numbered]:
    """The chunks up to that seq, itself included."""
    return [(number, chunk) for number, chunk in chunks if number <= seq]
