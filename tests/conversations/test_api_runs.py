"""Runs over HTTP: how they stand, chunks, streams from any place, stop, resume."""

from __future__ import annotations

import asyncio
from uuid import UUID

import pytest
from django.db import OperationalError

from conversations import follow
from conversations.api import sse
from conversations.database import in_database
from conversations.models import Message, Run
from nexus_core.errors import ProviderUnavailable
from nexus_core.messages import TextPart, ToolCallPart
from nexus_core.providers.base import Stop, TextDelta
from nexus_core.tools import tool
from nexus_core.usage import Usage
from workspaces.models import Membership

from .api_client import Person, absent, error_of, events_of
from .conftest import chunks_of, last_status, stored, text_of

pytestmark = pytest.mark.django_db(transaction=True)


async def test_it_shows_a_run_with_its_attempts(engine, alice, plays):
    usage = Usage(input=11, output=7, cache_read=3, reasoning=2)
    plays([TextDelta("ok"), Stop("end", (TextPart("ok"),), usage)])
    person = await Person(alice).log_in()
    done = await person.ask("go")
    run = (await person.get(f"/api/runs/{done['runId']}")).json()
    assert (run["status"], run["agentId"], run["conversationId"]) == (
        "complete",
        "demo-agent",
        done["conversationId"],
    )
    assert run["tokenUsage"] == usage.to_wire() == run["attempts"][0]["tokenUsage"]
    assert len(run["attempts"]) == 1 and run["attempts"][0]["error"] is None


async def test_it_pages_through_the_chunks(engine, alice, plays):
    plays("one two three four")
    person = await Person(alice).log_in()
    done = await person.ask("go")
    log = await stored(done["runId"])
    address = f"/api/runs/{done['runId']}/chunks"
    seen, cursor = [], ""
    while cursor is not None:
        page = (await person.get(f"{address}?limit=1&cursor={cursor}")).json()
        seen += [(item["seq"], item["chunk"]) for item in page["items"]]
        cursor = page["nextCursor"]
    assert seen == log
    after = (await person.get(f"{address}?after={len(log)}")).json()
    assert after == {"items": [], "nextCursor": None}
    assert error_of(await person.get(f"{address}?cursor=nonsense")) == (422, "invalid_cursor")
    assert error_of(await person.get(f"{address}?limit=0"))[0] == 422


async def test_it_streams_the_same_from_every_seq(engine, alice, plays):
    plays("one two three")
    person = await Person(alice).log_in()
    done = await person.ask("go")
    log = await stored(done["runId"])
    address = f"/api/runs/{done['runId']}/stream"
    for after in range(len(log) + 1):
        assert await events_of(await person.get(f"{address}?after={after}")) == log[after:]
        assert await events_of(await person.get(address, Last_Event_ID=str(after))) == log[after:]
    assert await events_of(await person.get(f"{address}?after=1", Last_Event_ID="2")) == log[2:]


async def test_it_sends_a_ping_into_a_silent_stream(engine, alice, plays, monkeypatch):
    monkeypatch.setattr(sse, "PING_SECONDS", 0.05)
    monkeypatch.setattr(sse, "RIGHTS_SECONDS", 0.02)
    pinged = asyncio.Event()
    plays([TextDelta("a"), pinged, TextDelta("b"), Stop("end", (TextPart("ab"),), None)])
    person = await Person(alice).log_in()
    response = await person.post("/api/agents/stream", {"agentId": "demo-agent", "input": "go"})
    raw = b""
    async for part in response.streaming_content:
        raw += part
        if b'"a"' in raw and part == b": ping\n\n":
            pinged.set()  # only that lets it go on
    assert b"\n\n: ping\n\n" in raw and b'"b"' in raw


async def test_it_goes_on_where_it_was_when_the_database_was_away(engine, alice, plays, monkeypatch):
    monkeypatch.setattr(sse, "RIGHTS_SECONDS", 0.02)
    for module in (sse, follow):
        monkeypatch.setattr(module, "FAULT_SECONDS", 0.02)
    away, asked = asyncio.Event(), []

    def while_it_is_there(read):
        def reads(*args):
            if away.is_set():
                asked.append(read.__name__)
                raise OperationalError("the database is away")
            return read(*args)

        return reads

    monkeypatch.setattr(follow, "read_rows", while_it_is_there(follow.read_rows))
    monkeypatch.setattr(sse, "_may_read", while_it_is_there(sse._may_read))
    back = asyncio.Event()
    plays([TextDelta("a"), back, TextDelta("b"), Stop("end", (TextPart("ab"),), None)])
    person = await Person(alice).log_in()
    run = (
        await person.post("/api/invoke", {"agentId": "demo-agent", "message": "go", "background": True})
    ).json()
    response = await person.get(f"/api/runs/{run['runId']}/stream")

    async def outage():
        away.set()
        while not {"read_rows", "_may_read"} <= set(asked):
            await asyncio.sleep(0.01)
        away.clear()
        back.set()

    _, seen = await asyncio.gather(outage(), events_of(response))
    assert seen == await stored(run["runId"])


