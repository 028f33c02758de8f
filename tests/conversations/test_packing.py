"""Packed logs: few rows, and every reader still gets the same chunks, at any moment."""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from io import StringIO
from pathlib import Path
from uuid import UUID

import orjson
import pytest
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agents.models import Agent
from conversations.database import in_database
from conversations.log import PackDamaged, Piece, pack, read_log, unpack, whole_log
from conversations.models import Conversation, Message, Run, RunChunk
from conversations.services import packing
from conversations.services.packing import logs_pack

from .api_client import Person, events_of
from .conftest import chunks_of, stored

pytestmark = pytest.mark.django_db(transaction=True)

KINDS = ("content", "reasoning", "tool_call", "metadata", "error")
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"))
CHUNKS = st.lists(st.tuples(st.sampled_from(KINDS), TEXT), min_size=1, max_size=40)


def an_ended_run(alice, wires: list[tuple[str, str]], *, status: str = "complete") -> Run:
    """A run whose log is exactly these (type, wire)."""
    conversation = Conversation.objects.create(workspace=alice.workspace)
    message = Message.objects.create(conversation=conversation, number=1, role="user", content="go")
    run = Run.objects.create(
        workspace=alice.workspace,
        conversation=conversation,
        message=message,
        agent=Agent.objects.filter(workspace=alice.workspace).first(),
        agent_slug="demo-agent",
        status=status,
        last_seq=len(wires),
        finished_at=timezone.now() - timedelta(minutes=5),
    )
    RunChunk.objects.bulk_create(
        [RunChunk(run=run, seq=seq, type=kind, wire=wire) for seq, (kind, wire) in enumerate(wires, 1)]
    )
    return run


def words(count: int) -> list[tuple[str, str]]:
    """A log as long answers have it: small pieces of text, 33 ms apart."""
    wires = [
        orjson.dumps(
            {"type": "content", "data": f"word {n} of many, ", "timestamp": 1_700_000_000_000 + 33 * n}
        ).decode()
        for n in range(count)
    ]
    return [("content", wire) for wire in wires]


def pieces(wires: list[tuple[str, str]]) -> list[Piece]:
    return [Piece(seq, kind, wire) for seq, (kind, wire) in enumerate(wires, 1)]


def pack_all() -> None:
    while logs_pack().more:
        pass


def rows_of(run: Run) -> int:
    return RunChunk.objects.filter(run=run).count()


@given(chunks=CHUNKS, first=st.integers(1, 10**6))
def test_it_unpacks_any_chunks_to_the_same_ones(chunks, first):
    those = [Piece(seq, kind, wire) for seq, (kind, wire) in enumerate(chunks, first)]
    assert unpack(those[-1].seq, pack(those)) == those


@given(chunks=CHUNKS, at=st.integers(0, 10**6), flip=st.integers(1, 255))
def test_it_says_so_when_a_pack_is_damaged_and_never_gives_other_chunks(chunks, at, flip):
    those = pieces(chunks)
    packed = bytearray(pack(those))
    packed[at % len(packed)] ^= flip
    try:
        found = unpack(len(those), bytes(packed))
    except PackDamaged:
        return
    assert found == those  # a bit of the header that says nothing


def test_it_reads_any_page_of_a_packed_log_as_before(alice, monkeypatch):
    monkeypatch.setattr(packing, "MOST_IN_PACK", 7)
    monkeypatch.setattr(packing, "MOST_TEXT", 60)
    monkeypatch.setattr(packing, "MOST_ROWS", 16)

    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
    @given(chunks=CHUNKS, after=st.integers(0, 45), limit=st.integers(1, 45))
    def holds(chunks, after, limit):
        run = an_ended_run(alice, chunks)
        expected = pieces(chunks)
        pack_all()
        run.refresh_from_db()
        assert run.packed_at is not None
        assert rows_of(run) <= len(chunks) and not RunChunk.objects.filter(run=run, packed=None).exists()
        assert whole_log(run.pk) == expected
        assert read_log(run.pk, after, limit) == expected[after : after + limit]
        assert whole_log(run.pk, until=after) == expected[:after]
        Conversation.objects.all().delete()

    holds()


def test_it_reads_ten_thousand_chunks_in_one_query(alice):
    wires = words(10_000)
    run = an_ended_run(alice, wires)
    pack_all()
    assert rows_of(run) == 10
    with CaptureQueriesContext(connection) as queries:
        found = whole_log(run.pk)
    assert len(queries) == 1 and found == pieces(wires)
    with CaptureQueriesContext(connection) as queries:
        assert read_log(run.pk, 4_990, 20) == pieces(wires)[4_990:5_010]
    assert len(queries) == 1


async def test_it_answers_every_reader_the_same_before_and_after(engine, alice, plays):
    plays("One two three four five six seven.")
    person = await Person(alice).log_in()
    done = await person.ask("go")
    run_id = UUID(done["runId"])
    before = await chunks_of(run_id)
    assert (await in_database(logs_pack, settle=-timedelta(minutes=1))).runs == 1
    assert await in_database(RunChunk.objects.filter(run_id=run_id).count) == 1
    for after in range(len(before) + 1):
        assert await chunks_of(run_id, after) == before[after:]
        streamed = await events_of(await person.get(f"/api/runs/{run_id}/stream?after={after}"))
        assert streamed == before[after:]
    seen, cursor = [], ""
    while cursor is not None:
        page = (await person.get(f"/api/runs/{run_id}/chunks?limit=2&cursor={cursor}")).json()
        seen += [(item["seq"], item["chunk"]) for item in page["items"]]
        cursor = page["nextCursor"]
    assert seen == before == await stored(run_id)


