"""A run whose owner is gone: who takes it, from where, at what cost."""

from __future__ import annotations

import asyncio
import threading
from datetime import timedelta

import pytest
from django.db import OperationalError, connection
from django.db.models import Sum
from django.utils import timezone

from billing.meter import DbMeter
from billing.models import Attempt
from conversations.database import in_database
from conversations.engine import pace, port, runner
from conversations.engine.journal import DbJournal
from conversations.models import Message, Run
from conversations.services.run_start import run_start
from nexus_core.messages import TextPart, ToolCallPart
from nexus_core.providers.base import Stop, TextDelta
from nexus_core.tools import tool
from nexus_core.usage import Usage
from workspaces.access import Actor

from .conftest import chunks_of, last_status, reloaded, stored, text_of

pytestmark = pytest.mark.django_db(transaction=True)


async def begin(actor: Actor, text: str = "Hello"):
    return await in_database(run_start, actor=actor, agent_id="demo-agent", input_=text)


@tool
async def note(text: str) -> str:
    """Notes something."""
    return text


def calls() -> list[Stop]:
    return [Stop("tool_calls", (ToolCallPart("c1", "note", {"text": "x"}),), Usage(input=1, output=1))]


async def _nothing(*args: object) -> None:
    pass


async def lose_owner(engine, run_id) -> None:
    """As kill -9 leaves it: the task is gone, nothing was given up, and the lease is over."""
    engine.runner._give_up_lease = _nothing
    await engine.runner.hand_over()
    await in_database(Run.objects.filter(pk=run_id).update, heartbeat_at=None)


async def test_it_counts_what_was_lost_with_an_owner_into_the_runs_own_numbers(engine, alice, plays):
    usage = Usage(input=1000, output=7)
    plays(
        [TextDelta("Half an "), 60.0, Stop("end", (), None)],
        [TextDelta("A whole answer."), Stop("end", (TextPart("A whole answer."),), usage)],
    )
    started = await begin(alice)
    while not text_of(await stored(started.run.pk)):
        await asyncio.sleep(0.01)
    await lose_owner(engine, started.run.pk)
    await engine.runner.execute(started.run.pk)
    chunks = await chunks_of(started.run.pk)
    assert last_status(chunks) == "complete"
    run = await reloaded(started.run)
    sums = await in_database(
        lambda: Attempt.objects.filter(run_id=run.pk).aggregate(
            input=Sum("tokens_input"), output=Sum("tokens_output")
        )
    )
    assert (run.tokens_input, run.tokens_output) == (sums["input"], sums["output"])
    assert run.tokens_input > usage.input and run.estimated
    assert chunks[-1][1]["data"]["tokenUsage"]["input"] == sums["input"]


@pytest.mark.parametrize("lease", [1.0, 2.0, 15.0, 60.0])
def test_it_notices_a_lost_owner_within_the_lease_and_five_seconds(settings, lease):
    settings.NEXUS_LEASE_SECONDS = lease
    assert pace.heartbeat() * 3 < lease
    assert pace.sweep() <= 3 and pace.queued_grace() <= 2
    # A worker that died before its claim: the delivery is idle, then looked for, jittered, by one worker.
    assert pace.redelivery() * 1.32 < lease + 5


async def test_it_goes_on_with_another_owner_when_the_database_fails_in_the_middle(
    engine, alice, plays, monkeypatch
):
    """A database that restarts is no fault of the run: it must not end as failed."""
    plays([TextDelta("Half "), *calls()], "done", [TextDelta("Half "), *calls()], "done", tools=[note])
    store, failed = DbJournal._store_step, []

    def fails_once(self, *args):
        if not failed:
            failed.append(True)
            raise OperationalError("terminating connection due to administrator command")
        return store(self, *args)

    monkeypatch.setattr(DbJournal, "_store_step", fails_once)
    started = await begin(alice)
    chunks = await chunks_of(started.run.pk)
    assert failed and last_status(chunks) == "complete"
    statuses = [chunk["data"]["status"] for _, chunk in chunks if chunk["type"] == "metadata"]
    assert "resumed" in statuses and (await reloaded(started.run)).epoch == 2


async def test_it_gives_up_a_claim_that_was_made_while_the_process_stopped(engine, alice, plays, monkeypatch):
    """The thread that claims cannot be called back; its lease must not be waited for."""
    plays("never asked")
    prepare, claiming, stopped = engine.runner._prepare, threading.Event(), threading.Event()

    def slowly(*args):
        claiming.set()
        stopped.wait(60)
        return prepare(*args)

    monkeypatch.setattr(engine.runner, "_prepare", slowly)
    port.use(None)  # nobody else takes it
    started = await begin(alice)
    task = asyncio.create_task(engine.runner.execute(started.run.pk))
    assert await asyncio.to_thread(claiming.wait, 60)
    task.cancel()
    stopped.set()
    await asyncio.wait({task})
    run = await reloaded(started.run)
    assert (run.status, run.epoch, run.heartbeat_at) == ("running", 1, None)


