"""What people say to an agent while it works, and who controls a run."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from django.db import connection

from conversations.database import in_database
from conversations.engine.inbox import DbInbox
from conversations.models import Message, Run, Steering
from conversations.services.control import (
    ControlMoved,
    NotInControl,
    control_grant,
    control_request,
    control_take,
)
from conversations.services.run_cancel import run_cancel
from conversations.services.run_start import IdempotencyConflict, run_start
from conversations.services.steering import RunEnded, run_steer
from nexus_core.providers.scripted import call
from nexus_core.tools import tool
from workspaces.access import Actor, Forbidden, NotFound
from workspaces.members import member_remove
from workspaces.models import Role

from ..people import person
from .conftest import chunks_of, last_status, reloaded, stored
from .test_takeover import lose_owner

pytestmark = pytest.mark.django_db(transaction=True)

LOOK = call(("look", {}), text="Looking. ")


class Gate:
    """A tool that is at work until it is let go."""

    def __init__(self) -> None:
        self.entered, self.open = asyncio.Event(), asyncio.Event()

        @tool(idempotent=True, timeout=60)
        async def look() -> str:
            """Looks."""
            self.entered.set()
            await self.open.wait()
            return "seen"

        self.look = look


async def begin(actor: Actor, **more) -> Run:
    return (await in_database(run_start, actor=actor, agent_id="demo-agent", input_="Hello", **more)).run


async def steer(actor: Actor, run: Run, text: str, **more) -> Steering:
    return await in_database(lambda: run_steer(actor=actor, run_id=run.pk, input_=text, **more))


def users_in(provider, request: int) -> list[str]:
    return [m.text for m in provider.requests[request].messages if m.role == "user"]


async def line_of(run: Run) -> list[tuple[str, str]]:
    """Role and author's name of the messages from the answer upwards, in reading order."""

    def read() -> list[tuple[str, str]]:
        out, at = [], run.answer_id
        while at is not None:
            message = Message.objects.select_related("author").get(pk=at)
            out.append((message.role, message.author.username if message.author else ""))
            at = message.parent_id
        return out[::-1]

    return await in_database(read)


async def test_it_tells_the_agent_at_its_next_step_what_a_second_person_says(engine, alice, bob, plays):
    gate = Gate()
    provider = plays(LOOK, "Short.", tools=[gate.look])
    run = await begin(alice)
    await gate.entered.wait()
    said = await steer(bob, run, "Shorter!", client_id="s-1")
    again = await steer(bob, run, "Shorter!", client_id="s-1")
    assert again.pk == said.pk
    with pytest.raises(IdempotencyConflict):
        await steer(bob, run, "Longer!", client_id="s-1")
    gate.open.set()
    chunks = await chunks_of(run.pk)
    assert last_status(chunks) == "complete"
    assert users_in(provider, 1) == ["Hello", "Shorter!"]
    assert len(provider.requests) == 2
    heard = [c["data"]["messageId"] for _, c in chunks if "steered" in str(c["data"])]
    assert heard == [str(said.pk)]
    assert await line_of(run) == [("user", "alice"), ("user", "bob"), ("assistant", "")]
    assert (await reloaded(run)).requested_by_id == alice.user_id, "its cost is booked to who asked"


async def test_it_tells_the_next_owner_what_the_lost_one_had_heard(engine, alice, bob, plays):
    first, then = Gate(), Gate()
    gates = [first, then]

    @tool(idempotent=True, timeout=60)
    async def look() -> str:
        """Looks."""
        gate = gates.pop(0) if gates else None
        if gate is not None:
            gate.entered.set()
            await gate.open.wait()
        return "seen"

    provider = plays(LOOK, LOOK, "Done.", tools=[look])
    run = await begin(alice)
    await first.entered.wait()
    await steer(bob, run, "One.")
    first.open.set()
    await then.entered.wait()  # step 1 is completed: it heard "One."
    await steer(alice, run, "Two.")
    await lose_owner(engine, run.pk)
    gates.clear()
    await engine.runner.execute(run.pk)
    chunks = await chunks_of(run.pk)
    assert last_status(chunks) == "complete"
    roles = [(m.role, m.text) for m in provider.requests[-1].messages if m.role != "assistant"]
    assert roles == [("user", "Hello"), ("tool", ""), ("user", "One."), ("tool", ""), ("user", "Two.")]
    assert (
        await in_database(Message.objects.filter(conversation_id=run.conversation_id, role="user").count) == 3
    )


async def test_it_asks_behind_the_answer_what_came_too_late_for_it(engine, alice, bob, plays, monkeypatch):
    gate = Gate()
    provider = plays(LOOK, "First.", "Second.", tools=[gate.look])
    monkeypatch.setattr(DbInbox, "ring", lambda self: None)  # every hint is lost
    run = await begin(alice)
    await gate.entered.wait()
    said = await steer(bob, run, "And more?")
    gate.open.set()
    await chunks_of(run.pk)
    following = await in_database(lambda: Run.objects.exclude(pk=run.pk).get())
    assert last_status(await chunks_of(following.pk)) == "complete"
    assert (following.message_id, following.requested_by_id) == (said.pk, bob.user_id)
    assert users_in(provider, 2) == ["Hello", "And more?"]
    message = await in_database(Message.objects.get, pk=said.pk)
    assert message.parent_id == run.answer_id
    with pytest.raises(RunEnded):
        await steer(bob, run, "Too late.")


