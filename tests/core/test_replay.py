"""Going on after a cut: whatever was completed is not repeated, wherever the run was cut."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from nexus_core import ModelAgent, Route, tool
from nexus_core.chunks import ToolCallChunk
from nexus_core.ports import Decision
from nexus_core.providers.scripted import ScriptedProvider, call, say

from .helpers import BookingJournal, bench, statuses, terminal_of, text_of


class Cut(Exception):
    """The process is gone."""


class CutJournal(BookingJournal):
    """Goes down at the n-th thing it is told, before or after it took note of it."""

    def __init__(self, at: int, noted: bool) -> None:
        super().__init__()
        self.left = at
        self.noted = noted

    async def _pass(self, write, *args):
        self.left -= 1
        if self.left == 0 and not self.noted:
            raise Cut
        await write(*args)
        if self.left == 0:
            raise Cut

    async def step_completed(self, *args):
        await self._pass(super().step_completed, *args)

    async def tool_started(self, call):
        await self._pass(super().tool_started, call)

    async def tool_finished(self, call):
        await self._pass(super().tool_finished, call)


def script_by_history(request):
    """A model that answers by what it is told: two calls, then one, then text. It never repeats itself."""
    tools_seen = [p.name for m in request.messages if m.role == "tool" for p in m.parts]
    turns = sum(m.role == "assistant" for m in request.messages)
    match turns:
        case 0:
            return call(("charge", {"cents": 1}), ("look", {"n": 1}), text="First. ")
        case 1:
            return call(("charge", {"cents": 2}), text="Second. ")
        case _:
            return say(f"Done after {len(tools_seen)} results.")


@pytest.mark.parametrize("noted", [True, False])
@pytest.mark.parametrize("at", range(1, 10))
async def test_it_repeats_nothing_after_a_cut_at_any_point(at, noted):
    effects: list[int] = []

    @tool
    async def charge(cents: int) -> str:
        """An effect that must happen once."""
        effects.append(cents)
        return "charged"

    @tool(idempotent=True)
    async def look(n: int) -> int:
        """Harmless."""
        return n

    journal = CutJournal(at, noted)
    completed: list[int] = []
    requests = 0
    text = ""
    ended = False
    for _owner in range(4):
        provider = ScriptedProvider([script_by_history] * 5, name="p0")
        b = bench([], tools=[charge, look])
        b.agent.routes = (Route(provider, "model-p0"),)
        b.ports = replace(b.ports, journal=journal)
        before = len(journal.steps)
        kept = text
        try:
            async for chunk in b.agent.stream(b.request()):
                if chunk.type == "content":
                    text += chunk.text
                ended = chunk.type == "metadata" and chunk.terminal
        except Cut:
            # the text of a step that was not recorded is withdrawn by the host's `reset`
            text = kept if len(journal.steps) == before else text
        requests += len(provider.requests)
        completed.append(len(journal.steps))
        if ended:
            break
    assert ended
    assert sorted(set(effects)) == sorted(effects), f"an effect happened twice: {effects}"
    assert len(journal.steps) == 3
    assert requests <= 4, "a completed step was asked for again"
    statuses_ = {c.name: c.status for c in journal.calls.values()}
    assert set(statuses_.values()) <= {"COMPLETED", "UNKNOWN"}
    done = [c for c in journal.calls.values() if c.name == "charge" and c.status == "COMPLETED"]
    assert len(done) <= len(effects)
    assert text.endswith("Done after 3 results.")


async def resumed(records_status: str, *, idempotent: bool):
    """A run whose owner died when its only call stood like this; and how often the tool ran after that."""
    ran = []

    @tool(idempotent=idempotent)
    async def work() -> str:
        """Works."""
        ran.append(1)
        return "worked"

    first = bench([call(("work", {}), text="Go. "), say("Done.")], tools=[work])
    await first.run()
    journal = first.journal
    journal.steps = journal.steps[:1]
    (record,) = journal.calls.values()
    journal.calls = {record.tool_id: replace(record, status=records_status, result=None, duration_ms=None)}
    ran.clear()
    second = bench([say("Done again.")], tools=[work])
    second.ports = replace(second.ports, journal=journal)
    chunks = (await second.run()).chunks
    return chunks, ran, second


async def test_it_does_not_know_what_became_of_a_call_that_was_running():
    chunks, ran, b = await resumed("RUNNING", idempotent=False)
    assert ran == []
    assert statuses(chunks) == ["work:UNKNOWN", "content", "complete"]
    (result,) = b.provider.requests[0].messages[-1].parts
    assert result.is_error
    assert "not known whether" in result.content


async def test_it_repeats_a_running_call_of_an_idempotent_tool():
    chunks, ran, _ = await resumed("RUNNING", idempotent=True)
    assert ran == [1]
    assert statuses(chunks) == ["work:RUNNING", "work:COMPLETED", "content", "complete"]


async def test_it_runs_a_call_that_had_not_started():
    chunks, ran, _ = await resumed("PENDING", idempotent=False)
    assert ran == [1]
    assert terminal_of(chunks).status == "complete"


async def test_it_shows_the_calls_of_the_last_step_again_and_runs_none():
    chunks, ran, b = await resumed("COMPLETED", idempotent=False)
    assert ran == []
    assert statuses(chunks) == ["work:COMPLETED", "content", "complete"]
    assert text_of(chunks) == "Done again."
    assert [m.role for m in b.provider.requests[0].messages] == ["user", "assistant", "tool"]


async def test_it_only_ends_a_run_whose_answer_was_complete():
    first = bench([say("All said, thus [1].")])
    await first.run()
    second = bench([])
    second.ports = replace(second.ports, journal=first.journal)
    chunks = (await second.run()).chunks
    assert statuses(chunks) == ["complete"]
    assert second.provider.requests == []
    assert terminal_of(chunks).fields["tokenUsage"]["output"] == 4
    assert terminal_of(chunks).fields["confidence"] == 0.9


async def test_it_counts_tool_turns_over_a_cut():
    @tool
    async def noop() -> str:
        """Nothing."""
        return ""

    first = bench(
        [call(("noop", {})) for _ in range(3)] + [say("x")], tools=[noop], max_consecutive_tool_calls=3
    )
    await first.run()
    first.journal.steps.pop()
    second = bench([say("Now.")], tools=[noop], max_consecutive_tool_calls=3)
    second.ports = replace(second.ports, journal=first.journal)
    chunks = (await second.run()).chunks
    assert second.provider.requests[0].tool_choice == "none"
    assert terminal_of(chunks).fields["stopReason"] == "tool_limit"


# Approval


class Desk:
    """A person who decides as told; `None` is “not yet”."""

    def __init__(self, *decisions: Decision | None) -> None:
        self.decisions = list(decisions)
        self.asked: list[str] = []
        self.found: Decision | None = None

    async def known(self, call):
        return self.found

    async def decide(self, call):
        self.asked.append(call.name)
        return self.decisions.pop(0)


@tool(needs_approval=True)
async def send_mail(to: str) -> str:
    """Sends a mail."""
    return f"sent to {to}"


MAIL = call(("send_mail", {"to": "bob"}))


async def test_it_waits_for_approval_and_runs_what_was_approved():
    b = bench([MAIL, say("ok")], tools=[send_mail])
    b.ports = replace(b.ports, approvals=Desk(Decision(True)))
    assert statuses((await b.run()).chunks) == [
        "progress", "send_mail:PENDING", "waiting", "send_mail:RUNNING", "send_mail:COMPLETED", "content", "complete",
    ]  # fmt: skip


async def test_it_tells_the_model_of_a_denied_call_which_never_ran():
    b = bench([MAIL, say("ok")], tools=[send_mail])
    b.ports = replace(b.ports, approvals=Desk(Decision(False, "not Bob")))
    chunks = (await b.run()).chunks
    assert statuses(chunks) == [
        "progress", "send_mail:PENDING", "waiting", "send_mail:FAILED", "content", "complete",
    ]  # fmt: skip
    assert "denied: not Bob" in b.provider.requests[1].messages[-1].parts[0].content


async def test_it_denies_by_default_and_says_that_nobody_can_approve():
    b = bench([MAIL, say("ok")], tools=[send_mail])
    await b.run()
    assert "nobody can approve here" in b.provider.requests[1].messages[-1].parts[0].content


async def test_it_asks_for_tools_that_the_agent_names():
    ran = []

    @tool
    async def plain() -> str:
        """Plain."""
        ran.append(1)
        return ""

    b = bench([call(("plain", {})), say("ok")], tools=[plain], tool_approval=["plain"])
    await b.run()
    assert ran == []


async def test_it_ends_without_a_terminal_chunk_while_nobody_has_decided_and_goes_on_later():
    b = bench([MAIL, say("ok")], tools=[send_mail])
    desk = Desk(None)
    b.ports = replace(b.ports, approvals=desk)
    response = await b.run()
    assert statuses(response.chunks) == ["progress", "send_mail:PENDING", "waiting"]
    assert response.terminal is None
    desk.found = Decision(True)
    assert statuses((await b.run()).chunks) == [
        "send_mail:RUNNING", "send_mail:COMPLETED", "content", "complete",
    ]  # fmt: skip
    assert desk.asked == ["send_mail"]
    assert len(b.provider.requests) == 2


async def test_it_stops_while_waiting_for_a_person():
    b = bench([MAIL, say("never")], tools=[send_mail])

    class Away(Desk):
        async def decide(self, call):
            b.context.cancelled.set()
            await asyncio.Event().wait()

    b.ports = replace(b.ports, approvals=Away())
    chunks = (await b.run()).chunks
    assert statuses(chunks)[-2:] == ["send_mail:FAILED", "cancelled"]


# Steering


class Letters:
    def __init__(self, *letters) -> None:
        self.letters = list(letters)

    async def take(self, step):
        return self.letters.pop(0) if self.letters else ()

    async def taken(self, step):
        return ()


async def test_it_takes_what_people_say_at_the_next_step():
    from nexus_core import user

    @tool
    async def noop() -> str:
        """Nothing."""
        return ""

    b = bench([call(("noop", {})), say("First. "), say("Second.")], tools=[noop])
    b.ports = replace(b.ports, inbox=Letters((), (user("Shorter!"),), (user("And more."),)))
    response = await b.run()
    assert [m.text for m in b.provider.requests[1].messages if m.role == "user"] == ["Hello", "Shorter!"]
    assert [m.text for m in b.provider.requests[2].messages if m.role == "user"] == [
        "Hello",
        "Shorter!",
        "And more.",
    ]
    assert response.text == "First. Second."


async def test_it_passes_a_fenced_run_on_without_a_word():
    from nexus_core.errors import RunFenced

    class Fenced(BookingJournal):
        async def tool_started(self, call):
            raise RunFenced("another owner")

    ran = []

    @tool
    async def work() -> None:
        """Works."""
        ran.append(1)

    b = bench([call(("work", {})), say("never")], tools=[work])
    b.ports = replace(b.ports, journal=Fenced())
    chunks = []
    with pytest.raises(RunFenced):
        async for chunk in b.agent.stream(b.request()):
            chunks.append(chunk)
    assert ran == []
    assert not any(isinstance(c, ToolCallChunk) for c in chunks)
    assert isinstance(b.agent, ModelAgent)


async def test_it_passes_on_that_a_tool_found_the_run_fenced():
    from nexus_core.errors import RunFenced

    @tool
    async def writes() -> None:
        """Writes as an owner that has been replaced."""
        raise RunFenced("another owner")

    b = bench([call(("writes", {})), say("never")], tools=[writes])
    with pytest.raises(RunFenced):
        await b.run()
    assert [c.status for c in b.journal.calls.values()] == ["RUNNING"]
