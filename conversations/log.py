"""The log of a run, read. Every reader comes here, because its rows have two forms.

While a run goes, a chunk is a row. After the end up to `MOST_IN_PACK` rows in a row
become one (`services/packing.py`), whose seq is that of its last chunk. So
`seq > after` in the order of seq finds the right rows in both forms, in one statement
over one table: a reader sees the log as it was before or after a packing, never with
a hole. A pack keeps the chunks' own JSON texts; what is read is what was written.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple
from uuid import UUID

import orjson

from .models import RunChunk

PACK = "pack"
MOST_IN_PACK = 1000
"""Chunks in one pack. Never lower it: `read_log` counts on no pack being longer."""
FORMAT = b"\x01"
ROWS = 500
"""Rows of one reading; a page of a packed log is therefore longer than one of a log that grows."""


class Piece(NamedTuple):
    """One chunk as it is stored: `wire` is its JSON text."""

    seq: int
    type: str
    wire: str


class LogRow(NamedTuple):
    """One row: a chunk, or many of them in `packed`, the last one with this seq."""

    seq: int
    type: str
    wire: str
    packed: bytes | None


class PackDamaged(ValueError):
    """A pack's bytes are not what was written."""


def pack(pieces: Sequence[Piece]) -> bytes:
    """Types and lengths as JSON, a line's end, then the texts one after the other; compressed."""
    head = orjson.dumps([[piece.type, len(piece.wire)] for piece in pieces])
    texts = "".join(piece.wire for piece in pieces)
    return FORMAT + zlib.compress(head + b"\n" + texts.encode(), 6)


def unpack(last_seq: int, packed: bytes) -> list[Piece]:
    """The chunks of a pack whose last one has `last_seq`. Raises `PackDamaged`."""
    if packed[:1] != FORMAT:
        raise PackDamaged(f"a pack of format {packed[:1]!r}; this version knows {FORMAT!r}")
    try:
        head, _, body = zlib.decompress(packed[1:]).partition(b"\n")
        kinds, texts = orjson.loads(head), body.decode()
    except (zlib.error, ValueError) as fault:
        raise PackDamaged(f"a pack that cannot be read: {fault}") from fault
    out: list[Piece] = []
    at = 0
    for seq, (kind, length) in enumerate(kinds, last_seq - len(kinds) + 1):
        out.append(Piece(seq, kind, texts[at : at + length]))
        at += length
    return out


def pieces_of(row: LogRow) -> list[Piece]:
    """The chunks of a row, in order."""
    if row.packed is None:
        return [Piece(row.seq, row.type, row.wire)]
    return unpack(row.seq, row.packed)


def read_rows(run_id: UUID, after: int = 0, *, rows: int = ROWS) -> list[LogRow]:
    """The rows that hold chunks with seq > after; one query. The first may begin before it."""
    found = RunChunk.objects.filter(run_id=run_id, seq__gt=after).order_by("seq")
    return [
        LogRow(seq, kind, wire, None if packed is None else bytes(packed))
        for seq, kind, wire, packed in found.values_list("seq", "type", "wire", "packed")[:rows]
    ]


def pieces_after(rows: Sequence[LogRow], after: int) -> Iterator[Piece]:
    """The chunks of these rows with seq > after. A pack is opened when its turn comes."""
    for row in rows:
        for piece in pieces_of(row):
            if piece.seq > after:
                yield piece


def read_log(run_id: UUID, after: int, limit: int = ROWS) -> list[Piece]:
    """The first `limit` chunks with seq > after, in order; one query."""
    found = RunChunk.objects.filter(
        # The last row that a page of this length can need is a pack that only begins within it.
        run_id=run_id,
        seq__gt=after,
        seq__lt=after + limit + MOST_IN_PACK,
    ).order_by("seq")
    rows = [
        LogRow(seq, kind, wire, None if packed is None else bytes(packed))
        for seq, kind, wire, packed in found.values_list("seq", "type", "wire", "packed")[:limit]
    ]
    out: list[Piece] = []
    for piece in pieces_after(rows, after):
        if len(out) == limit:
            break
        out.append(piece)
    return out


def whole_log(run_id: UUID, *, until: int | None = None) -> list[Piece]:
    """The whole log, or its chunks with seq <= until; one query."""
    found = RunChunk.objects.filter(run_id=run_id).order_by("seq")
    if until is not None:
        found = found.filter(seq__lt=until + MOST_IN_PACK)
    out: list[Piece] = []
    for seq, kind, wire, packed in found.values_list("seq", "type", "wire", "packed"):
        out += pieces_of(LogRow(seq, kind, wire, None if packed is None else bytes(packed)))
    return out if until is None else [piece for piece in out if piece.seq <= until]


def metadata_of(run_ids: Iterable[UUID]) -> dict[UUID, list[Piece]]:
    """The metadata chunks of these runs, each run's in order; one query."""
    ids = list(run_ids)
    found = RunChunk.objects.filter(run_id__in=ids, type__in=["metadata", PACK]).order_by("seq")
    out: dict[UUID, list[Piece]] = {run_id: [] for run_id in ids}
    for run_id, seq, kind, wire, packed in found.values_list("run_id", "seq", "type", "wire", "packed"):
        for piece in pieces_of(LogRow(seq, kind, wire, None if packed is None else bytes(packed))):
            if piece.type == "metadata":
                out[run_id].append(piece)
    return out
