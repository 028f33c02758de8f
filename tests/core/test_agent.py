"""Agents and their registry: what holds for every agent, whoever wrote it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nexus_core import AgentRequest, BaseAgent, ExecutionContext, ModelAgent, NexusError, tool
from nexus_core.agent import run_agent
from nexus_core.errors import AgentNotFound, PremiumRequired, RunCancelled, RunFenced, StreamBroken
from nexus_core.providers.scripted import call, say
from nexus_core.registry import AgentRegistry, discover_tools

from .helpers import bench, statuses, terminal_of

built: list[str] = []


class Counter(BaseAgent):
    id = "counter"
    name = "Counter"
    description = "Counts."

    @tool
    async def count(self, to: int) -> list[int]:
        """Counts."""
        return list(range(to))

    def create_tools(self):
        built.append(self.id)
        return super().create_tools()

    async def stream(self, request):
        yield self.create_content_chunk("one ")
        yield self.create_tool_call_chunk("t1", "count", {"to": 1}, [0])
        yield self.create_content_chunk("Title", section="headline")
        yield self.create_metadata_chunk("complete", stopReason="end")


class Failing(BaseAgent):
    id = "failing"

    def __init__(self, error: Exception | None) -> None:
        self.error = error

    async def stream(self, request):
        yield self.create_content_chunk("so far")
        if self.error:
            raise self.error


async def test_it_collects_all_chunks():
    response = await Counter().execute(AgentRequest("counter", "go"))
    assert statuses(response.chunks) == ["content", "count:COMPLETED", "content", "complete"]
    assert response.chunks[2].data == {"section": "headline", "content": "Title"}
    assert response.terminal is response.chunks[-1]


def test_it_builds_its_tools_once_when_they_are_needed():
    built.clear()
    agent = Counter()
    assert built == []
    assert [t.name for t in agent.get_tools()] == ["count"]
    agent.get_tools()
    assert built == ["counter"]


async def test_it_binds_tools_to_the_agent_that_has_them():
    class Named(ModelAgent):
        @tool
        async def whoami(self) -> str:
            """Who I am."""
            return self.name

    b = bench([call(("whoami", {})), say("ok")])
    agent = Named(id="n", name="Nora", routes=b.agent.routes)
    await agent.execute(b.request())
    assert b.provider.requests[1].messages[-1].parts[0].content == '"Nora"'


async def test_it_adds_the_terminal_chunk_an_agent_forgot():
    response = await Failing(None).execute(AgentRequest("failing", "x"))
    assert terminal_of(response.chunks).status == "complete"


async def test_it_turns_our_errors_into_chunks_and_lets_others_pass():
    response = await Failing(NexusError("Broken on purpose.")).execute(AgentRequest("failing", "x"))
    assert statuses(response.chunks) == ["content", "error:unexpected_error", "failed"]
    response = await Failing(RunCancelled("Stopped.")).execute(AgentRequest("failing", "x"))
    assert statuses(response.chunks) == ["content", "cancelled"]
    for error in (RuntimeError("bug"), RunFenced("fenced")):
        with pytest.raises(type(error)):
            await Failing(error).execute(AgentRequest("failing", "x"))


async def test_it_asks_for_a_plan_for_premium_agents():
    b = bench([say("ok"), say("ok")], is_premium=True)
    free = await b.run()
    assert statuses(free.chunks) == ["error:premium_required", "failed"]
    assert b.provider.requests == []
    with pytest.raises(PremiumRequired):
        b.agent.check_can_execute(ExecutionContext(plan="free"))
    paid = replace(b.request(), context=ExecutionContext(plan="pro"))
    assert terminal_of((await b.agent.execute(paid)).chunks).status == "complete"


async def test_it_lets_an_agent_decide_otherwise():
    class Generous(Counter):
        is_premium = True

        def can_execute(self, context):
            return True

    assert terminal_of([c async for c in run_agent(Generous(), AgentRequest("counter", "x"))])


def test_it_hides_the_text_of_foreign_errors():
    chunk = BaseAgent.create_error_chunk(RuntimeError("password"))
    assert chunk.data == {
        "message": "An unexpected error occurred.",
        "code": "unexpected_error",
        "retryable": False,
    }


def test_it_registers_and_finds_agents():
    registry = AgentRegistry()
    counter = registry.register(Counter())
    assert registry.get("counter") is counter
    assert registry.get_all() == [counter]
    with pytest.raises(AgentNotFound) as error:
        registry.get("nobody")
    assert error.value.message == "Agent not found: nobody. Known agents: counter"
    with pytest.raises(ValueError, match="Two agents"):
        registry.register(Counter())


@pytest.fixture
def plugins(monkeypatch):
    """Entry points as an installed package would offer them."""
    from importlib.metadata import EntryPoint

    here = __name__
    points = [
        EntryPoint("a", f"{here}:Counter", "nexus.agents"),
        EntryPoint("b", f"{here}:no_such_thing", "nexus.agents"),
        EntryPoint("c", f"{here}:built", "nexus.agents"),
        EntryPoint("d", f"{here}:TOOLS", "nexus.tools"),
    ]
    monkeypatch.setattr(
        "nexus_core.registry.entry_points", lambda group: [p for p in points if p.group == group]
    )
    monkeypatch.setitem(__import__("sys").modules, here, __import__("types").SimpleNamespace(**globals()))


@tool
async def offered() -> str:
    """Offered by a plug-in."""
    return ""


TOOLS = [offered]


def test_it_discovers_plugins_and_leaves_broken_ones_out(plugins, caplog):
    registry = AgentRegistry()
    assert [a.id for a in registry.discover()] == ["counter"]
    assert "no_such_thing" in caplog.text
    assert "is left out" in caplog.text
    assert discover_tools() == [offered]


async def test_it_answers_without_a_model_in_mock_mode():
    agent = ModelAgent(id="mock", mock_mode=True)
    for _ in range(2):
        response = await agent.execute(AgentRequest("mock", "test"))
        assert response.text == "This is a test response to: test"
        assert sum(chunk.type == "content" for chunk in response.chunks) > 1
        assert terminal_of(response.chunks).fields["provider"] == "mock"
    with pytest.raises(ValueError, match="route"):
        ModelAgent(id="none")


async def test_it_recovers_from_an_interruption():
    agent = ModelAgent(id="mock", mock_mode=True)
    assert agent.interrupt() is False
    with pytest.raises(ValueError, match="no run to recover"):
        await agent.recover()
    cut = []
    async for chunk in run_agent(agent, AgentRequest("mock", "test")):
        cut.append(chunk)
        if chunk.type == "content":
            assert agent.interrupt()
    assert statuses(cut)[-1] == "cancelled"
    recovered = await agent.recover()
    assert recovered.text == "This is a test response to: test"


async def test_it_recovers_from_the_last_completed_step_without_calling_its_tools_again():
    called = []

    @tool
    async def note(word: str) -> str:
        """Notes a word."""
        called.append(word)
        return word

    b = bench(
        [
            call(("note", {"word": "a"})),
            StreamBroken("gone"),
            StreamBroken("gone"),
            StreamBroken("gone"),
            "Done.",
        ],
        tools=[note],
    )
    assert terminal_of((await b.run()).chunks).status == "failed"
    assert (await b.agent.recover()).text == "Done." and called == ["a"]
