"""Progress over HTTP: of a run, of a conversation's agents side by side, now and in its history."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.models import Agent
from conversations.database import in_database
from conversations.models import Run
from conversations.progress import estimated_completion, overall
from conversations.services.packing import logs_pack
from conversations.services.run_cancel import run_cancel
from nexus_core.context import ExecutionContext
from nexus_core.errors import ProviderUnavailable
from nexus_core.messages import TextPart, ToolCallPart
from nexus_core.providers.base import Stop, TextDelta
from nexus_core.tools import tool
from nexus_core.usage import Usage

from .api_client import Person, absent, error_of
from .conftest import chunks_of, stored

pytestmark = pytest.mark.django_db(transaction=True)


def calls(name: str) -> Stop:
    return Stop("tool_calls", (ToolCallPart("c1", name, {}),), Usage(input=90, output=10))


async def begin(person: Person, text: str = "go", **more: object) -> dict:
    body = {"agentId": "demo-agent", "message": text, "background": True, **more}
    response = await person.post("/api/invoke", body)
    assert response.status_code == 202, response.content
    return response.json()


async def test_it_tells_how_far_a_run_and_its_tools_are_while_they_work(engine, alice, plays):
    gate = asyncio.Event()

    @tool(timeout=30)
    async def build(context: ExecutionContext) -> str:
        """Builds."""
        context.progress(current_step=3, total_steps=4, remaining_seconds=2, message="painting")
        await gate.wait()
        return "built"

    plays([calls("build")], "Done.", tools=[build])
    person = await Person(alice).log_in()
    run = await begin(person)
    address = f"/api/runs/{run['runId']}/progress"
    while (
        not (now := (await person.get(address)).json()).get("tools") or now["tools"][0]["percentage"] is None
    ):
        await asyncio.sleep(0.01)
    assert (now["status"], now["agentId"], now["percentage"], now["totalSteps"]) == (
        "running",
        "demo-agent",
        None,
        None,
    )
    assert (now["currentStep"], now["tokensUsed"], now["cost"]) == (1, 100, "0")
    (working,) = now["tools"]
    assert working["toolName"] == "build" and working["message"] == "painting"
    assert (working["percentage"], working["currentStep"], working["estimatedTimeRemaining"]) == (
        75.0,
        3,
        2.0,
    )
    assert "history" not in now
    gate.set()
    await chunks_of(UUID(run["runId"]))
    done = (await person.get(f"{address}?history=true")).json()
    assert (done["status"], done["percentage"], done["estimatedTimeRemaining"]) == ("complete", 100.0, 0)
    assert "tools" not in done and done["tokensUsed"] > 100
    told = [(point["status"], point["percentage"]) for point in done["history"]]
    assert told == [("started", None), ("progress", None), ("progress", 75.0), ("complete", 100.0)]
    assert done["history"][2]["toolId"] == working["toolId"]
    assert [p["seq"] for p in done["history"]] == sorted(p["seq"] for p in done["history"])
    assert done["lastUpdated"] == done["history"][-1]["at"]


async def test_it_tells_the_same_history_from_a_packed_log(engine, alice, plays):
    plays([calls("none")], "Done.")
    person = await Person(alice).log_in()
    run = await begin(person)
    await chunks_of(UUID(run["runId"]))
    ask = [
        f"/api/runs/{run['runId']}/progress?history=1",
        f"/api/conversations/{run['conversationId']}/progress?history=1",
    ]
    before = [(await person.get(address)).json() for address in ask]
    assert (await in_database(logs_pack, settle=-timedelta(minutes=1))).runs == 1
    assert [(await person.get(address)).json() for address in ask] == before


async def test_it_claims_no_more_of_a_run_that_failed_or_was_stopped(engine, alice, plays):
    plays([TextDelta("Half"), ProviderUnavailable("gone")], [TextDelta("Half"), 60.0, Stop("end", (), None)])
    person = await Person(alice).log_in()
    failed = await person.ask("go")
    now = (await person.get(f"/api/runs/{failed['runId']}/progress")).json()
    assert (now["status"], now["percentage"], now["estimatedTimeRemaining"]) == ("failed", None, None)
    run = await begin(person, "again")
    while len(await stored(run["runId"])) < 2:
        await asyncio.sleep(0.01)
    await in_database(run_cancel, actor=alice, run_id=run["runId"])
    await chunks_of(UUID(run["runId"]))
    now = (await person.get(f"/api/runs/{run['runId']}/progress?history=1")).json()
    assert (now["status"], now["percentage"], now["history"][-1]["status"]) == (
        "cancelled",
        None,
        "cancelled",
    )


async def test_it_shows_a_conversations_agents_side_by_side(engine, alice, plays):
    await in_database(
        lambda: Agent.objects.filter(slug="demo-agent").update_or_create(
            workspace_id=alice.workspace_id,
            slug="second",
            defaults={"name": "Second", "provider": "scripted", "model": "scripted-1"},
        )
    )
    plays(
        [TextDelta("First."), Stop("end", (TextPart("First."),), Usage(input=7, output=3))],
        [TextDelta("Second"), 60.0, Stop("end", (), None)],
    )
    person = await Person(alice).log_in()
    first = await begin(person)
    await chunks_of(UUID(first["runId"]))
    second = await begin(person, "you too", agentId="second", conversationId=first["conversationId"])
    while len(await stored(second["runId"])) < 2:
        await asyncio.sleep(0.01)
    address = f"/api/conversations/{first['conversationId']}/progress"
    now = (await person.get(f"{address}?history=1")).json()
    assert [(a["agentId"], a["status"], a["percentage"]) for a in now["agents"]] == [
        ("demo-agent", "complete", 100.0),
        ("second", "running", None),
    ]
    assert (now["status"], now["overall"], now["estimatedCompletion"]) == ("running", 50.0, None)
    assert (now["tokensUsed"], now["cost"]) == (10, "0")
    assert [p["overall"] for p in now["history"]] == [None, 100.0, 50.0]
    assert {p["agentId"] for p in now["history"]} == {"demo-agent", "second"}
    await in_database(run_cancel, actor=alice, run_id=second["runId"])
    await chunks_of(UUID(second["runId"]))
    later = (await person.get(address)).json()
    assert (later["status"], later["overall"]) == ("idle", 50.0) and later["tokensUsed"] >= 10


async def test_it_says_nothing_of_an_empty_conversation(alice):
    person = await Person(alice).log_in()
    made = (await person.post("/api/conversations", {"title": "Empty"})).json()
    now = (await person.get(f"/api/conversations/{made['id']}/progress?history=1")).json()
    assert (now["overall"], now["agents"], now["estimatedCompletion"], now["history"]) == (None, [], None, [])
    assert (now["status"], now["tokensUsed"], now["cost"]) == ("idle", 0, "0")


async def test_it_tells_strangers_nothing_and_viewers_all(engine, alice, vera, charlie, plays):
    plays("Done.")
    done = await (await Person(alice).log_in()).ask("go")
    stranger, viewer = await Person(charlie).log_in(), await Person(vera).log_in()
    for address in (
        f"/api/runs/{done['runId']}/progress",
        f"/api/conversations/{done['conversationId']}/progress",
    ):
        assert (await viewer.get(address)).status_code == 200
        foreign = await stranger.get(address)
        nowhere = await stranger.get(
            address.replace(done["runId"], str(absent())).replace(done["conversationId"], str(absent()))
        )
        assert error_of(foreign) == error_of(nowhere) == (404, "not_found")


async def test_it_says_zero_of_a_run_that_waits_for_its_turn(engine, alice, plays):
    plays("Done.")
    person = await Person(alice).log_in()
    done = await person.ask("go")
    await in_database(
        Run.objects.filter(pk=done["runId"]).update,
        status="queued",
        created_at=datetime(2099, 1, 1, tzinfo=UTC),
    )
    now = (await person.get(f"/api/runs/{done['runId']}/progress")).json()
    assert (now["status"], now["percentage"]) == ("queued", 0.0)
    await in_database(Run.objects.filter(pk=done["runId"]).update, status="complete")


@given(st.dictionaries(st.text(), st.none() | st.floats(0, 100)))
def test_it_never_divides_by_zero_and_never_promises_too_much(percentages):
    mean = overall(percentages)
    known = [p for p in percentages.values() if p is not None]
    assert (mean is None) == (not known)
    assert mean is None or 0 <= mean <= max(known) + 0.05


def test_it_says_when_all_will_be_done_only_if_all_know():
    now = datetime(2026, 11, 21, tzinfo=UTC)

    def agent(status: str, left: float | None) -> dict:
        return {"status": status, "estimatedTimeRemaining": left}

    assert estimated_completion([], now) is None
    assert estimated_completion([agent("complete", 0)], now) is None
    assert (
        estimated_completion([agent("running", 1.0), agent("running", 5.0)], now)
        == "2026-11-21T00:00:05.000Z"
    )
    assert estimated_completion([agent("running", 1.0), agent("running", None)], now) is None
    assert estimated_completion([agent("running", 10**18)], now) is None
