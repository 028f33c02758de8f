"""Agents: who may see, change and run them, and what may be written into them."""

from __future__ import annotations

from typing import Any

import pytest

from agents.errors import AgentInvalid
from agents.models import Agent
from agents.selectors import agents_visible, agents_with_availability
from agents.services import access_agent, agent_create, agent_delete, agent_duplicate, agent_update
from nexus_core.errors import AgentNotFound
from workspaces.access import Actor, Forbidden

pytestmark = pytest.mark.django_db

GOOD = {"name": "Helper", "provider": "scripted", "model": "demo"}


def test_an_admin_creates_an_agent(alice: Actor) -> None:
    agent = agent_create(actor=alice, fields={**GOOD, "tools": ["fetch_news"], "max_tokens": 99})
    assert (agent.slug, agent.temperature, agent.max_tokens, agent.tools) == (
        "helper",
        0.7,
        99,
        ["fetch_news"],
    )
    assert agent_create(actor=alice, fields=GOOD).slug == "helper-2"


@pytest.mark.parametrize("who", ["bob", "vera"])
def test_others_may_not(who: str, alice: Actor, request: pytest.FixtureRequest) -> None:
    actor = request.getfixturevalue(who)
    with pytest.raises(Forbidden):
        agent_create(actor=actor, fields=GOOD)
    with pytest.raises(Forbidden):
        agent_update(actor=actor, slug="demo-agent", changes={"name": "Mine"})
    with pytest.raises(Forbidden):
        agent_delete(actor=actor, slug="demo-agent")


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("name", " ", "must not be empty"),
        ("provider", "no-such", "unknown provider"),
        ("model", "", "is required"),
        ("temperature", 2.1, "between 0 and 2"),
        ("temperature", -0.1, "between 0 and 2"),
        ("max_tokens", 0, "between 1 and"),
        ("tool_call_timeout", 99, "between 100 and"),
        ("max_consecutive_tool_calls", 0, "between 1 and"),
        ("rag_top_k", 51, "between 1 and 50"),
        ("reasoning", "enormous", "must be one of off"),
        ("tools", ["fetch_news", "no_such_tool"], "unknown: no_such_tool; there are: "),
        ("tools", ["fetch_news", "fetch_news"], "each tool once"),
        ("tools", ["help"], "unknown: help"),
        ("tool_approval", ["no_such_tool"], "unknown: no_such_tool"),
        ("fallback", [{"provider": "nope", "model": "m"}], "unknown provider"),
        ("fallback", [{"provider": "openai"}], "a provider and a model"),
        ("starters", ["x" * 201], "at most"),
        ("starters", [""], "at most"),
        ("workspace_id", "another", "cannot be set"),
        ("slug", "another", "cannot be set"),
    ],
)
def test_it_says_what_is_wrong_with_a_field(alice: Actor, field: str, value: Any, said: str) -> None:
    with pytest.raises(AgentInvalid) as wrong:
        agent_create(actor=alice, fields={**GOOD, field: value})
    assert said in wrong.value.fields[field]


@pytest.mark.parametrize("slug", ["Not A Slug", "x" * 65, "../etc"])
def test_it_refuses_a_bad_id(alice: Actor, slug: str) -> None:
    with pytest.raises(AgentInvalid):
        agent_create(actor=alice, fields=GOOD, slug=slug)


def test_it_refuses_an_id_that_is_taken(alice: Actor, charlie: Actor) -> None:
    with pytest.raises(AgentInvalid, match="taken"):
        agent_create(actor=alice, fields=GOOD, slug="demo-agent")
    agent_create(actor=charlie, fields=GOOD, slug="only-there")
    assert agent_create(actor=alice, fields=GOOD, slug="only-there").workspace == alice.workspace


def test_a_deleted_agent_is_gone_but_its_row_remains(alice: Actor) -> None:
    agent_delete(actor=alice, slug="demo-agent")
    with pytest.raises(AgentNotFound):
        access_agent(alice, "demo-agent")
    assert Agent.objects.filter(slug="demo-agent", deleted_at__isnull=False).exists()
    assert agent_create(actor=alice, fields=GOOD, slug="demo-agent").pk


def test_one_that_is_switched_off_cannot_be_used(alice: Actor) -> None:
    agent_update(actor=alice, slug="demo-agent", changes={"is_active": False})
    with pytest.raises(AgentNotFound):
        access_agent(alice, "demo-agent")
    assert access_agent(alice, "demo-agent", inactive=True)


def test_a_foreign_agent_is_like_one_that_does_not_exist(alice: Actor, charlie: Actor) -> None:
    agent_create(actor=charlie, fields=GOOD, slug="theirs")
    said = []
    for slug in ("theirs", "nobody"):
        with pytest.raises(AgentNotFound) as refusal:
            access_agent(alice, slug)
        said.append(refusal.value.message.replace(slug, "X"))
    assert said[0] == said[1]
    assert said[0].startswith("Agent not found: X. There are: ")


def test_a_personal_agent_is_its_owners_alone(alice: Actor, bob: Actor) -> None:
    Agent.objects.create(workspace=alice.workspace, slug="bobs", owner=bob.user, **GOOD)
    assert agents_visible(bob).filter(slug="bobs").exists()
    assert not agents_visible(alice).filter(slug="bobs").exists()


def test_a_copy_is_switched_off_and_has_its_own_id(alice: Actor) -> None:
    copy = agent_duplicate(agent=access_agent(alice, "news-agent"))
    assert (copy.slug, copy.is_active, copy.tools) == ("newsagent-copy", False, ["fetch_news"])
    assert agent_duplicate(agent=copy).slug == "newsagent-copy-copy"


def test_the_wire_has_the_protocols_fields(alice: Actor) -> None:
    wire = next(one for one in agents_with_availability(alice) if one["id"] == "demo-agent")
    assert set(wire) >= {
        "id",
        "name",
        "description",
        "icon",
        "provider",
        "model",
        "systemPrompt",
        "temperature",
        "maxTokens",
        "tools",
        "isPremium",
        "isActive",
        "reasoning",
        "toolApproval",
        "fallback",
        "toolCallTimeout",
        "maxConsecutiveToolCalls",
        "ragEnabled",
        "ragModel",
        "ragTopK",
        "starters",
        "isAvailable",
        "unavailableReason",
        "needsKey",
    }
    assert (wire["isAvailable"], wire["unavailableReason"]) == (True, "")
