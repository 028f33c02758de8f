"""Checkpoints: going on from the last sound step, and saying so when one was damaged."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from conversations.checkpoints import checkpoints_of, step_digest
from conversations.database import in_database
from conversations.models import Message, Run, RunChunk, Step, ToolCall
from conversations.services.packing import logs_pack
from conversations.services.run_cancel import run_cancel
from conversations.services.run_resume import NotResumable, run_resume
from conversations.services.run_start import RunInProgress, run_start
from nexus_core.errors import ProviderUnavailable
from nexus_core.messages import ToolCallPart
from nexus_core.providers.base import Stop, TextDelta
from nexus_core.tools import tool
from nexus_core.usage import Usage
from tests.realtime.conftest import connect as connect
from workspaces.access import Forbidden, NotFound

from .conftest import chunks_of, last_status, stored, text_of

pytestmark = pytest.mark.django_db(transaction=True)

ran: list[str] = []


@pytest.fixture(autouse=True)
def nothing_ran() -> None:
    ran.clear()


@tool
async def note(word: str) -> str:
    """Notes a word."""
    ran.append(word)
    return f"noted {word}"


def turn(text: str, word: str) -> list:
    """Some text, then a call of the tool."""
    call = ToolCallPart(f"call-{word}", "note", {"word": word})
    return [TextDelta(text), Stop("tool_calls", (call,), Usage(input=5, output=5))]


def two_steps_then_gone() -> list:
    return [turn("One. ", "a"), turn("Two. ", "b"), [TextDelta("Thr"), ProviderUnavailable("gone")]]


async def begin(actor, text="go", **more):
    return await in_database(run_start, actor=actor, agent_id="demo-agent", input_=text, **more)


async def resume(actor, run_id, **more):
    return await in_database(run_resume, actor=actor, run_id=run_id, **more)


async def a_failed_run(actor) -> UUID:
    started = await begin(actor)
    chunks = await chunks_of(started.run.pk)
    assert last_status(chunks) == "failed" and ran == ["a", "b"]
    return started.run.pk


async def step(run_id: UUID, index: int) -> Step:
    return await in_database(Step.objects.get, run_id=run_id, index=index)


def results(request) -> list[str]:
    """What the model is told of its tool calls, over the whole request."""
    told = [part for message in request.messages if message.role == "tool" for part in message.parts]
    return [json.loads(part.content) for part in told]


async def test_it_says_from_which_step_it_goes_on(engine, alice, plays):
    provider = plays(*two_steps_then_gone(), "Three.", tools=[note])
    old = await a_failed_run(alice)
    chunks = await chunks_of((await resume(alice, old)).run.pk)
    assert chunks[0][1]["data"]["fromStep"] == 2 and "damaged" not in chunks[0][1]["data"]
    assert text_of(chunks) == "One. Two. Three." and ran == ["a", "b"]
    assert results(provider.requests[-1]) == ["noted a", "noted b"]


async def test_it_goes_on_after_years_and_from_a_packed_log(engine, alice, plays):
    plays(*two_steps_then_gone(), "Three.", tools=[note])
    old = await a_failed_run(alice)
    past = timezone.now() - timedelta(days=2000)
    await in_database(Run.objects.filter(pk=old).update, created_at=past, started_at=past, finished_at=past)
    assert (await in_database(logs_pack)).runs == 1
    chunks = await chunks_of((await resume(alice, old)).run.pk)
    assert text_of(chunks) == "One. Two. Three." and ran == ["a", "b"]


def spoil_parts(old: UUID) -> None:
    step = Step.objects.get(run_id=old, index=1)
    step.parts[0]["text" if "text" in step.parts[0] else "name"] = "something else"
    step.save()


def spoil_shape(old: UUID) -> None:
    Step.objects.filter(run_id=old, index=1).update(parts=[{"kind": "no such kind"}], digest=None)


def spoil_log(old: UUID) -> None:
    until = Step.objects.get(run_id=old, index=1).last_seq
    RunChunk.objects.filter(run_id=old, seq=until).delete()


def spoil_chunk(old: UUID) -> None:
    until = Step.objects.get(run_id=old, index=1).last_seq
    RunChunk.objects.filter(run_id=old, seq=until).update(wire="{half of a chu")


def spoil_calls(old: UUID) -> None:
    ToolCall.objects.filter(run_id=old, step=1).delete()


SPOIL = (spoil_parts, spoil_shape, spoil_log, spoil_chunk, spoil_calls)


@pytest.mark.parametrize("spoil", SPOIL)
async def test_it_goes_on_from_the_step_before_a_damaged_one(engine, alice, plays, spoil):
    provider = plays(*two_steps_then_gone(), "Instead.", tools=[note])
    old = await a_failed_run(alice)
    await in_database(spoil, old)
    chunks = await chunks_of((await resume(alice, old)).run.pk)
    assert (chunks[0][1]["data"]["fromStep"], chunks[0][1]["data"]["damaged"]) == (1, True)
    assert text_of(chunks) == "One. Instead." and last_status(chunks) == "complete"
    assert results(provider.requests[-1]) == ["noted a"]


async def test_it_begins_anew_when_the_first_step_is_damaged(engine, alice, plays):
    provider = plays(*two_steps_then_gone(), "All over.", tools=[note])
    old = await a_failed_run(alice)
    await in_database(Step.objects.filter(run_id=old, index=0).update, last_seq=2**30)
    chunks = await chunks_of((await resume(alice, old)).run.pk)
    assert (chunks[0][1]["data"]["fromStep"], chunks[0][1]["data"]["damaged"]) == (0, True)
    assert text_of(chunks) == "All over." and results(provider.requests[-1]) == []


async def test_it_begins_anew_when_a_packed_log_is_damaged(engine, alice, plays):
    plays(*two_steps_then_gone(), "All over.", tools=[note])
    old = await a_failed_run(alice)
    await in_database(logs_pack, settle=-timedelta(minutes=1))
    await in_database(RunChunk.objects.filter(run_id=old).update, packed=b"\x01 no such thing")
    chunks = await chunks_of((await resume(alice, old)).run.pk)
    assert chunks[0][1]["data"]["fromStep"] == 0 and text_of(chunks) == "All over."


async def killed(engine, run_id: UUID, text: str) -> None:
    """Waits for that text, then leaves the run as kill -9 does: no task, the lease over, nothing else written."""
    while text not in text_of(await stored(run_id)):
        await asyncio.sleep(0.01)
    task = engine.runner._tasks[run_id]
    engine.runner._give_up_lease = lambda *args: asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task})


async def take_over(run_id: UUID) -> list:
    await in_database(Run.objects.filter(pk=run_id).update, heartbeat_at=None)
    return await chunks_of(run_id)


@pytest.mark.parametrize("spoil", SPOIL)
async def test_it_takes_over_from_the_step_before_a_damaged_one(engine, alice, plays, spoil):
    provider = plays(
        turn("One. ", "a"),
        turn("Two. ", "b"),
        [TextDelta("lost words"), 60.0, Stop("end", (), None)],
        turn("Two again. ", "c"),
        "Done.",
        tools=[note],
    )
    started = await begin(alice)
    await killed(engine, started.run.pk, "lost words")
    keep = (await step(started.run.pk, 0)).last_seq
    before = await stored(started.run.pk)
    await in_database(spoil, started.run.pk)
    chunks = await take_over(started.run.pk) if spoil not in (spoil_log, spoil_chunk) else None
    if chunks is None:  # a reader cannot pass what is not there; the answer is made all the same
        await in_database(Run.objects.filter(pk=started.run.pk).update, heartbeat_at=None)
        while not (await in_database(Run.objects.get, pk=started.run.pk)).finished:
            await asyncio.sleep(0.01)
    else:
        told = [c["data"] for seq, c in chunks[len(before) :] if c["type"] == "metadata"][:2]
        assert (told[0]["status"], told[0]["fromStep"], told[0]["damaged"]) == ("resumed", 1, True)
        assert (told[1]["status"], told[1]["keepSeq"]) == ("reset", keep)
        assert [seq for seq, _ in chunks] == list(range(1, len(chunks) + 1))
    answer = await in_database(Message.objects.get, pk=started.run.answer_id)
    assert answer.content == "One. Two again. Done."
    assert results(provider.requests[-1]) == ["noted a", "noted c"]
    found = await in_database(checkpoints_of, started.run.pk)
    if chunks is not None:
        assert [s.index for s in found.steps] == [0, 1, 2] and not found.damaged
        assert [call.input["word"] for call in found.calls] == ["a", "c"]


async def test_it_takes_over_a_second_time_with_the_calls_of_the_step_that_was_made_anew(
    engine, alice, plays
):
    provider = plays(
        turn("One. ", "a"),
        [TextDelta("lost words"), 60.0, Stop("end", (), None)],
        turn("Again. ", "b"),
        [TextDelta("more lost words"), 60.0, Stop("end", (), None)],
        "Done.",
        tools=[note],
    )
    started = await begin(alice)
    await killed(engine, started.run.pk, "lost words")
    await in_database(Step.objects.filter(run_id=started.run.pk).update, stop_reason="end")
    await in_database(Run.objects.filter(pk=started.run.pk).update, heartbeat_at=None)
    await killed(engine, started.run.pk, "more lost words")
    chunks = await take_over(started.run.pk)
    assert last_status(chunks) == "complete"
    assert results(provider.requests[-1]) == ["noted b"]
    answer = await in_database(Message.objects.get, pk=started.run.answer_id)
    assert answer.content == "Again. Done."


async def test_it_goes_on_from_what_a_resumed_run_made_anew(engine, alice, plays):
    """Its ancestor's second step is damaged; its own second step is not, and counts."""
    provider = plays(
        *two_steps_then_gone(),
        turn("Two again. ", "c"),
        [TextDelta("Thr"), ProviderUnavailable("gone")],
        "Three.",
        tools=[note],
    )
    oldest = await a_failed_run(alice)
    await in_database(spoil_parts, oldest)
    old = (await resume(alice, oldest)).run.pk
    assert last_status(await chunks_of(old)) == "failed"
    chunks = await chunks_of((await resume(alice, old)).run.pk)
    assert chunks[0][1]["data"]["fromStep"] == 2 and "damaged" not in chunks[0][1]["data"]
    assert text_of(chunks) == "One. Two again. Three."
    assert results(provider.requests[-1]) == ["noted a", "noted c"]


