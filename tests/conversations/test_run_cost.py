"""What a start and an end cost the database: so many statements, none of them built anew; and what they leave behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.db.backends.utils import CursorWrapper
from django.db.models import Model
from django.db.models.sql.compiler import SQLCompiler
from django.utils import timezone

from agents.models import Agent
from billing.meter import DbMeter
from billing.models import Attempt as AttemptRow
from conversations.access import open_ids
from conversations.database import in_database
from conversations.engine import port
from conversations.engine.journal import FinalStep
from conversations.engine.runner import Runner
from conversations.models import Conversation, Message, Run, RunChunk, Step
from conversations.services import handover
from conversations.services.run_cancel import run_cancel
from conversations.services.run_finish import Ending, run_finish, started_chunk
from conversations.services.run_start import Started, run_start
from conversations.services.statements import conversation_count
from nexus_core.chunks import ContentChunk
from nexus_core.messages import TextPart, user
from nexus_core.ports import AttemptOutcome, Settled, StepRecord
from nexus_core.providers.base import ModelRequest, Stop, TextDelta
from nexus_core.usage import Cost, Usage
from realtime.models import Activity
from workspaces.access import Actor, NotFound
from workspaces.statements import Table

from .conftest import chunks_of, last_status

pytestmark = pytest.mark.django_db(transaction=True)

OWNER = "this-process"


class Counted:
    """The statements since it was cleared, and how many of them Django built."""

    def __init__(self) -> None:
        self.statements: list[str] = []
        self.built = 0

    def clear(self) -> None:
        self.statements.clear()
        self.built = 0


@pytest.fixture
def cost(monkeypatch: pytest.MonkeyPatch) -> Counted:
    for module in (
        "agents.providers",
        "billing.plans",
    ):  # what is remembered stays so, however slow the machine is
        monkeypatch.setattr(f"{module}.REMEMBERED_SECONDS", 1000)
    out = Counted()
    execute, build = CursorWrapper._execute_with_wrappers, SQLCompiler.as_sql

    def executed(self: CursorWrapper, sql: str, *args: Any, **kwargs: Any) -> Any:
        out.statements.append(sql)
        return execute(self, sql, *args, **kwargs)

    def built(self: SQLCompiler, *args: Any, **kwargs: Any) -> Any:
        out.built += 1
        return build(self, *args, **kwargs)

    monkeypatch.setattr(CursorWrapper, "_execute_with_wrappers", executed)
    monkeypatch.setattr(SQLCompiler, "as_sql", built)
    return out


class Here:
    """An engine that executes here, when the test says so."""

    owner = OWNER

    def __init__(self, prepare: Callable[[handover.Handover], None] = lambda given: None) -> None:
        self.prepare = prepare

    def enqueue(self, run_id: UUID) -> None: ...

    def begin(self, given: handover.Handover) -> None:
        handover.take(given.run.pk)

    def cancel(self, run_id: UUID) -> None: ...

    async def close(self) -> None: ...


@pytest.fixture
def here() -> Iterator[None]:
    before = port.current()
    port.use(Here())
    yield
    port.use(before)


def ask(actor: Actor, conversation: Conversation | None = None) -> Started:
    where = conversation.pk if conversation is not None else None
    return run_start(
        actor=actor, agent_id="demo-agent", input_="Hello", client_id=uuid4().hex, conversation_id=where
    )


def meter_of(started: Started) -> DbMeter:
    run = started.run
    return DbMeter(
        workspace_id=run.workspace_id,
        user_id=run.requested_by_id,
        agent_id=run.agent_id,
        agent_slug=run.agent_slug,
        conversation_id=run.conversation_id,
        run_id=run.pk,
        epoch=1,
    )


REQUEST = ModelRequest(model="rules", messages=(user("Hello"),), max_tokens=100)
USAGE = Usage(input=3, output=4)


def final_of(attempt: Any) -> FinalStep:
    step = StepRecord(0, "end", (TextPart("Hi."),), USAGE, Cost(0, 0), "scripted", "rules")
    outcome = AttemptOutcome("complete", USAGE, "Hi.", "end", model="rules")
    return FinalStep(step, attempt, outcome, Settled(USAGE, Cost(0, 0)))


def finish(started: Started, attempt: Any) -> None:
    run = started.run
    log = [(1, started_chunk(run)), (2, ContentChunk("Hi."))]
    ending = Ending("complete", usage=USAGE, provider="scripted", model="rules", stop_reason="end")
    run_finish(run, log=log, last_seq=2, ending=ending, final=final_of(attempt))


def test_it_starts_and_ends_a_run_in_few_statements_and_builds_none(
    here: None, alice: Actor, cost: Counted
) -> None:
    runner = Runner(OWNER, None)  # type: ignore[arg-type]  # nothing is recorded here
    kept: list[handover.Handover] = []

    def prepare(given: handover.Handover) -> None:
        runner.prepare(given)
        kept.append(given)

    port.use(Here(prepare))
    first = ask(alice)
    finish(first, kept[-1].prepared.meter._ahead)
    second = ask(alice, first.conversation)
    finish(second, kept[-1].prepared.meter._ahead)

    cost.clear()
    started = ask(alice, first.conversation)
    assert kept[-1].prepared.fault is None
    # count, agent, message, run, activity, `started`; then what it needs: the branch, the key, the price, the attempt
    assert (len(cost.statements), cost.built) == (10, 0), cost.statements
    cost.clear()
    meter_of(started)._reserve(REQUEST, "scripted", 0, 2)
    assert (len(cost.statements), cost.built) == (2, 0), cost.statements
    cost.clear()
    finish(started, kept[-1].prepared.meter._ahead)
    # one is the audit's, one the ledger's
    assert (len(cost.statements), cost.built) == (10, 0), cost.statements


def test_it_claims_a_run_by_its_start_where_runs_are_executed(here: None, alice: Actor) -> None:
    run = Run.objects.get(pk=ask(alice).run.pk)
    assert (run.status, run.epoch, run.owner) == ("running", 1, OWNER)
    assert run.heartbeat_at is not None and run.started_at is not None
    assert abs((run.heartbeat_at - timezone.now()).total_seconds()) < 60


def test_it_leaves_a_run_to_the_workers_where_none_are_executed(alice: Actor) -> None:
    run = Run.objects.get(pk=ask(alice).run.pk)
    assert (run.status, run.epoch, run.owner, run.heartbeat_at) == ("queued", 0, "", None)


def test_it_stores_a_finished_run_as_the_models_tell_it(here: None, alice: Actor) -> None:
    started = ask(alice)
    finish(started, meter_of(started)._reserve(REQUEST, "scripted", 0, 1))
    run = Run.objects.get(pk=started.run.pk)
    assert (run.status, run.last_seq, run.owner, run.heartbeat_at) == ("complete", 3, "", None)
    assert (run.tokens_input, run.tokens_output, run.provider, run.stop_reason) == (3, 4, "scripted", "end")
    answer = Message.objects.get(pk=run.answer_id)
    assert (answer.content, answer.number, answer.parent_id) == ("Hi.", 2, started.message.pk)
    assert Conversation.objects.get(pk=run.conversation_id).message_count == 2
    assert Step.objects.get(run=run).parts[0]["text"] == "Hi."
    assert AttemptRow.objects.get(run_id=run.pk).status == "SETTLED"
    assert list(RunChunk.objects.filter(run=run).order_by("seq").values_list("seq", flat=True)) == [1, 3]
    assert [a.activity_type for a in Activity.objects.order_by("created_at")] == ["asked", "answered"]


def stored(model: type[Model], key: Any) -> dict[str, Any]:
    """The columns as the database has them, without the key."""
    with connection.cursor() as cursor:
        columns = ", ".join(f'"{field.column}"' for field in model._meta.concrete_fields[1:])
        table = Table(model)
        where, params = table.assign(**{model._meta.pk.attname: key})  # type: ignore[union-attr]
        cursor.execute(f"SELECT {columns} FROM {table.name} WHERE {where}", params)
        return dict(zip(columns.split(", "), cursor.fetchone(), strict=True))


def test_it_writes_and_reads_the_same_rows_as_the_models_would(alice: Actor) -> None:
    agent = Agent.objects.filter(workspace=alice.workspace).first()
    assert agent is not None
    now = timezone.now()

    def conversation() -> Conversation:
        return Conversation(
            workspace=alice.workspace, created_by=alice.user, title="Ünïcode 'quoted' \"%s\" ?", agent_slug="a",
            created_at=now, updated_at=now, last_active_at=now,
        )  # fmt: skip

    one, two = conversation(), conversation()
    one.save(force_insert=True)
    Table(Conversation).insert(two)
    assert stored(Conversation, one.pk) == stored(Conversation, two.pk)

    def message(number: int) -> Message:
        parts = [{"type": "text", "text": "100 % {} \\ ☃", "n": 2**70, "f": 0.1, "none": None}]
        return Message(conversation=one, number=number, role="user", content="☃", parts=parts, created_at=now)

    messages = [message(1), message(2)]
    messages[0].save(force_insert=True)
    Table(Message).insert(messages[1])
    saved, inserted = (stored(Message, m.pk) for m in messages)
    assert {**saved, '"number"': 0} == {**inserted, '"number"': 0}

    def activity() -> Activity:
        return Activity(
            workspace=alice.workspace, activity_type="x", metadata={"a": [1, None]}, created_at=now
        )

    first, second = activity(), activity()
    first.save(force_insert=True)
    Table(Activity).insert(second)
    assert stored(Activity, first.pk) == stored(Activity, second.pk)

    for model, key in ((Conversation, one.pk), (Message, messages[0].pk), (Agent, agent.pk)):
        table: Table[Any] = Table(model)
        where, params = table.assign(id=key)
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT {table.columns} FROM {table.name} WHERE {where}", params)
            read = table.read(cursor.fetchone())
        expected = model.objects.get(pk=key)  # type: ignore[attr-defined]
        assert {f.attname: getattr(read, f.attname) for f in model._meta.concrete_fields} == {
            f.attname: getattr(expected, f.attname) for f in model._meta.concrete_fields
        }
        assert read == expected and not read._state.adding


def test_it_counts_messages_only_for_whom_may_read_and_mends_a_count_that_is_behind(
    alice: Actor, bob: Actor, charlie: Actor
) -> None:
    started = ask(alice)
    key = started.conversation.pk
    with pytest.raises(NotFound):  # another workspace
        conversation_count(key, writer=charlie)
    Conversation.objects.filter(pk=key).update(visibility="private")
    with pytest.raises(NotFound):
        conversation_count(key, writer=bob)
    assert conversation_count(uuid4()) is None
    Message.objects.create(conversation=started.conversation, number=7, role="user")
    counted = conversation_count(key, writer=alice)
    assert counted is not None
    assert counted.message_count == 8


async def test_it_hears_a_stop_that_comes_before_the_run_began(
    engine: Any, alice: Actor, plays: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    plays([100.0, TextDelta("Never said."), Stop("end", (TextPart("Never said."),), None)])
    held: list[handover.Handover] = []
    monkeypatch.setattr(port, "begin", held.append)
    started = await in_database(ask, alice)
    await in_database(run_cancel, actor=alice, run_id=started.run.pk)
    for given in held:  # none where workers execute: there it may have begun, and still says nothing
        await in_database(port.current().begin, given)  # type: ignore[union-attr]
    chunks = await chunks_of(started.run.pk)
    assert last_status(chunks) == "cancelled"
    # Where it was reserved by the start, nothing was asked and nothing is owed.
    assert {row.status async for row in AttemptRow.objects.all()} <= {"RELEASED"} or not held


async def test_it_takes_nothing_back_of_a_start_that_failed(
    engine: Any, alice: Actor, plays: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from conversations.services import run_start as module

    def refuse(*_: Any) -> None:
        raise RuntimeError("after the run was stored")

    monkeypatch.setattr(module, "failpoint", refuse)
    with pytest.raises(RuntimeError):
        await in_database(ask, alice)
    assert handover._kept == {}
    assert await in_database(Run.objects.count) == 0


@pytest.mark.parametrize("others", [0, 1, 6, 7, 30])
def test_it_tells_which_conversations_are_open_to_all(alice: Actor, cost: Counted, others: int) -> None:
    def made(**fields: Any) -> UUID:
        return Conversation.objects.create(workspace=alice.workspace, created_by=alice.user, **fields).pk

    shown = made()
    private, shared, gone = (
        made(visibility="private"),
        made(visibility="shared"),
        made(deleted_at=timezone.now()),
    )
    asked = [uuid4() for _ in range(others)]
    assert open_ids([shown, *asked]) == {shown}
    assert open_ids([private, *asked]) == open_ids([shared, *asked]) == open_ids([gone, *asked]) == set()
    assert open_ids(asked) == set()
    cost.clear()
    assert open_ids([private, shown]) == {shown}
    assert (len(cost.statements), cost.built) == (1, 0)
