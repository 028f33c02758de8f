"""An agent whose run waits for people is present as waiting: to those who are here, and to newcomers."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from conversations.models import Conversation
from conversations.services.run_cancel import run_cancel
from realtime.presence import list_presence
from workspaces.database import in_database

from ..realtime.conftest import connect
from .conftest import chunks_of
from .test_approvals import PAY, begin, pay, say, until_waiting

__all__ = ["connect"]

pytestmark = pytest.mark.django_db(transaction=True)


async def test_its_agent_is_present_as_waiting_until_it_goes_on(engine, alice, bob, charlie, plays, connect):
    plays(PAY, "Paid.", tools=[pay])
    watcher, stranger = await connect(bob), await connect(charlie)
    run = await begin(alice)
    waiting = await until_waiting(run)

    async def doing(socket: Any) -> dict[str, Any]:
        """The agent in the next list that has it waiting."""
        while True:
            for user in (await socket.next("presence.changed"))["users"]:
                if user["kind"] == "agent" and user["activity"] == "waiting for approval":
                    found: dict[str, Any] = user
                    return found

    shown = await doing(watcher)
    assert (shown["userId"], shown["conversationId"]) == ("demo-agent", str(run.conversation_id))
    # A newcomer sees it at once, in every way there is to ask.
    newcomer = await connect(alice)
    assert await doing(newcomer) == shown
    assert shown in await in_database(list_presence, alice.workspace_id, alice)
    told = await newcomer.ask({"type": "subscribe", "conversationId": str(run.conversation_id)}, "subscribed")
    assert shown in told["presence"]
    await in_database(
        lambda: Conversation.objects.filter(pk=run.conversation_id).update(visibility="private")
    )
    (hidden,) = [u for u in await in_database(list_presence, bob.workspace_id, bob) if u["kind"] == "agent"]
    assert "conversationId" not in hidden
    assert "demo-agent" not in str(await stranger.settled())
    await say(alice, waiting.pk, "approve")
    await chunks_of(run.pk)
    while any(user["kind"] == "agent" for user in (await watcher.next("presence.changed"))["users"]):
        pass
    async with asyncio.timeout(
        60
    ):  # a list may come between its waiting and its work, and its work ends after its words
        while [u for u in await in_database(list_presence, alice.workspace_id) if u["kind"] == "agent"]:
            await asyncio.sleep(0.01)


async def test_a_stopped_agent_waits_no_more_in_presence(engine, alice, plays, connect):
    plays(PAY, "Paid.", tools=[pay])
    watcher = await connect(alice)
    run = await begin(alice)
    await until_waiting(run)
    while not any(u["kind"] == "agent" for u in (await watcher.next("presence.changed"))["users"]):
        pass
    await in_database(lambda: run_cancel(actor=alice, run_id=run.pk))
    await chunks_of(run.pk)
    while any(u["kind"] == "agent" for u in (await watcher.next("presence.changed"))["users"]):
        pass
