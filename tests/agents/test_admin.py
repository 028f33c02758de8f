"""The admin's pages for agents, providers and feeds."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client

from agents.models import Agent, NewsFeed, ProviderEndpoint
from agents.providers import endpoints_seed, find_spec
from workspaces.access import Actor

from .conftest import BACKEND

pytestmark = pytest.mark.django_db


def fields_of(agent: Agent, **changes: Any) -> dict[str, Any]:
    fields = {
        "name": agent.name,
        "icon": agent.icon,
        "description": agent.description,
        "is_active": "on",
        "owner": "",
        "system_prompt": agent.system_prompt,
        "starters": "\n".join(agent.starters),
        "provider": agent.provider,
        "model": agent.model,
        "temperature": "" if agent.temperature is None else agent.temperature,
        "reasoning": agent.reasoning,
        "fallback": "\n".join(f"{one['provider']}/{one['model']}" for one in agent.fallback),
        "kind": agent.kind,
        "max_tokens": agent.max_tokens,
        "max_consecutive_tool_calls": agent.max_consecutive_tool_calls,
        "tool_call_timeout": agent.tool_call_timeout,
        "tools": agent.tools,
        "tool_approval": agent.tool_approval,
        "approval_role": agent.approval_role,
        "approval_quorum": agent.approval_quorum,
        "approval_expiry": agent.approval_expiry,
        "approval_rules": json.dumps(agent.approval_rules),
        "rag_model": agent.rag_model,
        "rag_top_k": agent.rag_top_k,
    }
    return {**fields, **changes}


def page_of(agent: Agent) -> str:
    return f"/admin/agents/agent/{agent.pk}/change/"


def test_the_list_shows_what_is_available_and_when_it_was_used(operator: Client) -> None:
    page = operator.get("/admin/agents/agent/").content.decode()
    assert "🌱 Local Assistant" in page
    assert "ANTHROPIC_API_KEY" in page
    assert "needs a key" in page
    assert "never" in page
    found = operator.get("/admin/agents/agent/?q=news").content.decode()
    assert "NewsAgent" in found
    assert "Code Helper" not in found
    assert operator.get("/admin/agents/agent/?provider=ollama&is_active__exact=1").status_code == 200


def test_an_agent_is_changed_in_one_place(operator: Client) -> None:
    agent = Agent.objects.get(slug="news-agent")
    page = operator.get(page_of(agent)).content.decode()
    for part in (
        "Prompt",
        "Limits",
        'value="fetch_news"',
        "Try it",
        'data-agent="news-agent"',
        "agents/try_it.js",
    ):
        assert part in page, part
    changes = fields_of(
        agent,
        system_prompt="New prompt",
        tools=["fetch_news", "update_profile"],
        tool_approval=["update_profile"],
        fallback="openai/gpt-6-luna\nopenrouter/meta/llama",
        starters="One\n\nTwo",
        temperature="0.5",
    )
    response = operator.post(page_of(agent), changes)
    assert response.status_code == 302, response.content.decode()
    agent.refresh_from_db()
    assert (agent.system_prompt, agent.temperature, agent.starters) == ("New prompt", 0.5, ["One", "Two"])
    assert (agent.tools, agent.tool_approval) == (["fetch_news", "update_profile"], ["update_profile"])
    assert agent.fallback == [
        {"provider": "openai", "model": "gpt-6-luna"},
        {"provider": "openrouter", "model": "meta/llama"},
    ]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"temperature": "3"}, "must be between 0 and 2"),
        ({"tools": ["no_such_tool"]}, "no_such_tool is not one of the available choices"),
        ({"fallback": "nonsense"}, "Write provider/model"),
        ({"fallback": "nope/model"}, "unknown provider"),
        ({"provider": "nope"}, "not one of the available choices"),
        ({"max_tokens": "0"}, "must be between 1 and"),
    ],
)
def test_a_wrong_field_is_refused_where_it_stands(operator: Client, wrong: dict[str, Any], said: str) -> None:
    agent = Agent.objects.get(slug="my-agent")
    response = operator.post(page_of(agent), fields_of(agent, **wrong))
    assert response.status_code == 200
    assert said in response.content.decode()


def test_a_tool_that_is_gone_can_be_unchecked(operator: Client) -> None:
    agent = Agent.objects.get(slug="my-agent")
    agent.tools = ["gone_tool"]
    agent.save()
    assert "gone_tool: not installed any more" in operator.get(page_of(agent)).content.decode()
    assert operator.post(page_of(agent), fields_of(agent, tools=[])).status_code == 302


def test_an_agent_is_added(operator: Client, alice: Actor) -> None:
    assert operator.get("/admin/agents/agent/add/").status_code == 200
    blank = Agent(name="Fresh", provider="scripted", model="demo")
    data = {**fields_of(blank), "workspace": str(alice.workspace_id), "slug": "fresh"}
    response = operator.post("/admin/agents/agent/add/", data)
    assert response.status_code == 302, response.content.decode()
    assert Agent.objects.get(slug="fresh").workspace == alice.workspace


@pytest.mark.parametrize(("action", "active"), [("activate", True), ("deactivate", False)])
def test_agents_are_switched_on_and_off(operator: Client, action: str, active: bool) -> None:
    agent = Agent.objects.get(slug="my-agent")
    operator.post("/admin/agents/agent/", {"action": action, "_selected_action": [str(agent.pk)]})
    agent.refresh_from_db()
    assert agent.is_active is active


def test_agents_are_copied_and_deleted_softly(operator: Client) -> None:
    agent = Agent.objects.get(slug="my-agent")
    operator.post("/admin/agents/agent/", {"action": "duplicate", "_selected_action": [str(agent.pk)]})
    assert Agent.objects.get(slug="myagent-copy").is_active is False
    operator.post(f"/admin/agents/agent/{agent.pk}/delete/", {"post": "yes"})
    agent.refresh_from_db()
    assert agent.deleted_at is not None
    selected = {
        "action": "delete_selected",
        "_selected_action": [str(Agent.objects.get(slug="myagent-copy").pk)],
        "post": "yes",
    }
    operator.post("/admin/agents/agent/", selected)
    assert Agent.objects.get(slug="myagent-copy").deleted_at is not None


def test_an_endpoint_is_edited_and_used(operator: Client) -> None:
    endpoints_seed()
    page = "/admin/agents/providerendpoint/groq/change/"
    assert "GROQ_API_KEY" in operator.get("/admin/agents/providerendpoint/").content.decode()
    data = {
        "label": "Groq EU",
        "wire": "openai-chat",
        "base_url": "https://eu.groq.example/v1",
        "base_url_var": "",
        "key_vars": "GROQ_API_KEY",
        "headers": "X-Region: eu",
        "price_id": "",
        "note": "",
        "is_enabled": "on",
    }
    response = operator.post(page, data)
    assert response.status_code == 302, response.content.decode()
    spec = find_spec("groq")
    assert spec is not None
    assert (spec.base_url, dict(spec.headers)) == ("https://eu.groq.example/v1", {"X-Region": "eu"})
    for wrong in (
        {"base_url": "file:///etc"},
        {"key_vars": "SECRET_KEY"},
        {"key_vars": "DATABASE_URL"},
        {"headers": "oops"},
    ):
        assert operator.post(page, {**data, **wrong}).status_code == 200
    for action, there in (("switch_off", False), ("switch_on", True)):
        operator.post("/admin/agents/providerendpoint/", {"action": action, "_selected_action": ["groq"]})
        assert (find_spec("groq") is not None) is there
    assert endpoints_seed() == 0
    assert ProviderEndpoint.objects.get(pk="groq").label == "Groq EU"


def test_a_feed_must_be_an_address_of_the_web(operator: Client) -> None:
    feed = {"title": "T", "category": "tech", "is_active": "on"}
    assert (
        operator.post("/admin/agents/newsfeed/add/", {**feed, "url": "https://ok.example/rss"}).status_code
        == 302
    )
    assert (
        operator.post("/admin/agents/newsfeed/add/", {**feed, "url": "file:///etc/passwd"}).status_code == 200
    )
    assert NewsFeed.objects.count() == 1
    assert operator.get("/admin/agents/newsfeed/").status_code == 200


def test_staff_see_their_own_workspaces_and_no_endpoints(alice: Actor, charlie: Actor) -> None:
    from django.contrib.auth.models import Permission

    charlie.user.is_staff = True
    charlie.user.save()
    charlie.user.user_permissions.set(Permission.objects.filter(content_type__app_label="agents"))
    client = Client()
    client.force_login(charlie.user, backend=BACKEND)
    theirs, ours = (Agent.objects.get(slug="my-agent", workspace=a.workspace) for a in (charlie, alice))
    assert client.get(page_of(theirs)).status_code == 200
    assert client.get(page_of(ours)).status_code == 302
    assert "Acme" not in client.get("/admin/agents/agent/").content.decode()
    assert "Acme" not in client.get("/admin/agents/agent/add/").content.decode()
    for page in ("providerendpoint", "newsfeed"):
        assert client.get(f"/admin/agents/{page}/").status_code == 403
