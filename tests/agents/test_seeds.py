"""What an installation starts with, and that nothing somebody changed is put back."""

from __future__ import annotations

import pytest
from django.core.management import call_command
from genai_prices import Usage as TableUsage
from genai_prices import calc_price

from agents import toolbox
from agents.models import Agent, NewsFeed, ProviderEndpoint
from agents.providers import all_specs, endpoints_seed, find_spec
from agents.seeds import agents_seed, fields_of
from agents.shipped import AGENTS
from agents.validation import check_agent
from billing.models import PriceVersion
from workspaces.access import Actor
from workspaces.models import Membership, User, Workspace

pytestmark = pytest.mark.django_db

S1 = {"Llama 3 Assistant", "GPT-4 Strategist", "Gemini Analyst", "Code Helper", "GPT-3.5 Turbo"}
S0 = {"session-manager-agent", "workflow-agent", "news-agent", "my-agent"}


def test_a_new_workspace_has_the_documents_agents(alice: Actor) -> None:
    agents = Agent.objects.filter(workspace=alice.workspace)
    assert {agent.name for agent in agents} >= S1
    assert {agent.slug for agent in agents} >= S0
    assert all(agent.icon for agent in agents)


@pytest.mark.parametrize("shipped", AGENTS, ids=lambda agent: agent.slug)
def test_a_shipped_agent_is_sound(shipped: object) -> None:
    check_agent({k: v for k, v in fields_of(shipped).items() if k != "slug"})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "shipped", [a for a in AGENTS if a.provider in ("anthropic", "openai", "google")], ids=lambda a: a.slug
)
def test_a_shipped_model_has_a_price(shipped: object) -> None:
    for provider, model in ((shipped.provider, shipped.model), *shipped.fallback):  # type: ignore[attr-defined]
        assert calc_price(TableUsage(input_tokens=1), model, provider_id=provider)


def test_seeding_again_changes_nothing(alice: Actor) -> None:
    Agent.objects.filter(slug="my-agent").update(system_prompt="Ours", model="other")
    Agent.objects.filter(slug="news-agent").update(deleted_at="2026-01-01T00:00Z")
    assert agents_seed(alice.workspace) == 0
    assert Agent.objects.get(slug="my-agent").system_prompt == "Ours"


def test_provider_rows_follow_the_table_until_somebody_edits_them() -> None:
    assert endpoints_seed() > 20
    assert endpoints_seed() == 0
    assert {row.name for row in ProviderEndpoint.objects.all()} == set(all_specs())
    ProviderEndpoint.objects.filter(pk="groq").update(seeded="of an older release", label="Groq (old)")
    edited = ProviderEndpoint.objects.get(pk="mistral")
    edited.base_url = "https://eu.example/v1"
    edited.save()
    endpoints_seed()
    assert ProviderEndpoint.objects.get(pk="mistral").base_url == "https://eu.example/v1"
    assert ProviderEndpoint.objects.get(pk="groq").label == "Groq (old)"
    spec = find_spec("mistral")
    assert spec is not None
    assert spec.base_url == "https://eu.example/v1"


def test_an_unedited_row_is_renewed_when_the_table_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    from agents import providers

    endpoints_seed()
    newer = {
        **providers.table(),
        "groq": replace(providers.table()["groq"], base_url="https://new.example/v1"),
    }
    monkeypatch.setattr(providers, "table", lambda: newer)
    assert endpoints_seed() == 1
    assert ProviderEndpoint.objects.get(pk="groq").base_url == "https://new.example/v1"


def test_a_row_reads_as_the_spec_it_was_made_from() -> None:
    endpoints_seed()
    from agents.providers import table

    assert all_specs() == table()


def test_the_command_fills_everything_and_runs_twice(
    settings: object, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.DEBUG = True  # type: ignore[attr-defined]
    call_command("seed")
    call_command("seed")
    out = capsys.readouterr().out.splitlines()
    assert "demo / demo" in out[0]
    assert out[-1] == "Seeded: 0 provider addresses, 0 news feeds, 0 prices, 0 plans, 0 agents."
    person = User.objects.get(username="demo")
    assert person.check_password("demo")
    assert person.is_superuser
    assert Membership.objects.get(user=person).role == "owner"
    assert Agent.objects.filter(workspace__slug="demo").count() == len(AGENTS)
    assert NewsFeed.objects.count() >= 5
    assert PriceVersion.objects.filter(provider="anthropic", model="claude-sonnet-5-5").exists()
    assert PriceVersion.objects.filter(provider="local", model="*", input=0, origin="hardware").exists()


def test_without_debug_there_is_no_demo_login(settings: object) -> None:
    settings.DEBUG = False  # type: ignore[attr-defined]
    call_command("seed")
    assert not User.objects.exists()
    assert not Workspace.objects.exists()
    assert ProviderEndpoint.objects.exists()


def test_the_toolbox_finds_every_tool_of_every_app() -> None:
    names = {tool.name for tool in toolbox.all()}
    assert names >= {
        "fetch_news",
        "update_profile",
        "analyze_session_metrics",
        "get_token_usage",
        "get_session_activity",
        "search_messages",
        "create_task",
    }
    assert "help" not in {tool.name for tool in toolbox.for_model()}