@pytest.mark.parametrize("status", ["queued", "running", "waiting"])
def test_it_leaves_a_run_alone_that_has_not_ended(alice, status):
    run = an_ended_run(alice, words(30), status=status)
    pack_all()
    assert rows_of(run) == 30


def test_it_waits_a_minute_after_the_end(alice):
    run = an_ended_run(alice, words(30))
    Run.objects.filter(pk=run.pk).update(finished_at=timezone.now())
    pack_all()
    assert rows_of(run) == 30


def test_it_changes_nothing_when_it_dies_between_taking_and_giving(alice, monkeypatch):
    run = an_ended_run(alice, words(30))

    def dies(*args: object, **named: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(RunChunk.objects, "bulk_create", dies)
        with pytest.raises(KeyboardInterrupt):
            logs_pack()
    assert rows_of(run) == 30 and whole_log(run.pk) == pieces(words(30))
    pack_all()
    assert rows_of(run) == 1 and whole_log(run.pk) == pieces(words(30))


def test_it_takes_its_packs_back_when_somebody_else_was_first(alice, monkeypatch):
    """The other one packs between this one's reading and its transaction, but has not marked the run."""
    run = an_ended_run(alice, words(30))
    mine = packing._segments

    def late(runs):
        found = mine(runs)
        with monkeypatch.context() as other:
            other.setattr(packing, "_segments", mine)
            logs_pack()
        Run.objects.filter(pk=run.pk).update(packed_at=None)
        return found

    with monkeypatch.context() as slow:
        slow.setattr(packing, "_segments", late)
        assert logs_pack() == packing.Packed(more=True)
    assert rows_of(run) == 1 and whole_log(run.pk) == pieces(words(30))


def test_it_packs_once_when_several_pack_at_the_same_time(alice):
    runs = [an_ended_run(alice, words(n)) for n in range(3, 40, 3)]
    faults: list[BaseException] = []

    def work() -> None:
        try:
            pack_all()
        except BaseException as fault:
            faults.append(fault)
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    pack_all()  # what one passed over because another had it in hand
    assert not faults
    for run in runs:
        assert rows_of(run) == 1 and whole_log(run.pk) == pieces(words(run.last_seq))


def test_it_never_shows_a_hole_while_it_packs(alice, monkeypatch):
    """Readers read without pause while the log goes over from one form into the other, pack by pack."""
    monkeypatch.setattr(packing, "MOST_IN_PACK", 50)
    monkeypatch.setattr(packing, "MOST_ROWS", 100)
    wires = words(1_500)
    expected = pieces(wires)
    run = an_ended_run(alice, wires)
    over = threading.Event()
    wrong: list[str] = []
    mixed: list[int] = []

    def read() -> None:
        try:
            while not over.is_set():
                if whole_log(run.pk) != expected:
                    wrong.append("whole")
                for after in (0, 49, 70, 733):
                    if read_log(run.pk, after, 60) != expected[after : after + 60]:
                        wrong.append(f"after {after}")
                mixed.append(RunChunk.objects.filter(run=run).count())
        except BaseException as fault:
            wrong.append(repr(fault))
        finally:
            connection.close()

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()

    def read_meanwhile() -> None:
        """Until they have counted again, each of them, as far as it stands now."""
        seen = len(mixed)
        while len(mixed) < seen + 2 * len(threads) and not wrong:
            time.sleep(0.001)

    read_meanwhile()
    while logs_pack().more:
        read_meanwhile()
    read_meanwhile()
    over.set()
    for thread in threads:
        thread.join(60)
    assert not wrong
    assert rows_of(run) == 30 and len({count for count in mixed if 30 < count < 1_500}) > 1


def test_it_packs_a_backlog_by_hand(alice):
    runs = [an_ended_run(alice, words(20)) for _ in range(3)]
    Run.objects.filter(pk=runs[2].pk).update(finished_at=timezone.now())
    told = StringIO()
    call_command("pack_logs", stdout=told)
    assert told.getvalue().startswith("2 runs: 40 rows became 2, ")
    call_command("pack_logs", "--now", stdout=told)
    assert [rows_of(run) for run in runs] == [1, 1, 1]


def test_it_is_read_in_one_place_only():
    """Whoever reads `RunChunk` without `conversations.log` would take a pack for a chunk."""
    allowed = {"models.py", "log.py", "packing.py", "statements.py"}
    apps = [
        Path(__file__).parents[2] / name
        for name in ("conversations", "billing", "realtime", "agents", "chaos")
    ]
    users = [
        path.name
        for app in apps
        for path in app.rglob("*.py")
        if "migrations" not in path.parts
        and (
            "RunChunk" in (text := path.read_text(encoding="utf-8")) or "conversations_runchunk WHERE" in text
        )
    ]
    assert set(users) <= allowed