async def test_it_asks_nothing_for_who_left_before_it_was_heard(engine, alice, bob, plays, monkeypatch):
    gate = Gate()
    plays(LOOK, "First.", "never", tools=[gate.look])
    monkeypatch.setattr(DbInbox, "ring", lambda self: None)  # every hint is lost
    run = await begin(alice)
    await gate.entered.wait()
    said = await steer(bob, run, "And more?")
    await in_database(member_remove, actor=alice, user_id=bob.user_id)
    gate.open.set()
    assert last_status(await chunks_of(run.pk)) == "complete"
    assert await in_database(Message.objects.filter(pk=said.pk).exists)
    assert await in_database(Run.objects.count) == 1


async def test_it_keeps_what_was_said_to_a_run_that_was_stopped_without_asking(engine, alice, bob, plays):
    gate = Gate()
    plays(LOOK, "never", tools=[gate.look])
    run = await begin(alice)
    await gate.entered.wait()
    said = await steer(bob, run, "Wait!")
    await in_database(lambda: run_cancel(actor=alice, run_id=run.pk))
    assert last_status(await chunks_of(run.pk)) == "cancelled"
    assert await in_database(Message.objects.filter(pk=said.pk).exists)
    assert await in_database(Run.objects.count) == 1


async def test_it_refuses_who_may_not_steer(engine, alice, bob, vera, charlie, plays):
    gate = Gate()
    plays(LOOK, "ok", tools=[gate.look])
    run = await begin(alice)
    await gate.entered.wait()
    with pytest.raises(NotFound):
        await steer(charlie, run, "Hi")
    with pytest.raises(Forbidden):
        await steer(vera, run, "Hi")
    gate.open.set()
    await chunks_of(run.pk)
    assert "steered" not in str(await stored(run.pk))


async def take(actor: Actor, run: Run, fence: int) -> Run:
    return await in_database(lambda: control_take(actor=actor, run_id=run.pk, fence=fence))


async def test_it_hands_control_over_by_role_and_token(engine, alice, bob, vera, charlie, plays):
    gate = Gate()
    plays(LOOK, "ok", tools=[gate.look])
    run = await begin(alice)
    await gate.entered.wait()
    with pytest.raises(Forbidden):
        await take(bob, run, 0)
    with pytest.raises(NotFound):
        await take(charlie, run, 0)
    await in_database(lambda: control_request(actor=bob, run_id=run.pk))
    assert (await take(alice, run, 0)).control_fence == 1
    with pytest.raises(NotInControl, match="Alice"):
        await steer(bob, run, "Mine")
    with pytest.raises(ControlMoved):
        await take(alice, run, 0)
    with pytest.raises(Forbidden):
        await in_database(lambda: control_grant(actor=alice, run_id=run.pk, user_id=vera.user_id, fence=1))
    with pytest.raises(Forbidden):
        await in_database(lambda: control_grant(actor=bob, run_id=run.pk, user_id=bob.user_id, fence=1))
    with pytest.raises(NotFound):
        await in_database(lambda: control_grant(actor=alice, run_id=run.pk, user_id=charlie.user_id, fence=1))
    with pytest.raises(Forbidden):
        await take(replace(alice, role=Role.VIEWER), run, 1)
    with pytest.raises(Forbidden):
        await in_database(lambda: control_request(actor=vera, run_id=run.pk))
    assert (await reloaded(run)).control_fence == 1, "who was refused moved nothing"
    granted = await in_database(
        lambda: control_grant(actor=alice, run_id=run.pk, user_id=bob.user_id, fence=1)
    )
    assert (granted.controlled_by_id, granted.control_fence) == (bob.user_id, 2)
    with pytest.raises(NotInControl, match="Bob"):
        await steer(alice, run, "Not mine any more")
    with pytest.raises(ControlMoved):
        await steer(bob, run, "With an old token", fence_=1)
    await steer(bob, run, "Mine now", fence_=2)
    gate.open.set()
    await chunks_of(run.pk)


async def test_it_gives_control_to_exactly_one_of_a_thousand_claims(engine, alice, workspace, plays):
    gate = Gate()
    plays(LOOK, "ok", tools=[gate.look])
    run = await begin(alice)
    await gate.entered.wait()
    people = [await in_database(person, f"a{n}", workspace, Role.ADMIN) for n in range(8)]

    def claims(n: int) -> int:
        won = 0
        try:
            for _ in range(125):
                try:
                    control_take(actor=people[n], run_id=run.pk, fence=0)
                    won += 1
                except ControlMoved:
                    pass
        finally:
            connection.close()
        return won

    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(8) as pool:
        won = await asyncio.gather(*(loop.run_in_executor(pool, claims, n) for n in range(8)))
    assert sum(won) == 1
    assert (await reloaded(run)).control_fence == 1
    gate.open.set()
    await chunks_of(run.pk)