async def test_it_uses_nothing_that_was_built_on_a_damaged_step(engine, alice, plays):
    """A resumed run went on from its ancestor's second step, which was damaged only afterwards."""
    provider = plays(
        *two_steps_then_gone(),
        turn("Three. ", "c"),
        [TextDelta("Fou"), ProviderUnavailable("gone")],
        "Instead.",
        tools=[note],
    )
    oldest = await a_failed_run(alice)
    old = (await resume(alice, oldest)).run.pk
    assert last_status(await chunks_of(old)) == "failed"
    await in_database(spoil_parts, oldest)
    chunks = await chunks_of((await resume(alice, old)).run.pk)
    assert (chunks[0][1]["data"]["fromStep"], chunks[0][1]["data"]["damaged"]) == (1, True)
    assert text_of(chunks) == "One. Instead." and results(provider.requests[-1]) == ["noted a"]


async def test_it_keeps_the_old_answer_as_a_branch_when_the_conversation_has_moved_on(engine, alice, plays):
    plays([TextDelta("Half"), ProviderUnavailable("gone")], "Later.", "Whole.")
    started = await begin(alice, "first question")
    await chunks_of(started.run.pk)
    later = await begin(alice, "second question", conversation_id=started.conversation.pk)
    await chunks_of(later.run.pk)
    assert later.message.parent_id == started.run.answer_id
    again = await resume(alice, started.run.pk)
    await chunks_of(again.run.pk)
    messages = {
        m.content: m
        for m in await in_database(list, Message.objects.filter(conversation=started.conversation))
    }
    assert not any(m.superseded for m in messages.values())
    assert messages["Half"].parent_id == messages["Whole."].parent_id == started.message.pk


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("waiting", "waits for a person"),
        ("running", "still going"),
        ("queued", "not begun"),
        ("complete", "complete"),
    ],
)
async def test_it_resumes_only_what_failed_or_was_stopped(engine, alice, plays, status, words):
    plays([TextDelta("Half"), ProviderUnavailable("gone")])
    started = await begin(alice)
    await chunks_of(started.run.pk)
    await in_database(
        Run.objects.filter(pk=started.run.pk).update,
        status=status,
        heartbeat_at=timezone.now(),
        created_at=datetime(2099, 1, 1, tzinfo=UTC),  # so that no sweeper takes it up
    )
    with pytest.raises(NotResumable, match=words):
        await resume(alice, started.run.pk)
    await in_database(Run.objects.filter(pk=started.run.pk).update, status="failed")