@pytest.mark.parametrize("lost", ["membership", "session", "conversation"])
async def test_it_ends_a_stream_whose_reader_lost_the_right(engine, alice, bob, plays, monkeypatch, lost):
    monkeypatch.setattr(sse, "RIGHTS_SECONDS", 0.05)
    plays([TextDelta("secret "), 100.0, TextDelta("more"), Stop("end", (), None)])
    mine, his = await Person(alice).log_in(), await Person(bob).log_in()
    run = (
        await mine.post("/api/invoke", {"agentId": "demo-agent", "message": "go", "background": True})
    ).json()
    response = await his.get(f"/api/runs/{run['runId']}/stream")
    stream = aiter(response.streaming_content)
    while b"secret" not in await anext(stream):
        pass
    if lost == "membership":
        await in_database(Membership.objects.filter(user=bob.user).delete)
    elif lost == "session":
        await his.client.alogout()
    else:
        await mine.patch(f"/api/conversations/{run['conversationId']}", {"visibility": "private"})
    async with asyncio.timeout(40):
        assert [part async for part in stream] == []
    await mine.post(f"/api/runs/{run['runId']}/cancel")
    assert last_status(await chunks_of(run["runId"])) == "cancelled"


async def test_it_stops_a_run_and_keeps_the_partial(engine, alice, vera, charlie, plays):
    plays([TextDelta("Partial "), 60.0, Stop("end", (), None)])
    person = await Person(alice).log_in()
    run = (
        await person.post("/api/invoke", {"agentId": "demo-agent", "message": "go", "background": True})
    ).json()
    address = f"/api/runs/{run['runId']}/cancel"
    while not text_of(await stored(run["runId"])):
        await asyncio.sleep(0.01)
    assert error_of(await (await Person(vera).log_in()).post(address)) == (403, "forbidden")
    foreign = await (await Person(charlie).log_in()).post(address)
    nowhere = await (await Person(charlie).log_in()).post(f"/api/runs/{absent()}/cancel")
    assert error_of(foreign) == error_of(nowhere) == (404, "not_found")
    assert (await person.post(address)).json()["runId"] == run["runId"]
    chunks = await chunks_of(run["runId"])
    assert last_status(chunks) == "cancelled" and text_of(chunks) == "Partial "
    again = await person.post(address)
    assert (again.status_code, again.json()["status"]) == (200, "cancelled")


@tool
async def count(word: str) -> int:
    """Counts the letters of a word."""
    counted.append(word)
    return len(word)


counted: list[str] = []


async def test_it_resumes_from_the_last_completed_step_as_a_new_run(engine, alice, plays):
    counted.clear()
    call = Stop("tool_calls", (ToolCallPart("c1", "count", {"word": "nexus"}),), Usage(input=5, output=5))
    provider = plays(
        [TextDelta("Let me count. "), call],
        [TextDelta("It "), ProviderUnavailable("gone")],
        "It is 5.",
        tools=[count],
    )
    person = await Person(alice).log_in()
    failed = await person.ask("how long is nexus?")
    assert failed["status"] == "failed"
    response = await person.post(f"/api/runs/{failed['runId']}/resume", Idempotency_Key="again-1")
    assert response.status_code == 202
    resumed = response.json()
    assert resumed["resumedFrom"] == failed["runId"] != resumed["runId"]
    assert resumed["messageId"] == failed["messageId"] or resumed["messageId"]
    chunks = await chunks_of(resumed["runId"])
    assert chunks[0][0] == 1 and chunks[0][1]["data"]["resumedFrom"] == failed["runId"]
    assert last_status(chunks) == "complete" and text_of(chunks).endswith("It is 5.")
    assert counted == ["nexus"], "the tool ran once"
    assert [part.content for part in provider.requests[2].messages[-1].parts] == ["5"]
    old = await in_database(Run.objects.get, pk=failed["runId"])
    assert (old.status, old.superseded) == ("failed", False)
    assert (await in_database(Message.objects.get, pk=old.answer_id)).superseded
    assert not (await in_database(Message.objects.get, pk=resumed["answerId"])).superseded
    twice = await person.post(f"/api/runs/{failed['runId']}/resume", Idempotency_Key="again-1")
    assert twice.json()["runId"] == resumed["runId"]
    assert error_of(await person.post(f"/api/runs/{failed['runId']}/resume")) == (409, "not_resumable")
    assert error_of(await person.post(f"/api/runs/{resumed['runId']}/resume")) == (409, "not_resumable")


