"""Which calls need a person's yes, and how a script says it: by tool, by agent, by arguments; questions to people."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nexus_core import ModelAgent, Route, tool
from nexus_core.agent import AgentRequest
from nexus_core.human import call_human
from nexus_core.ports import Decision
from nexus_core.providers.scripted import ScriptedProvider, call, say

from .helpers import bench, statuses
from .test_replay import Desk

LARGE = {"properties": {"cents": {"minimum": 1000}}, "required": ["cents"]}


def broken(_input):
    raise RuntimeError("a rule with a fault")


@pytest.mark.parametrize(
    ("rule", "cents", "asks"),
    [
        (True, 1, True),
        (False, 5000, False),
        (LARGE, 999, False),
        (LARGE, 1000, True),
        (lambda given: given["cents"] > 10, 11, True),
        (lambda given: given["cents"] > 10, 10, False),
        (broken, 1, True),
    ],
)
@pytest.mark.parametrize("by", ["tool", "agent"])
async def test_it_asks_by_tool_by_agent_and_by_arguments(rule, cents, asks, by):
    ran = []

    @tool(needs_approval=rule if by == "tool" else False)
    async def pay(cents: int) -> str:
        """Pays."""
        ran.append(cents)
        return "paid"

    options = {"tool_approval": {"pay": rule}} if by == "agent" else {}
    b = bench([call(("pay", {"cents": cents})), say("ok")], tools=[pay], **options)
    desk = Desk(Decision(False))
    b.ports = replace(b.ports, approvals=desk)
    await b.run()
    assert desk.asked == (["pay"] if asks else [])
    assert ran == ([] if asks else [cents])


async def test_it_runs_the_calls_that_need_no_yes_and_its_last_word_is_that_it_waits():
    @tool
    async def look() -> str:
        """Looks."""
        return "seen"

    @tool(needs_approval=True)
    async def act() -> str:
        """Acts."""
        return "done"

    b = bench([call(("act", {}), ("look", {}), ("act", {})), say("ok")], tools=[look, act])
    desk = Desk(None, None)
    b.ports = replace(b.ports, approvals=desk)
    response = await b.run()
    assert response.terminal is None
    assert statuses(response.chunks)[-1] == "waiting"
    assert "look:COMPLETED" in statuses(response.chunks)
    desk.found = Decision(True)
    chunks = (await b.run()).chunks
    assert statuses(chunks)[-1] == "complete"
    results = b.provider.requests[1].messages[-1].parts
    assert [part.content for part in results] == ['"done"', '"seen"', '"done"']
    assert "look:RUNNING" not in statuses(chunks), "what had run was run again"


async def test_it_asks_a_person_and_goes_on_with_the_answer():
    b = bench([call(("call_human", {"question": "Which colour?"})), say("Blue it is.")], tools=[call_human])
    b.ports = replace(
        b.ports, approvals=Desk(Decision(True, answer={"answer": "blue", "answeredBy": "Alice"}))
    )
    response = await b.run()
    assert statuses(response.chunks) == [
        "progress", "call_human:PENDING", "waiting", "call_human:COMPLETED", "content", "complete",
    ]  # fmt: skip
    assert '"blue"' in b.provider.requests[1].messages[-1].parts[0].content


async def test_it_tells_the_model_that_nobody_can_be_asked():
    b = bench([call(("call_human", {"question": "Which colour?"})), say("ok")], tools=[call_human])
    await b.run()
    told = b.provider.requests[1].messages[-1].parts[0].content
    assert "not answered" in told
    assert "nobody here" in told


@pytest.mark.parametrize(
    ("said", "told"),
    [(True, '"done"'), (False, "denied"), ("Too dear", "denied: Too dear"), (Decision(True), '"done"')],
)
async def test_it_asks_a_callback_where_there_is_no_host(said, told):
    @tool(needs_approval=True)
    async def act() -> str:
        """Acts."""
        return "done"

    async def later(_call):
        return said

    for approve in (lambda _call: said, later):
        provider = ScriptedProvider([call(("act", {})), say("ok")])
        agent = ModelAgent(id="a", routes=[Route(provider, "m")], tools=[act], approve=approve)
        await agent.execute(AgentRequest("a", "Go"))
        assert told in provider.requests[1].messages[-1].parts[0].content


async def test_it_takes_a_callbacks_text_as_the_answer_to_a_question():
    provider = ScriptedProvider([call(("call_human", {"question": "Which?"})), say("ok")])
    agent = ModelAgent(
        id="a", routes=[Route(provider, "m")], tools=[call_human], approve=lambda _call: "the second"
    )
    await agent.execute(AgentRequest("a", "Go"))
    assert "the second" in provider.requests[1].messages[-1].parts[0].content


class Box:
    """Messages with the step they were taken for."""

    def __init__(self, **by_step) -> None:
        self.by_step = {int(name[1:]): value for name, value in by_step.items()}
        self.given: set[int] = set()

    async def take(self, step):
        if step in self.given:
            return ()
        self.given.add(step)
        return self.by_step.get(step, ())

    taken = take


async def test_it_hears_what_was_said_between_steps_in_the_same_place_after_a_takeover():
    from nexus_core import user

    @tool
    async def noop() -> str:
        """Nothing."""
        return ""

    script = [call(("noop", {})), call(("noop", {})), say("Done.")]
    first = bench(script, tools=[noop])
    first.ports = replace(first.ports, inbox=Box(s1=(user("Shorter!"),)))
    await first.run()
    whole = [m.role for m in first.provider.requests[2].messages]
    journal = first.journal
    journal.steps = journal.steps[:2]
    second = bench([say("Done.")], tools=[noop])
    second.ports = replace(second.ports, journal=journal, inbox=Box(s1=(user("Shorter!"),)))
    await second.run()
    assert [m.role for m in second.provider.requests[0].messages] == whole
    assert whole == ["user", "assistant", "tool", "user", "assistant", "tool"]
