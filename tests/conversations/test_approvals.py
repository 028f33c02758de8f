"""Calls that wait for people: put aside without an owner, decided once, gone on with."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import UUID

import pytest
from django.db import connection
from django.utils import timezone

from agents.models import Agent
from conversations.approvals import approvals_open, standing_forget, standing_of
from conversations.database import in_database
from conversations.engine.sweeper import runs_to_enqueue
from conversations.models import (
    Approval,
    Conversation,
    ConversationShare,
    Message,
    Run,
    StandingApproval,
    ToolCall,
)
from conversations.services.asking import may_decide
from conversations.services.deciding import AlreadyDecided, NotWaiting, approvals_expire, tool_decide
from conversations.services.input import BadInput
from conversations.services.run_cancel import run_cancel
from conversations.services.run_start import run_start
from nexus_core.human import call_human
from nexus_core.providers.scripted import call
from nexus_core.tools import tool
from realtime.models import Activity
from workspaces.access import Actor, Forbidden, NotFound
from workspaces.models import AuditEvent, Membership, Role

from ..people import person
from ..realtime.conftest import connect
from .conftest import chunks_of, executing, last_status, reloaded, stored

__all__ = ["connect"]

pytestmark = pytest.mark.django_db(transaction=True)

ran: list[str] = []


@tool(needs_approval=True)
async def pay(to: str) -> str:
    """Pays somebody."""
    ran.append(to)
    return f"paid {to}"


@tool
async def look() -> str:
    """Looks."""
    return "seen"


PAY = call(("pay", {"to": "Zoe"}), text="I will pay. ")


@pytest.fixture(autouse=True)
def nothing_ran() -> None:
    ran.clear()


async def begin(actor: Actor, text: str = "Hello", **more) -> Run:
    return (await in_database(run_start, actor=actor, agent_id="demo-agent", input_=text, **more)).run


async def until_waiting(run: Run) -> ToolCall:
    """The open call, once the run is put aside."""
    async with asyncio.timeout(60):
        while (await reloaded(run)).status != Run.Status.WAITING:
            await asyncio.sleep(0.01)
    return await in_database(
        ToolCall.objects.select_related("approval").get, run=run, approval__status="open"
    )


async def say(actor: Actor, tool_id, decision: str, **more) -> ToolCall:
    return await in_database(tool_decide, actor=actor, tool_id=tool_id, decision=decision, **more)


def calls_in(chunks) -> list[str]:
    return [chunk["data"]["status"] for _, chunk in chunks if chunk["type"] == "tool_call"]


def told_of(provider) -> str:
    """What the model was told of its call."""
    return provider.requests[-1].messages[-1].parts[0].content


async def set_agent(**fields) -> None:
    await in_database(lambda: Agent.objects.filter(slug="demo-agent").update(**fields))


async def test_it_waits_without_an_owner_and_goes_on_when_a_second_person_approves(engine, alice, bob, plays):
    provider = plays(PAY, "Paid.", tools=[pay])
    run = await begin(alice)
    waiting = await until_waiting(run)
    run = await reloaded(run)
    assert (run.owner, run.heartbeat_at, ran) == ("", None, [])
    async with asyncio.timeout(60):
        while engine.runner.live_ids():  # its task ends a moment after it was put aside
            await asyncio.sleep(0.01)
    assert not await in_database(runs_to_enqueue), "nobody is to take a run that waits for people"
    assert (waiting.status, waiting.approval.role, waiting.approval.quorum) == ("PENDING", "member", 1)
    (open_,) = await in_database(approvals_open, bob)
    assert (open_["toolId"], open_["input"]) == (str(waiting.pk), {"to": "Zoe"})

    decided = await say(bob, waiting.pk, "approve", note="fine by me")
    assert decided.approval.status == "approved"
    chunks = await chunks_of(run.pk)
    assert last_status(chunks) == "complete" and ran == ["Zoe"]
    assert [seq for seq, _ in chunks] == list(range(1, len(chunks) + 1))
    assert calls_in(chunks) == ["PENDING", "RUNNING", "COMPLETED"]
    assert told_of(provider) == '"paid Zoe"'
    run = await reloaded(run)
    assert (run.epoch, run.handovers) == (2, 1), "waiting counts as lost"
    answer = await in_database(Message.objects.get, pk=run.answer_id)
    assert [part["type"] for part in answer.parts] == ["text", "tool_call", "text"]
    row = await in_database(Approval.objects.select_related("decided_by").get, pk=waiting.pk)
    assert (row.decided_by.username, row.note) == ("bob", "fine by me")
    told = await in_database(lambda: list(AuditEvent.objects.values_list("action", flat=True)))
    assert "tool_approved" in told
    feed = await in_database(lambda: list(Activity.objects.values_list("activity_type", flat=True)))
    assert {"waiting", "tool-approved"} <= set(feed)


async def test_it_tells_the_model_of_a_no_and_never_runs_the_call(engine, alice, bob, plays):
    provider = plays(PAY, "Then not.", tools=[pay])
    run = await begin(alice)
    waiting = await until_waiting(run)
    await say(bob, waiting.pk, "deny", note="Zoe left")
    chunks = await chunks_of(run.pk)
    assert last_status(chunks) == "complete" and ran == []
    assert calls_in(chunks) == ["PENDING", "FAILED"]
    assert "denied: Zoe left" in told_of(provider)
    with pytest.raises(AlreadyDecided, match="Bob denied"):
        await say(alice, waiting.pk, "approve")


async def test_it_asks_a_person_and_the_answer_is_the_result(engine, alice, bob, plays):
    provider = plays(call(("call_human", {"question": "Which?"})), "Blue.", tools=[call_human])
    run = await begin(alice)
    waiting = await until_waiting(run)
    assert waiting.approval.kind == "question"
    for wrong, why in (({"decision": "approve"}, "question"), ({"decision": "answer"}, "empty")):
        with pytest.raises(BadInput, match=why):
            await say(bob, waiting.pk, **wrong)
    await say(bob, waiting.pk, "answer", answer="the blue one")
    chunks = await chunks_of(run.pk)
    assert calls_in(chunks) == ["PENDING", "COMPLETED"]
    assert told_of(provider) == '{"answer":"the blue one","answeredBy":"Bob"}'


async def test_it_refuses_who_may_not_decide(engine, alice, bob, vera, charlie, plays):
    plays(PAY, "ok", tools=[pay])
    await set_agent(approval_rules=[{"tool": "pay", "role": "admin"}])
    run = await begin(bob)
    waiting = await until_waiting(run)
    with pytest.raises(NotFound):
        await say(charlie, waiting.pk, "approve")
    for who in (vera, bob):
        with pytest.raises(Forbidden):
            await say(who, waiting.pk, "approve")
    with pytest.raises(BadInput):
        await say(alice, waiting.pk, "perhaps")
    assert (await reloaded(run)).status == Run.Status.WAITING
    await say(alice, waiting.pk, "approve")
    await chunks_of(run.pk)
    assert ran == ["Zoe"]


async def test_it_takes_no_word_of_who_only_reads_along(engine, alice, bob, vera, plays):
    """Neither of a viewer of the workspace, whatever role is asked for, nor of whom it is shown to read."""
    plays(PAY, "ok", tools=[pay])
    run = await begin(alice)
    waiting = await until_waiting(run)

    def show_to_bob() -> None:
        Conversation.objects.filter(pk=run.conversation_id).update(visibility="shared")
        for actor in (bob, vera):
            ConversationShare.objects.create(
                conversation_id=run.conversation_id, user=actor.user, right="view"
            )

    await in_database(show_to_bob)
    for who in (bob, vera):
        for decision in ("approve", "deny", "ran", "rerun"):
            with pytest.raises(Forbidden):
                await say(who, waiting.pk, decision)
    assert not may_decide(Role.VIEWER, Role.VIEWER) and not may_decide("", Role.MEMBER)
    assert may_decide(Role.MEMBER, Role.VIEWER) and not may_decide(Role.ADMIN, "unknown")
    assert (await reloaded(run)).status == Run.Status.WAITING and not ran
    await say(alice, waiting.pk, "approve")
    await chunks_of(run.pk)


async def test_it_waits_for_as_many_people_as_the_agent_asks_for(engine, alice, bob, plays, workspace):
    plays(PAY, "ok", tools=[pay])
    await set_agent(approval_quorum=2)
    run = await begin(alice)
    waiting = await until_waiting(run)
    for _ in range(2):  # the same person counts once
        assert (await say(alice, waiting.pk, "approve")).approval.status == "open"
    assert ran == [] and (await reloaded(run)).status == Run.Status.WAITING
    assert (await say(bob, waiting.pk, "approve")).approval.status == "approved"
    await chunks_of(run.pk)
    assert ran == ["Zoe"]


async def test_it_lets_exactly_one_decision_win(engine, alice, workspace, plays):
    """Ten people at once, half of them against it."""
    plays(PAY, "ok", tools=[pay])
    people = [await in_database(person, f"p{n}", workspace, Role.MEMBER) for n in range(10)]
    run = await begin(alice)
    waiting = await until_waiting(run)

    def one(n: int) -> str:
        try:
            tool_decide(actor=people[n], tool_id=waiting.pk, decision="approve" if n % 2 else "deny")
            return "won"
        except AlreadyDecided:
            return "late"
        finally:
            connection.close()

    with ThreadPoolExecutor(10) as pool:
        loop = asyncio.get_running_loop()
        said = await asyncio.gather(*(loop.run_in_executor(pool, one, n) for n in range(10)))
    assert sorted(said) == ["late"] * 9 + ["won"]
    await chunks_of(run.pk)
    row = await in_database(Approval.objects.get, pk=waiting.pk)
    assert ran == (["Zoe"] if row.status == "approved" else [])
    assert (await reloaded(run)).epoch == 2


async def test_it_gives_the_same_answer_to_the_same_request_again(engine, alice, bob, plays):
    plays(PAY, "ok", tools=[pay])
    run = await begin(alice)
    waiting = await until_waiting(run)
    for _ in range(2):
        assert (await say(bob, waiting.pk, "approve", client_id="d-1")).approval.status == "approved"
    with pytest.raises(AlreadyDecided):
        await say(bob, waiting.pk, "approve")
    await chunks_of(run.pk)
    assert ran == ["Zoe"]


@pytest.mark.parametrize("scope", ["conversation", "always"])
async def test_it_remembers_a_yes_as_far_as_it_was_meant(engine, alice, bob, plays, scope):
    plays(PAY, "1", PAY, "2", PAY, "3", tools=[pay])
    first = await begin(alice)
    waiting = await until_waiting(first)
    if scope == "always":
        with pytest.raises(Forbidden):
            await say(bob, waiting.pk, "approve", remember="always")
    await say(alice, waiting.pk, "approve", remember=scope)
    await chunks_of(first.pk)
    again = await begin(alice, conversation_id=first.conversation_id)
    assert last_status(await chunks_of(again.pk)) == "complete"
    assert "waiting" not in str(await stored(again.pk)) and len(ran) == 2
    elsewhere = await begin(alice)
    if scope == "conversation":
        await until_waiting(elsewhere)
        return
    await chunks_of(elsewhere.pk)
    assert len(ran) == 3
    (standing,) = await in_database(standing_of, bob)
    assert (standing["toolName"], standing["conversationId"], standing["holds"]) == ("pay", None, True)
    assert standing["mayForget"] is False
    assert (await in_database(standing_of, alice))[0]["mayForget"] is True
    with pytest.raises(Forbidden):
        await in_database(lambda: standing_forget(actor=bob, standing_id=standing["id"]))
    await in_database(lambda: standing_forget(actor=alice, standing_id=standing["id"]))
    plays(PAY, "4", tools=[pay])
    await until_waiting(await begin(alice))


async def test_it_forgets_the_yes_of_somebody_who_left(engine, alice, bob, plays):
    plays(PAY, "1", PAY, "2", tools=[pay])
    first = await begin(alice)
    await say(bob, (await until_waiting(first)).pk, "approve", remember="conversation")
    await chunks_of(first.pk)
    await in_database(lambda: Membership.objects.filter(user=bob.user).delete())
    waiting = await until_waiting(again := await begin(alice, conversation_id=first.conversation_id))
    assert await in_database(StandingApproval.objects.count) == 1
    assert [row["holds"] for row in await in_database(standing_of, alice)] == [False]
    # Said again by somebody who is here, it holds again.
    await say(alice, waiting.pk, "approve", remember="conversation")
    await chunks_of(again.pk)
    (standing,) = await in_database(standing_of, alice)
    assert standing["holds"] and standing["createdBy"]["id"] == str(alice.user_id)


async def test_it_denies_what_nobody_decided_on_in_time(engine, alice, plays):
    provider = plays(PAY, "Then not.", tools=[pay])
    run = await begin(alice)
    waiting = await until_waiting(run)
    assert not await in_database(approvals_expire)
    late = timezone.now() - timedelta(seconds=1)
    await in_database(lambda: Approval.objects.filter(pk=waiting.pk).update(expires_at=late))
    with pytest.raises(AlreadyDecided, match="time to decide"):
        await say(alice, waiting.pk, "approve")
    await in_database(approvals_expire)
    chunks = await chunks_of(run.pk)
    assert calls_in(chunks) == ["PENDING", "FAILED"] and last_status(chunks) == "complete"
    assert "in time" in told_of(provider) and ran == []


async def test_it_stops_a_run_that_waits_without_any_worker(engine, alice, bob, plays):
    plays(PAY, "never", "The next one.", tools=[pay])
    run = await begin(alice)
    waiting = await until_waiting(run)
    following = await begin(bob, conversation_id=run.conversation_id, policy="enqueue")
    assert (await reloaded(following)).status == Run.Status.QUEUED
    await in_database(lambda: run_cancel(actor=bob, run_id=run.pk))
    run = await reloaded(run)
    assert run.status == Run.Status.CANCELLED, "it needs no worker to end"
    chunks = await chunks_of(run.pk)
    assert last_status(chunks) == "cancelled"
    assert calls_in(chunks) == ["PENDING", "FAILED"]
    answer = await in_database(Message.objects.get, pk=run.answer_id)
    assert [part["type"] for part in answer.parts] == ["text", "tool_call"]
    assert run.tokens_output > 0
    with pytest.raises(AlreadyDecided, match="stopped"):
        await say(alice, waiting.pk, "approve")
    assert last_status(await chunks_of(following.pk)) == "complete"
    assert ran == []


async def test_it_survives_that_everything_is_restarted_and_is_decided_while_nothing_runs(
    transactional_db, alice, bob, plays
):
    provider = plays(PAY, "Paid.", tools=[pay])
    async with executing():
        run = await begin(alice)
        waiting = await until_waiting(run)
    await say(bob, waiting.pk, "approve")
    assert ran == []
    async with executing():
        chunks = await chunks_of(run.pk)
    assert last_status(chunks) == "complete" and ran == ["Zoe"]
    assert len(provider.requests) == 2, "a completed step was asked for again"
    assert (await reloaded(run)).epoch == 2


async def test_it_counts_no_wait_as_work(engine, alice, plays):
    plays(PAY, "Paid.", tools=[pay])
    run = await begin(alice)
    waiting = await until_waiting(run)
    hours = timezone.now() - timedelta(hours=3)
    await in_database(lambda: Run.objects.filter(pk=run.pk).update(waiting_since=hours, started_at=hours))
    await say(alice, waiting.pk, "approve")
    chunks = await chunks_of(run.pk)
    assert chunks[-1][1]["data"]["durationMs"] < 60_000
    assert (await reloaded(run)).waited_ms > 10_000_000


async def test_it_runs_what_needs_nobody_and_waits_for_each_of_several(engine, alice, bob, plays):
    provider = plays(
        call(("pay", {"to": "A"}), ("look", {}), ("pay", {"to": "B"})), "Done.", tools=[pay, look]
    )
    run = await begin(alice)
    async with asyncio.timeout(60):
        while (await reloaded(run)).status != Run.Status.WAITING:
            await asyncio.sleep(0.01)
    calls = await in_database(lambda: list(ToolCall.objects.filter(run=run).order_by("position")))
    assert [c.status for c in calls] == ["PENDING", "COMPLETED", "PENDING"]
    await say(bob, calls[2].pk, "deny")
    async with asyncio.timeout(60):
        while (await reloaded(run)).epoch != 2 or (await reloaded(run)).status != Run.Status.WAITING:
            await asyncio.sleep(0.01)
    await say(bob, calls[0].pk, "approve")
    chunks = await chunks_of(run.pk)
    assert last_status(chunks) == "complete" and ran == ["A"]
    told = [part.content for part in provider.requests[-1].messages[-1].parts]
    assert told[:2] == ['"paid A"', '"seen"'] and "denied" in told[2]
    assert (await reloaded(run)).epoch == 3


async def test_it_refuses_a_decision_on_what_waits_for_nobody(engine, alice, plays):
    plays(call(("look", {})), "Seen.", tools=[look])
    run = await begin(alice)
    await chunks_of(run.pk)
    done = await in_database(ToolCall.objects.get, run=run)
    with pytest.raises(NotWaiting):
        await say(alice, done.pk, "approve")
    with pytest.raises(NotFound):
        await say(alice, UUID(int=0), "approve")


async def test_it_goes_on_in_its_place_before_a_run_that_was_queued_behind_it(engine, alice, bob, plays):
    plays(PAY, "Paid.", "The next one.", tools=[pay])
    run = await begin(alice)
    waiting = await until_waiting(run)
    following = await begin(bob, conversation_id=run.conversation_id, policy="enqueue")
    await say(bob, waiting.pk, "approve")
    await chunks_of(following.pk)
    run, following = await reloaded(run), await reloaded(following)
    assert run.finished_at <= following.started_at


async def test_it_tells_who_was_asked_that_a_stop_took_the_question_away(engine, alice, bob, plays, connect):
    plays(PAY, "Paid.", tools=[pay])
    watcher = await connect(bob)
    run = await begin(alice)
    waiting = await until_waiting(run)
    await in_database(lambda: run_cancel(actor=alice, run_id=run.pk))
    await chunks_of(run.pk)
    told = await watcher.next("approval.notice", status="withdrawn")
    assert told["toolId"] == str(waiting.pk)
    if "tool-withdrawn" not in str(watcher.seen):  # the feed is told a moment later, or first
        await watcher.next("activity.recorded", activityType="tool-withdrawn")
    event = await in_database(lambda: AuditEvent.objects.get(action="tool_withdrawn"))
    assert (event.user_id, event.target_name) == (alice.user_id, "pay")
