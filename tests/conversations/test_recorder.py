"""The recorder: seq without hole or repeat, coalescing, and text that any database can store."""

import asyncio
from uuid import uuid4

import orjson
import pytest

from conversations.engine.recorder import MOST_UNSTORED, Recorder, Ticker, encode, storable
from conversations.engine.writer import Batch
from nexus_core.chunks import ContentChunk, MetadataChunk, ReasoningChunk, ToolCallChunk
from nexus_core.errors import RunFenced


class PaperWriter:
    """Takes batches and acknowledges them when told to."""

    def __init__(self, *, at_once: bool = True) -> None:
        self.batches: list[Batch] = []
        self.at_once = at_once
        self.fault: BaseException | None = None

    def submit(self, batches: list[Batch]) -> None:
        self.batches += batches
        if self.at_once:
            self.acknowledge()

    def acknowledge(self) -> None:
        for batch in self.batches:
            batch.done(self.fault)
            batch.done = lambda fault: None

    @property
    def rows(self):
        return [row for batch in self.batches for row in batch.rows]


def recorder_on(writer: PaperWriter, window: float = 0.01) -> Recorder:
    ticker = Ticker(writer, window)  # type: ignore[arg-type]
    return Recorder(ticker, run_id=uuid4(), conversation_id=uuid4(), epoch=1, last_seq=0)


async def test_it_sends_the_first_words_at_once_and_coalesces_the_rest():
    writer = PaperWriter()
    recorder = recorder_on(writer)
    await recorder.add(ContentChunk("a"))
    assert [row.seq for row in writer.rows] == [1]
    for letter in "bcdef":
        await recorder.add(ContentChunk(letter))
    assert len(writer.rows) == 1
    await recorder.flush()
    assert [orjson.loads(row.wire)["data"] for row in writer.rows] == ["a", "bcdef"]


async def test_it_closes_a_piece_when_the_kind_changes_and_never_lets_metadata_wait():
    writer = PaperWriter()
    recorder = recorder_on(writer, window=60)
    await recorder.add(ReasoningChunk("hm"))
    await recorder.add(ReasoningChunk(" well"))
    await recorder.add(ContentChunk("Yes"))
    await recorder.add(MetadataChunk("progress", {"percentage": 50}))
    assert [(row.seq, row.type) for row in writer.rows] == [
        (1, "reasoning"),
        (2, "reasoning"),
        (3, "content"),
        (4, "metadata"),
    ]


async def test_it_numbers_without_hole_or_repeat_whatever_the_order_of_kinds():
    writer = PaperWriter()
    recorder = recorder_on(writer, window=0.001)
    kinds = [
        ContentChunk("x"),
        ReasoningChunk("y"),
        ToolCallChunk("t", "n", {}, "RUNNING"),
        ContentChunk("z"),
    ]
    for turn in range(200):
        await recorder.add(kinds[turn % 4])
        if turn % 7 == 0:
            await asyncio.sleep(0)
    await recorder.flush()
    assert [row.seq for row in writer.rows] == list(range(1, len(writer.rows) + 1))
    assert [seq for seq, _ in recorder.log] == [row.seq for row in writer.rows]


async def test_it_stops_when_another_owner_has_the_run():
    writer = PaperWriter(at_once=False)
    recorder = recorder_on(writer)
    await recorder.add(ContentChunk("late"))
    writer.fault = RunFenced()
    writer.acknowledge()
    with pytest.raises(RunFenced):
        await recorder.add(ContentChunk("later"))
    assert recorder.fenced


async def test_it_holds_the_provider_back_when_the_database_is_far_behind():
    writer = PaperWriter(at_once=False)
    recorder = recorder_on(writer, window=60)

    async def pour() -> None:
        for n in range(MOST_UNSTORED + 10):
            await recorder.add(MetadataChunk("progress", {"n": n}))

    pouring = asyncio.create_task(pour())
    while len(writer.rows) <= MOST_UNSTORED:
        await asyncio.sleep(0)
    for _ in range(5):
        await asyncio.sleep(0)
    assert not pouring.done()
    writer.at_once = True
    writer.acknowledge()
    await pouring


def test_it_replaces_what_cannot_be_stored_and_nothing_else():
    assert storable("a\x00b\ud800c") == "a\ufffdb\ufffdc"
    assert storable("plain \\u0000 text 🌱") == "plain \\u0000 text 🌱"


def test_it_encodes_integers_beyond_64_bits():
    chunk = ToolCallChunk("t", "n", {"big": 2**70}, "RUNNING")
    assert str(2**70) in encode(chunk)