async def test_it_asks_no_provider_for_a_run_that_another_owner_has(engine, alice, plays, monkeypatch):
    """A worker that was stopped and continued just before its request must not make it."""
    provider = plays("never asked")
    reserve = DbMeter.reserve

    async def late(self, *args, **how):
        await in_database(Run.objects.filter(pk=started.run.pk).update, epoch=7)
        return await reserve(self, *args, **how)

    monkeypatch.setattr(DbMeter, "reserve", late)
    port_before = port.current()
    port.use(None)
    started = await begin(alice)
    port.use(port_before)
    await engine.runner.execute(started.run.pk)
    assert provider.requests == []
    assert await in_database(Attempt.objects.filter(run_id=started.run.pk).count) == 0
    assert (await reloaded(started.run)).status == "running"


async def test_it_frees_the_rows_that_a_process_holds_which_stands_still(transactional_db, settings):
    """PostgreSQL ends a transaction that does nothing: a frozen owner's row lock would keep everybody out."""
    if connection.vendor != "postgresql":  # SQLite has one process
        assert "options" not in settings.DATABASES["default"]["OPTIONS"]
        return

    def timeout() -> str:
        with connection.cursor() as cursor:
            cursor.execute("SHOW idle_in_transaction_session_timeout")
            return cursor.fetchone()[0]

    assert await in_database(timeout) == "10s"


async def until_text(run_id, times: int) -> None:
    """Until that many beginnings of the answer are stored."""
    while text_of(await stored(run_id)).count("Begun.") < times:
        await asyncio.sleep(0.01)


async def lives_of_a_run(engine, alice, plays, lives: int, lose):
    """A run whose owner is gone `lives` times in the middle of its answer; then one that may answer."""
    slow = [[TextDelta("Begun."), 60.0, Stop("end", (), None)] for _ in range(lives)]
    plays(*slow, "Done at last.")
    before = port.current()
    port.use(None)  # nobody else takes it
    started = await begin(alice)
    for life in range(1, lives + 1):
        task = asyncio.create_task(engine.runner.execute(started.run.pk))
        await until_text(started.run.pk, life)
        await lose(started.run.pk)
        await asyncio.wait({task})
    await engine.runner.execute(started.run.pk)
    port.use(before)
    return await reloaded(started.run), await stored(started.run.pk)


async def test_it_gives_a_run_up_that_lost_five_owners_and_keeps_what_was_written(engine, alice, plays):
    async def lose(run_id) -> None:
        await lose_owner(engine, run_id)

    run, chunks = await lives_of_a_run(engine, alice, plays, 5, lose)
    assert (run.status, run.error_code, run.epoch) == ("failed", "gave_up", 6)
    assert "5 times" in run.error_message and last_status(chunks) == "failed"
    answer = await in_database(Message.objects.get, pk=run.answer_id)
    assert answer.run_id == run.pk


async def test_it_does_not_count_owners_that_stopped_in_order(engine, alice, plays):
    """A rolling restart of many processes may move a run more than five times: it must not fail by that."""

    async def stop(run_id) -> None:
        await engine.runner.hand_over()

    run, chunks = await lives_of_a_run(engine, alice, plays, 7, stop)
    assert (run.status, run.epoch, run.handovers) == ("complete", 8, 7)
    assert last_status(chunks) == "complete" and text_of(chunks).endswith("Done at last.")


@pytest.mark.parametrize("seconds", [-300, 300])
async def test_it_does_not_mind_a_clock_of_the_process_that_is_off(
    engine, alice, plays, monkeypatch, seconds
):
    real = timezone.now
    monkeypatch.setattr(timezone, "now", lambda: real() + timedelta(seconds=seconds))
    plays(calls(), "It is noted.", tools=[note])
    started = await begin(alice)
    assert last_status(await chunks_of(started.run.pk)) == "complete"
    run = await reloaded(started.run)
    assert run.first_token_ms is not None and run.first_token_ms >= 0


async def test_it_leaves_no_attempt_open_when_an_end_cannot_be_stored(engine, alice, plays, monkeypatch):
    finish, failed = runner.run_finish, []

    def fails_once(run: Run, **ending: object) -> None:
        if not failed:
            failed.append(run.pk)
            raise RuntimeError("a bug")
        finish(run, **ending)  # type: ignore[arg-type]

    monkeypatch.setattr(runner, "run_finish", fails_once)
    plays([TextDelta("All said."), Stop("end", (TextPart("All said."),), Usage(input=9, output=3))])
    started = await begin(alice)
    assert last_status(await chunks_of(started.run.pk)) == "failed"
    run = await reloaded(started.run)
    attempts = await in_database(lambda: list(Attempt.objects.filter(run_id=run.pk)))
    assert [attempt.status for attempt in attempts] == ["UNKNOWN"]
    assert (run.tokens_input, run.tokens_output) == (attempts[0].tokens_input, attempts[0].tokens_output)
    assert run.tokens_output > 0 and run.estimated
