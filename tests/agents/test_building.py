"""From a row to an agent that runs, with the right key, address, fallbacks and tools."""

from __future__ import annotations

import asyncio

import pytest

from agents.catalogue import model_window
from agents.models import Agent, ProviderEndpoint
from agents.providers import forget_specs
from agents.services import agent_delete, build_agent
from nexus_core.agent import AgentRequest, ModelAgent
from nexus_core.chunks import ErrorChunk
from nexus_core.errors import AgentNotFound
from workspaces.access import Actor
from workspaces.provider_keys import provider_key_set

pytestmark = pytest.mark.django_db


def built(actor: Actor, slug: str, **more: object) -> ModelAgent:
    row = Agent.objects.get(workspace=actor.workspace, slug=slug)
    agent = build_agent(row, workspace_id=actor.workspace_id, user_id=actor.user_id, **more)  # type: ignore[arg-type]
    assert isinstance(agent, ModelAgent)
    return agent


def test_it_carries_what_the_row_says(alice: Actor) -> None:
    Agent.objects.filter(slug="news-agent").update(
        temperature=0.2,
        max_tokens=123,
        tool_call_timeout=2500,
        max_consecutive_tool_calls=3,
        tool_approval=["fetch_news"],
    )
    agent = built(alice, "news-agent")
    assert (agent.id, agent.temperature, agent.max_tokens, agent.tool_call_timeout) == (
        "news-agent",
        0.2,
        123,
        2500,
    )
    assert (agent.max_consecutive_tool_calls, agent.tool_approval) == (3, {"fetch_news"})
    assert [tool.name for tool in agent.get_tools()] == ["fetch_news"]
    assert [(route.provider.name, route.model) for route in agent.routes] == [
        ("anthropic", "claude-haiku-5-5"),
        ("openai", "gpt-6-luna"),
        ("google", "gemini-3.8-flash"),
    ]


def test_it_takes_the_persons_key_then_the_workspaces_then_the_environments(
    alice: Actor, bob: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def key(actor: Actor) -> object:
        return built(actor, "claude-sonnet").routes[0].provider._key  # type: ignore[attr-defined]

    assert key(bob) == ""
    monkeypatch.setenv("ANTHROPIC_API_KEY", "from-the-environment")
    assert key(bob) == "from-the-environment"
    provider_key_set(actor=alice, provider="anthropic", secret="from-the-workspace")
    assert key(bob) == "from-the-workspace"
    provider_key_set(actor=bob, provider="anthropic", secret="from-bob-himself", personal=True)
    assert key(bob) == "from-bob-himself"
    assert key(alice) == "from-the-workspace"


def test_an_endpoint_of_the_operator_stands_in_for_the_shipped_row(
    alice: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    ProviderEndpoint.objects.create(
        name="anthropic",
        label="Proxy",
        wire="anthropic",
        base_url="https://proxy.example/anthropic",
        base_url_var="ANTHROPIC_BASE_URL",
        key_vars=["PROXY_API_KEY"],
    )
    monkeypatch.setenv("PROXY_API_KEY", "for-the-proxy")
    provider = built(alice, "claude-sonnet").routes[0].provider
    assert (provider.base_url, provider._key) == ("https://proxy.example/anthropic", "for-the-proxy")  # type: ignore[attr-defined]
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://127.0.0.1:9")
    assert built(alice, "claude-sonnet").routes[0].provider.base_url == "http://127.0.0.1:9"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("model", "route"),
    [
        ("openai/gpt-6-luna", ("openai", "gpt-6-luna")),
        ("claude-opus-5-5", ("anthropic", "claude-opus-5-5")),
        ("openrouter/meta/llama", ("openrouter", "meta/llama")),
        ("somebody/some-model", ("anthropic", "somebody/some-model")),
    ],
)
def test_another_model_may_be_chosen_for_a_run(alice: Actor, model: str, route: tuple[str, str]) -> None:
    first = built(alice, "claude-sonnet", model=model).routes[0]
    assert (first.provider.name, first.model) == route


def test_it_knows_how_much_the_model_takes_in(alice: Actor) -> None:
    assert (built(alice, "claude-sonnet").context_window or 0) >= 200_000  # type: ignore[attr-defined]
    assert built(alice, "local-assistant").context_window == 4096  # type: ignore[attr-defined]
    assert built(alice, "llama-3-assistant").context_window is None  # type: ignore[attr-defined]


def test_a_tool_that_is_gone_is_left_out(alice: Actor) -> None:
    Agent.objects.filter(slug="news-agent").update(tools=["gone_tool", "fetch_news"])
    assert [tool.name for tool in built(alice, "news-agent").get_tools()] == ["fetch_news"]


def test_a_deleted_agent_does_not_run(alice: Actor) -> None:
    row = Agent.objects.get(workspace=alice.workspace, slug="my-agent")
    agent_delete(actor=alice, slug="my-agent")
    row.refresh_from_db()
    for gone in (row, None):
        with pytest.raises(AgentNotFound):
            build_agent(gone, workspace_id=alice.workspace_id)


def test_a_provider_that_is_switched_off_says_so_when_asked(alice: Actor) -> None:
    ProviderEndpoint.objects.create(name="scripted", label="Demo", wire="scripted", is_enabled=False)
    agent = built(alice, "demo-agent")
    response = asyncio.run(agent.execute(AgentRequest("demo-agent", "Hello")))
    errors = [chunk for chunk in response.chunks if isinstance(chunk, ErrorChunk)]
    assert [error.code for error in errors] == ["provider_unknown"]


def test_the_demo_agent_answers(alice: Actor) -> None:
    agent = built(alice, "demo-agent")
    response = asyncio.run(agent.execute(AgentRequest("demo-agent", "Hello")))
    assert response.text
    assert response.terminal is not None
    assert response.terminal.status == "complete"


def test_it_tells_a_models_window_without_asking_the_database(django_assert_num_queries: object) -> None:
    """Runs are told on the event loop, where nothing may ask it."""
    forget_specs()
    with django_assert_num_queries(0):  # type: ignore[operator]
        assert (model_window("anthropic", "claude-sonnet-5-5") or 0) >= 200_000