async def test_it_resumes_once_when_asked_several_times_at_once(engine, alice, plays):
    plays([TextDelta("It "), ProviderUnavailable("gone")], "Done.", "Done twice.")
    person = await Person(alice).log_in()
    failed = await person.ask("go")
    answers = await asyncio.gather(*[person.post(f"/api/runs/{failed['runId']}/resume") for _ in range(5)])
    assert sorted(a.status_code for a in answers) == [202, 409, 409, 409, 409]
    assert await in_database(Run.objects.filter(resumed_from=failed["runId"]).count) == 1


async def test_it_refuses_to_show_or_resume_what_is_not_yours(engine, alice, charlie, vera, plays):
    plays([TextDelta("x"), ProviderUnavailable("gone")])
    failed = await (await Person(alice).log_in()).ask("go")
    stranger, viewer = await Person(charlie).log_in(), await Person(vera).log_in()
    for path in ("", "/chunks", "/stream"):
        foreign = await stranger.get(f"/api/runs/{failed['runId']}{path}")
        nowhere = await stranger.get(f"/api/runs/{absent()}{path}")
        odd = await stranger.get(f"/api/runs/not-an-id{path}")
        assert error_of(foreign) == error_of(nowhere) == error_of(odd) == (404, "not_found")
        assert (await viewer.get(f"/api/runs/{failed['runId']}{path}")).status_code == 200
    assert error_of(await stranger.post(f"/api/runs/{failed['runId']}/resume", b"{broken")) == (
        404,
        "not_found",
    )
    assert error_of(await viewer.post(f"/api/runs/{failed['runId']}/resume")) == (403, "forbidden")


async def test_it_resumes_what_was_resumed_before_without_losing_a_step(engine, alice, plays):
    counted.clear()
    call = Stop("tool_calls", (ToolCallPart("c1", "count", {"word": "nexus"}),), Usage(input=5, output=5))
    provider = plays(
        [TextDelta("Let me count. "), call],
        ProviderUnavailable("gone"),
        ProviderUnavailable("gone"),
        ProviderUnavailable("gone"),
        [TextDelta("It "), ProviderUnavailable("still gone")],
        "It is 5.",
        tools=[count],
    )
    person = await Person(alice).log_in()
    run = await person.ask("how long is nexus?")
    for _ in range(2):
        assert run["status"] == "failed"
        resumed = (await person.post(f"/api/runs/{run['runId']}/resume")).json()
        await chunks_of(resumed["runId"])
        run = (await person.get(f"/api/runs/{resumed['runId']}")).json()
    assert run["status"] == "complete"
    assert counted == ["nexus"], "the tool ran once"
    assert [part.content for part in provider.requests[-1].messages[-1].parts] == ["5"]


async def test_it_takes_up_a_resumed_run_with_all_that_it_goes_back_to(engine, alice, plays):
    counted.clear()
    call = Stop("tool_calls", (ToolCallPart("c1", "count", {"word": "nexus"}),), Usage(input=5, output=5))
    provider = plays(
        [TextDelta("Let me count. "), call],
        [TextDelta("It "), ProviderUnavailable("gone")],
        [TextDelta("lost words"), 60.0, Stop("end", (), None)],
        "It is 5.",
        tools=[count],
    )
    person = await Person(alice).log_in()
    failed = await person.ask("how long is nexus?")
    resumed = (await person.post(f"/api/runs/{failed['runId']}/resume")).json()
    while "lost words" not in text_of(await stored(resumed["runId"])):
        await asyncio.sleep(0.01)
    # As kill -9 leaves it: the task is gone, the lease runs out, nothing else was written.
    task = engine.runner._tasks[UUID(resumed["runId"])]
    engine.runner._give_up_lease = lambda *args: asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task})
    await in_database(Run.objects.filter(pk=resumed["runId"]).update, heartbeat_at=None)
    chunks = await chunks_of(resumed["runId"])
    assert [seq for seq, _ in chunks] == list(range(1, len(chunks) + 1)) and last_status(chunks) == "complete"
    answer = await in_database(Message.objects.get, pk=resumed["answerId"])
    assert answer.content == "Let me count. It is 5." and counted == ["nexus"]
    assert [part.content for part in provider.requests[-1].messages[-1].parts] == ["5"]
