"""The demo provider: its rules pick real tools and its answers come from real results."""

from __future__ import annotations

from typing import Literal

import pytest

from nexus_core import AgentRequest, ModelAgent, Route, tool
from nexus_core.chunks import ToolCallChunk
from nexus_core.providers.scripted import ScriptedProvider, pieces

from .helpers import reasoning_of, terminal_of, text_of

Range = Literal["today", "week", "month", "all"]


@tool(idempotent=True)
async def analyze_session_metrics(time_range: Range) -> dict[str, object]:
    """Session metrics of a time range."""
    return {"timeRange": time_range, "totalSessions": 1234, "averageLength": 2.5, "active": True}


@tool(idempotent=True)
async def get_token_usage(time_range: Range = "week") -> dict[str, object]:
    """Tokens and cost."""
    return {"total": 10, "byModel": [{"model": "a|b", "tokens": 10}, {"model": "c", "tokens": None}]}


@tool(idempotent=True)
async def get_session_activity(time_range: Range = "week") -> list[object]:
    """What happened."""
    return []


@tool(idempotent=True)
async def search_messages(query: str) -> list[dict[str, str]]:
    """Finds messages."""
    return [{"snippet": f"about {query}"}]


@tool
async def create_task(title: str) -> dict[str, str]:
    """Makes a task."""
    return {"title": title}


@tool
async def update_profile(name: str) -> dict[str, str]:
    """Sets your name."""
    return {"name": name}


@tool(idempotent=True)
async def fetch_news(category: Literal["tech", "business", "sports"]) -> list[str]:
    """Reads feeds."""
    return ["Headline"]


@tool
async def order_pizza(kind: str, count: int = 1) -> str:
    """Orders pizza. Hot."""
    return f"{count} {kind}"


ALL = [
    analyze_session_metrics, get_token_usage, get_session_activity, search_messages, create_task, update_profile,
    fetch_news, order_pizza,
]  # fmt: skip


def demo(tools=ALL, **kw) -> tuple[ModelAgent, ScriptedProvider]:
    provider = ScriptedProvider()
    return ModelAgent(id="demo", routes=[Route(provider, "rules")], tools=tools, **kw), provider


@pytest.mark.parametrize(
    ("said", "calls"),
    [
        ("Show me the metrics for the week", [("analyze_session_metrics", {"timeRange": "week"})]),
        ("session metrics today?", [("analyze_session_metrics", {"timeRange": "today"})]),
        ("What is my token usage this month", [("get_token_usage", {"timeRange": "month"})]),
        ("session activity of all time", [("get_session_activity", {"timeRange": "all"})]),
        ("Search for the release notes", [("search_messages", {"query": "release notes"})]),
        ("find messages about pizza", [("search_messages", {"query": "about pizza"})]),
        ("Create a task to water the plants.", [("create_task", {"title": "water the plants"})]),
        ("remind me to call Bob!", [("create_task", {"title": "call Bob"})]),
        ("call me Ada Lovelace please", [("update_profile", {"name": "Ada Lovelace"})]),
        ("my name is Bob", [("update_profile", {"name": "Bob"})]),
        ("any sports news?", [("fetch_news", {"category": "sports"})]),
        (
            "metrics and token usage for the week",
            [("analyze_session_metrics", {"timeRange": "week"}), ("get_token_usage", {"timeRange": "week"})],
        ),
        ("use order_pizza kind=Margherita count=2", [("order_pizza", {"kind": "Margherita", "count": 2})]),
        ("use order_pizza Margherita", [("order_pizza", {"kind": "Margherita"})]),
        ("hello", []),
    ],
)
async def test_it_picks_tools_by_rules(said, calls):
    agent, _ = demo()
    chunks = (await agent.execute(AgentRequest("demo", said))).chunks
    ran = [(c.tool_name, c.input) for c in chunks if isinstance(c, ToolCallChunk) and c.status == "RUNNING"]
    assert ran == calls
    assert all(c.status != "FAILED" for c in chunks if isinstance(c, ToolCallChunk))
    assert terminal_of(chunks).status == "complete"
    assert reasoning_of(chunks)


async def test_it_writes_the_answer_from_the_real_result():
    agent, _ = demo()
    text = (await agent.execute(AgentRequest("demo", "metrics and token usage for the week"))).text
    assert "| Total sessions | 1,234 |" in text
    assert "| Average length | 2.5 |" in text
    assert "| Active | yes |" in text
    assert "| a\\|b | 10 |" in text
    assert "| c | – |" in text


async def test_it_writes_for_people_what_a_result_has_for_programs():
    @tool(idempotent=True)
    async def list_visits() -> dict[str, object]:
        """Visits."""
        visit = {
            "id": "9f63743b-62ca-442a-a9e0-66921d024610",
            "at": "2026-11-21T07:10:03.350Z",
            "page": "Home",
        }
        return {"owner": None, "count": 1, "visits": [visit], "odd": "2026-19-21T07:10:03Z"}

    agent, _ = demo(tools=[list_visits])
    text = (await agent.execute(AgentRequest("demo", "use list_visits"))).text
    assert "| At | Page |" in text
    assert "| 21 Nov 2026, 07:10 | Home |" in text
    assert "| Odd | 2026-19-21T07:10:03Z |" in text
    assert "Owner" not in text


async def test_it_says_what_failed_and_what_was_not_found():
    agent, _ = demo()
    assert "Nothing was found." in (await agent.execute(AgentRequest("demo", "session activity"))).text
    failed = (await agent.execute(AgentRequest("demo", "use order_pizza count=2"))).text
    assert "That did not work" in failed
    assert "missing kind" in failed


async def test_it_says_what_it_is_and_what_it_can_do():
    agent, _ = demo()
    text = (await agent.execute(AgentRequest("demo", "hello"))).text
    assert "no AI" in text
    assert "`order_pizza`: Orders pizza." in text
    assert "Show the session metrics" in text
    bare, _ = demo(tools=[])
    assert "no tools" in (await bare.execute(AgentRequest("demo", "metrics"))).text


async def test_it_is_deterministic_and_counts_what_it_streams():
    agent, _ = demo()
    one = (await agent.execute(AgentRequest("demo", "hello"))).chunks
    two = (await agent.execute(AgentRequest("demo", "hello"))).chunks
    assert text_of(one) == text_of(two)
    assert reasoning_of(one) == reasoning_of(two)
    usage = terminal_of(one).fields["tokenUsage"]
    assert usage == terminal_of(two).fields["tokenUsage"]
    assert usage["output"] == len(pieces(text_of(one)))
    assert usage["reasoning"] == len(pieces(reasoning_of(one)))
    assert "estimated" not in terminal_of(one).fields


async def test_it_stops_at_max_tokens():
    agent, _ = demo(max_tokens=20)
    done = terminal_of((await agent.execute(AgentRequest("demo", "hello"))).chunks)
    assert done.fields["stopReason"] == "length"
    assert done.fields["tokenUsage"]["output"] + done.fields["tokenUsage"]["reasoning"] == 20
