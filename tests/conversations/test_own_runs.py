"""Who begins a run over a socket hears all of it, however fast it ends, once, and behind the answer."""

from __future__ import annotations

from typing import Any

import pytest

from conversations import frames
from conversations.database import in_database
from conversations.services.conversations import conversation_create
from conversations.services.run_start import Started, run_start
from nexus_core.errors import ProviderUnavailable
from nexus_core.providers.base import Stop, TextDelta
from realtime import lookout
from realtime.hub import Hub
from tests.realtime.conftest import connect  # noqa: F401  (a fixture)

from .conftest import chunks_of, text_of

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def slow_to_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every run is over before the socket hears that it was begun."""
    real = frames.in_database

    async def late(*args: Any, **how: Any) -> Any:
        result = await real(*args, **how)
        if isinstance(result, Started):
            await chunks_of(result.run.pk)
        return result

    monkeypatch.setattr(frames, "in_database", late)


ASK = {"clientId": "c-1", "agentId": "demo-agent"}


@pytest.mark.parametrize(
    "wish", ["a new conversation", "one that is there", "regenerate", "resume", "continue"]
)
@pytest.mark.usefixtures("engine", "slow_to_answer")
async def test_it_misses_nothing_of_a_run_that_ends_at_once(alice, plays, connect, wish):  # noqa: F811
    first = {
        "resume": [TextDelta("Half"), ProviderUnavailable("gone")],
        "continue": [TextDelta("Half"), Stop("length", (), None)],
    }.get(wish, "First.")
    plays(first, "All of it.")

    async def asked() -> Started:
        started = await in_database(run_start, actor=alice, agent_id="demo-agent", input_="Hello")
        await chunks_of(started.run.pk)
        return started

    if wish == "a new conversation":
        await asked()
        frame = {"type": "run.start", "input": "Hello", **ASK}
    elif wish == "one that is there":
        await asked()
        made = await in_database(conversation_create, actor=alice, title="x")
        frame = {"type": "run.start", "input": "Hello", "conversationId": str(made.pk), **ASK}
    else:
        earlier = (await asked()).run
        frame = {
            "regenerate": {"type": "run.start", "regenerateMessageId": str(earlier.answer_id), **ASK},
            "resume": {"type": "run.resume", "runId": str(earlier.pk), "clientId": "c-1"},
            "continue": {"type": "run.continue", "messageId": str(earlier.answer_id), "clientId": "c-1"},
        }[wish]
    socket = await connect(alice)
    accepted = await socket.ask(frame, "run.accepted")
    assert accepted["clientId"] == "c-1"
    await socket.next("run.finished", runId=accepted["runId"])
    mine = [f for f in socket.seen if f.get("runId") == accepted["runId"]]
    assert [f["type"] for f in mine if f["type"] in ("run.accepted", "run.finished")] == [
        "run.accepted",
        "run.finished",
    ]
    assert mine[0] == accepted
    whole = await chunks_of(accepted["runId"])
    assert [(f["seq"], f["chunk"]) for f in mine if f["type"] == "chunk"] == whole
    assert text_of(whole) == "All of it."


@pytest.mark.parametrize("subscribed", [False, True])
@pytest.mark.usefixtures("engine")
async def test_it_finds_in_the_log_what_it_was_not_told(alice, plays, connect, monkeypatch, subscribed):  # noqa: F811
    """Every hint of a short run is lost, and at the first look it has ended."""
    plays("All of it.")
    made = await in_database(conversation_create, actor=alice, title="x")
    socket = await connect(alice)
    if subscribed:
        await socket.ask({"type": "subscribe", "conversationId": str(made.pk)}, "subscribed")
    with monkeypatch.context() as lost:
        lost.setattr(lookout, "EVERY_SECONDS", 1000.0)
        await lookout.close_lookout()
        lost.setattr(Hub, "deliver", lambda *_: None)
        frame = {"type": "run.start", "input": "Hello", "conversationId": str(made.pk), **ASK}
        accepted = await socket.ask(frame, "run.accepted")
        whole = await chunks_of(accepted["runId"])
        await lookout.close_lookout()
    monkeypatch.setattr(lookout, "EVERY_SECONDS", 0.05)
    lookout.lookout().needed()
    assert [(c["seq"], c["chunk"]) for c in [await socket.next("chunk") for _ in whole]] == whole


@pytest.mark.usefixtures("engine")
async def test_who_only_looks_on_finds_it_too(alice, bob, plays, connect, monkeypatch):  # noqa: F811
    """A short run of somebody else began and ended between two looks, and every hint of it was lost. Who comes after
    that has read it."""
    plays("All of it.")
    made = await in_database(conversation_create, actor=alice, title="x", visibility="workspace")
    watches, later = await connect(bob), await connect(bob)
    subscribe = {"type": "subscribe", "conversationId": str(made.pk)}
    monkeypatch.setattr(lookout, "EVERY_SECONDS", 1000.0)
    await lookout.close_lookout()
    await watches.ask(subscribe, "subscribed")
    look = lookout.lookout().look
    await look()
    with monkeypatch.context() as lost:
        lost.setattr(Hub, "deliver", lambda *_: None)
        started = await in_database(
            run_start, actor=alice, agent_id="demo-agent", input_="Hi", conversation_id=made.pk
        )
        whole = await chunks_of(started.run.pk)
    await later.ask(subscribe, "subscribed")
    await look()  # behind once
    await look()
    assert [(c["seq"], c["chunk"]) for c in [await watches.next("chunk") for _ in whole]] == whole
    await look()
    await look()
    assert not [frame for frame in await later.settled() if frame["type"] == "chunk"]


@pytest.mark.usefixtures("engine")
async def test_sent_again_over_another_socket_it_is_seen_from_its_beginning(alice, plays, connect):  # noqa: F811
    """As after a lost answer: the conversation that the run is in is one the second socket has not heard of."""
    plays("All of it.")
    lost, again = await connect(alice), await connect(alice)
    frame = {"type": "run.start", "input": "Hello", **ASK}
    first = await lost.ask(frame, "run.accepted")
    whole = await chunks_of(first["runId"])
    repeated = await again.ask(frame, "run.accepted")
    assert repeated["runId"] == first["runId"] and repeated["status"] == "complete"
    assert (await again.next("message.created"))["message"]["id"] == first["messageId"]
    assert [(c["seq"], c["chunk"]) for c in [await again.next("chunk") for _ in whole]] == whole
