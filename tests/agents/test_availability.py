"""Whether an agent can answer now, and what to do about it if not."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest

from agents import availability
from agents.availability import LONGEST_WAIT
from agents.models import Agent, ProviderEndpoint
from agents.selectors import agent_availability, agents_with_availability, providers_wire
from scripts.services import free_port
from workspaces.access import Actor
from workspaces.provider_keys import provider_key_set

pytestmark = pytest.mark.django_db


@pytest.fixture
def listening() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def nowhere() -> str:
    return f"http://127.0.0.1:{free_port()}"


def agent(actor: Actor, slug: str) -> Agent:
    return Agent.objects.get(workspace=actor.workspace, slug=slug)


def test_without_a_key_it_names_the_variable(alice: Actor) -> None:
    told = agent_availability(agent(alice, "claude-sonnet"), alice)
    assert (told.is_available, told.needs_key) == (False, True)
    assert "ANTHROPIC_API_KEY" in told.reason


def test_a_key_in_the_environment_wakes_it(alice: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-1234567890")
    assert agent_availability(agent(alice, "claude-sonnet"), alice).is_available


def test_a_key_of_the_workspace_wakes_it_there_only(alice: Actor, bob: Actor, charlie: Actor) -> None:
    provider_key_set(actor=alice, provider="openai", secret="sk-workspace-key-7777")
    assert agent_availability(agent(alice, "gpt-4-strategist"), bob).is_available
    assert not agent_availability(agent(charlie, "gpt-4-strategist"), charlie).is_available


def test_a_personal_key_wakes_it_for_its_person_only(alice: Actor, bob: Actor) -> None:
    provider_key_set(actor=bob, provider="openai", secret="sk-personal-key-8888", personal=True)
    row = agent(alice, "gpt-4-strategist")
    assert agent_availability(row, bob).is_available
    assert not agent_availability(row, alice).is_available
    bob.workspace.allow_personal_keys = False
    assert not agent_availability(row, bob).is_available


def test_a_fallback_with_a_key_is_enough(alice: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_GENERATIVE_AI_API_KEY", "google-key-123")
    assert agent_availability(agent(alice, "news-agent"), alice).is_available


def test_a_server_that_listens_is_there(
    alice: Actor, listening: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OLLAMA_HOST", listening)
    assert agent_availability(agent(alice, "llama-3-assistant"), alice).is_available


def test_one_that_does_not_is_not_and_says_where(
    alice: Actor, nowhere: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OLLAMA_HOST", nowhere)
    told = agent_availability(agent(alice, "code-helper"), alice)
    assert (told.is_available, told.needs_key) == (False, False)
    assert nowhere.removeprefix("http://") in told.reason


def test_a_server_that_swallows_connections_holds_no_page_up(
    alice: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    import threading

    released = threading.Event()
    monkeypatch.setattr(availability, "_listens", lambda address, guard: released.wait(100))
    monkeypatch.setattr(availability, "LONGEST_WAIT", LONGEST_WAIT)
    monkeypatch.setenv("OLLAMA_HOST", "http://127.0.0.1:9")
    started = time.monotonic()
    told = agent_availability(agent(alice, "llama-3-assistant"), alice)
    waited = time.monotonic() - started
    released.set()
    assert waited < 60  # far below the probe's own time: the page did not wait for it
    assert not told.is_available
    assert "not answered yet" in told.reason


def test_many_pages_at_once_share_one_probe(alice: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    from concurrent.futures import ThreadPoolExecutor

    asked: list[str] = []

    def listens(address: str, guard: object) -> bool:
        asked.append(address)
        return True

    monkeypatch.setattr(availability, "_listens", listens)
    monkeypatch.setattr(availability, "FRESH_SECONDS", 600.0)  # none of them finds it old
    with ThreadPoolExecutor(8) as pages:
        told = list(pages.map(lambda _: availability._probe_all({("http://127.0.0.1:9", None)}), range(200)))
    assert told == [{("http://127.0.0.1:9", None): True}] * 200
    assert len(asked) == 1


def test_a_provider_that_is_switched_off_says_so(alice: Actor) -> None:
    ProviderEndpoint.objects.create(name="scripted", label="Demo", wire="scripted", is_enabled=False)
    told = agent_availability(agent(alice, "demo-agent"), alice)
    assert not told.is_available
    assert "switched off" in told.reason


def test_the_list_asks_the_database_a_fixed_number_of_times(
    alice: Actor, nowhere: str, monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: object
) -> None:
    monkeypatch.setenv("OLLAMA_HOST", nowhere)
    with django_assert_num_queries(3):  # type: ignore[operator]
        assert len(agents_with_availability(alice)) == 16


def test_providers_show_the_last_four_and_never_a_key(alice: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    provider_key_set(actor=alice, provider="openai", secret="sk-very-secret-key-7777")
    monkeypatch.setenv("MISTRAL_API_KEY", "mistral-secret-9999")
    told = {one["name"]: one for one in providers_wire(alice)}
    assert (told["openai"]["hasKey"], told["openai"]["keySource"], told["openai"]["keyLastFour"]) == (
        True,
        "workspace",
        "7777",
    )
    assert (told["mistral"]["keySource"], told["mistral"]["keyLastFour"]) == ("environment", "9999")
    assert (told["groq"]["hasKey"], told["groq"]["needsKey"]) == (False, True)
    assert told["ollama"]["needsKey"] is False
    assert "secret" not in str(told)