async def test_it_does_not_bring_back_what_was_rolled_back(engine, alice, plays):
    plays([TextDelta("wrong way"), 60.0, Stop("end", (), None)], "right way")
    first = await begin(alice, "wrong question")
    while not text_of(await stored(first.run.pk)):
        await asyncio.sleep(0.01)
    second = await begin(alice, "right question", conversation_id=first.conversation.pk, policy="rollback")
    await chunks_of(second.run.pk)
    with pytest.raises(NotResumable, match="withdrawn"):
        await resume(alice, first.run.pk)


async def test_it_waits_for_nobody_elses_answer(engine, alice, plays):
    plays([TextDelta("Half"), ProviderUnavailable("gone")], [TextDelta("busy"), 60.0, Stop("end", (), None)])
    started = await begin(alice)
    await chunks_of(started.run.pk)
    other = await begin(alice, "next", conversation_id=started.conversation.pk)
    with pytest.raises(RunInProgress):
        await resume(alice, started.run.pk)
    await in_database(run_cancel, actor=alice, run_id=other.run.pk)
    await chunks_of(other.run.pk)


async def test_it_resumes_over_the_socket_once_for_one_client_id(
    engine, alice, vera, charlie, plays, connect
):
    plays([TextDelta("Half"), ProviderUnavailable("gone")], "Whole.")
    started = await begin(alice)
    await chunks_of(started.run.pk)
    socket = await connect(alice)
    wish = {"type": "run.resume", "runId": str(started.run.pk), "clientId": "r-1"}
    accepted = await socket.ask(wish, "run.accepted")
    assert accepted["resumedFrom"] == str(started.run.pk)
    assert (await socket.ask(wish, "run.accepted"))["runId"] == accepted["runId"]
    assert text_of(await chunks_of(UUID(accepted["runId"]))) == "Whole."
    refused = await socket.ask({"type": "run.resume", "runId": str(started.run.pk)}, "error")
    assert refused["code"] == "not_resumable"
    for actor, code in ((vera, "forbidden"), (charlie, "not_found")):
        refused = await (await connect(actor)).ask(wish, "error")
        assert refused["code"] == code
    with pytest.raises(Forbidden):
        await resume(vera, started.run.pk)
    with pytest.raises(NotFound):
        await resume(alice, uuid4())


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**40), 10**40)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text("abc", max_size=3), inner, max_size=4)
    ),
    max_leaves=12,
)


def as_stored(value):
    """What a database does to JSON: keys in another order, whole floats as integers."""
    if isinstance(value, dict):
        return {key: as_stored(value[key]) for key in sorted(value, reverse=True)}
    if isinstance(value, list):
        return [as_stored(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


@given(content=JSON)
def test_it_knows_a_step_again_after_any_database(content):
    same = {"run_id": uuid4(), "attempt_id": uuid4(), "index": 0, "stop_reason": "end"}
    before = Step(**same, last_seq=5, parts=[{"kind": "text", "text": content}])
    after = Step(**same, last_seq=5, parts=as_stored(before.parts))
    assert step_digest(before) == step_digest(after)
    after.last_seq = 6
    assert step_digest(before) != step_digest(after)
