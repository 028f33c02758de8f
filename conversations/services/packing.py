"""Packing: the rows of an ended run's log become few (docs/decisions/0010-packed-logs.md).

Rows are read and compressed outside any transaction, for nobody changes them any
more: a run that ended never goes on, and its owner's late writes are refused. Then
one short transaction deletes them and inserts the packs. Whoever dies in between
has changed nothing; whoever packs at the same time finds fewer rows to delete than
he read, and takes his own packs back.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple
from uuid import UUID

from django.db import transaction
from django.db.models.functions import Now

from ..log import MOST_IN_PACK, PACK, Piece, pack, unpack
from ..models import Run, RunChunk

SETTLE = timedelta(minutes=1)
"""How long after its end a run is left as it is: most readers come at once."""
MOST_RUNS = 50
MOST_ROWS = 2000
"""Of one transaction, so that no stream waits for it for long: some ten milliseconds on SQLite."""
MOST_TEXT = 256 * 1024
"""Characters in one pack, unless one chunk alone has more."""
ENDED = (Run.Status.COMPLETE, Run.Status.CANCELLED, Run.Status.FAILED)


class SomebodyElsePacked(Exception):
    """Another process had the same runs in hand, and was first."""


@dataclass(frozen=True, slots=True)
class Packed:
    """What a batch did: `runs` are those now wholly packed, `rows` went and `packs` came; characters and bytes."""

    runs: int = 0
    rows: int = 0
    packs: int = 0
    characters: int = 0
    bytes: int = 0
    more: bool = False
    """There is, or may be, more to pack at once."""

    def __add__(self, other: Packed) -> Packed:
        return Packed(
            self.runs + other.runs,
            self.rows + other.rows,
            self.packs + other.packs,
            self.characters + other.characters,
            self.bytes + other.bytes,
            other.more,
        )


class _Row(NamedTuple):
    pk: int
    run_id: UUID
    piece: Piece


@dataclass(frozen=True, slots=True)
class _Segment:
    """Rows that become one pack."""

    run_id: UUID
    ids: tuple[int, ...]
    last_seq: int
    packed: bytes
    characters: int


def logs_pack(*, settle: timedelta = SETTLE) -> Packed:
    """Packs one batch of the runs that ended longest ago. Call it again while the answer says `more`."""
    ended = Run.objects.filter(status__in=ENDED, packed_at=None, finished_at__lt=Now() - settle)
    runs = list(ended.order_by("finished_at").values_list("pk", flat=True)[:MOST_RUNS])
    if not runs:
        return Packed()
    segments, done = _segments(runs)
    try:
        with transaction.atomic():
            return _store(segments, done)
    except SomebodyElsePacked:
        return Packed(more=True)


def _segments(runs: list[UUID]) -> tuple[list[_Segment], list[UUID]]:
    """The packs of these runs as far as one batch goes, and the runs that it finishes."""
    found = RunChunk.objects.filter(run_id__in=runs, packed=None).order_by("run_id", "seq")
    columns = found.values_list("pk", "run_id", "seq", "type", "wire")
    rows = [
        _Row(pk, run_id, Piece(seq, kind, wire)) for pk, run_id, seq, kind, wire in columns[: MOST_ROWS + 1]
    ]
    cut = rows[-1].run_id if len(rows) > MOST_ROWS else None
    segments: list[_Segment] = []
    seen: set[UUID] = set()
    for run_id, group in groupby(rows[:MOST_ROWS], attrgetter("run_id")):
        seen.add(run_id)
        parts = _split(list(group))
        if run_id == cut and len(parts[-1]) < MOST_IN_PACK:
            parts.pop()  # these rows become a longer pack with the next batch
        segments += map(_segment, parts)
    if cut is None:
        return segments, runs
    return segments, [run_id for run_id in seen if run_id != cut]


def _split(rows: list[_Row]) -> list[list[_Row]]:
    parts: list[list[_Row]] = []
    size = 0
    for row in rows:
        length = len(row.piece.wire)
        full = not parts or len(parts[-1]) == MOST_IN_PACK or size + length > MOST_TEXT
        # A pack knows its chunks' seqs by counting back from the last one.
        if full or parts[-1][-1].piece.seq + 1 != row.piece.seq:
            parts.append([])
            size = 0
        parts[-1].append(row)
        size += length
    return parts


def _segment(rows: list[_Row]) -> _Segment:
    pieces = [row.piece for row in rows]
    last = pieces[-1].seq
    packed = pack(pieces)
    if unpack(last, packed) != pieces:  # never yet; but what is deleted is gone
        raise RuntimeError(f"run {rows[0].run_id}: its log up to {last} does not survive packing")
    return _Segment(
        rows[0].run_id, tuple(row.pk for row in rows), last, packed, sum(len(p.wire) for p in pieces)
    )


def _store(segments: list[_Segment], done: list[UUID]) -> Packed:
    # The runs' rows first, as everywhere. PostgreSQL passes over runs that another process is packing.
    mine = set(
        Run.objects.filter(
            pk__in={*done, *(segment.run_id for segment in segments)}, status__in=ENDED, packed_at=None
        )
        .select_for_update(no_key=True, skip_locked=True)
        .values_list("pk", flat=True)
    )
    segments = [segment for segment in segments if segment.run_id in mine]
    ids = [pk for segment in segments for pk in segment.ids]
    deleted, _ = RunChunk.objects.filter(pk__in=ids, packed=None).delete()
    if deleted != len(ids):
        raise SomebodyElsePacked
    RunChunk.objects.bulk_create(
        [RunChunk(run_id=s.run_id, seq=s.last_seq, type=PACK, wire="", packed=s.packed) for s in segments]
    )
    finished = Run.objects.filter(pk__in=mine.intersection(done)).update(packed_at=Now())
    return Packed(
        runs=finished,
        rows=len(ids),
        packs=len(segments),
        characters=sum(segment.characters for segment in segments),
        bytes=sum(len(segment.packed) for segment in segments),
        more=bool(mine),
    )
