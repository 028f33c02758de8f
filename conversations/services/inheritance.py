"""What a resumed run goes on from: the completed steps of the runs it goes back to, and what they showed."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from uuid import UUID

from nexus_core.chunks import Chunk, ContentChunk, ReasoningChunk, ToolCallChunk
from nexus_core.ports import StepRecord, ToolRecord
from nexus_core.usage import Cost, Usage

from ..checkpoints import Checkpoints, checkpoints_of, until
from ..engine.journal import step_record, tool_record
from ..fold import kept
from ..models import Run, Step

MOST_RESUMES = 100


@dataclass(frozen=True, slots=True)
class Inherited:
    """Steps 0, 1, 2 … without a gap, their tool calls, and what was shown up to the last of them.

    `damaged`: there were more, but they cannot be used.
    """

    steps: list[StepRecord] = field(default_factory=list)
    calls: list[ToolRecord] = field(default_factory=list)
    shown: list[Chunk] = field(default_factory=list)
    damaged: bool = False


def inherited_by(run: Run) -> Inherited:
    """Of all the runs it goes back to: one that was resumed may have gone on from another itself."""
    found: dict[UUID, Checkpoints] = {}
    steps: list[Step] = []
    damaged = False
    for run_id in ancestors_of(run):
        mine = found[run_id] = checkpoints_of(run_id)
        if not (mine.steps or mine.damaged):
            continue
        begins = (mine.steps or mine.damaged)[0].index
        if begins > len(steps):  # it went on from a step that can no longer be used
            damaged = True
            break
        # It may have made anew what was damaged before: then its own steps count.
        steps = [*steps[:begins], *mine.steps]
        damaged = bool(mine.damaged)
    if not steps:
        return Inherited(damaged=damaged)
    calls = [call for step in steps for call in found[step.run_id].calls if call.step == step.index]
    # The last run to complete a step shows in its own log what it had from those before.
    last = steps[-1]
    shown: list[Chunk] = [
        chunk
        for _, chunk in kept(until(found[last.run_id].log, last.last_seq))
        if isinstance(chunk, (ContentChunk, ReasoningChunk, ToolCallChunk))
    ]
    # What they cost is booked on the runs that made them.
    told = [replace(step_record(step), usage=Usage(), cost=Cost()) for step in steps]
    return Inherited(told, [tool_record(call) for call in calls], shown, damaged)


def ancestors_of(run: Run) -> list[UUID]:
    """The runs it was resumed from, oldest first."""
    line: list[UUID] = []
    at = run.resumed_from_id
    while at is not None and at not in line and len(line) < MOST_RESUMES:
        line.append(at)
        at = Run.objects.filter(pk=at).values_list("resumed_from_id", flat=True).first()
    return line[::-1]
