"""A draft that several people write together: one text at one version for all, and nothing of it for others."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from conversations.drafts import Splice
from conversations.models import Conversation, ConversationShare, Draft
from conversations.services import drafting
from conversations.services.drafting import DraftMoved, draft_edit, draft_open, spliced
from conversations.services.input import BadInput
from workspaces.access import Actor
from workspaces.database import THREADS, in_database

from .conftest import Connect, Socket

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
async def talk(alice: Actor) -> Conversation:
    return await in_database(Conversation.objects.create, workspace=alice.workspace, created_by=alice.user)


async def watching(connect: Connect, actor: Actor, talk: Conversation) -> Socket:
    socket = await connect(actor)
    await socket.ask({"type": "subscribe", "conversationId": str(talk.pk)}, "subscribed")
    return socket


async def begun(socket: Socket, talk: Conversation, text: str = "") -> dict[str, Any]:
    opened = await socket.ask(
        {"type": "draft.open", "conversationId": str(talk.pk), "text": text}, "draft.opened"
    )
    draft: dict[str, Any] = opened["draft"]
    return draft


def edit(talk: Conversation, draft: dict[str, Any], version: int, at: int, inserted: str, removed: int = 0):
    place = {"conversationId": str(talk.pk), "draftId": draft["id"], "version": version}
    return {"type": "draft.edit", **place, "at": at, "removed": removed, "inserted": inserted}


async def test_it_shows_everyone_in_the_conversation_the_same_text(
    connect: Connect, alice: Actor, bob: Actor, talk: Conversation
) -> None:
    first, second = await watching(connect, alice, talk), await watching(connect, bob, talk)
    draft = await begun(first, talk, "Hello")
    assert draft["openedBy"]["name"] == "Alice" and draft["version"] == 0
    assert (await second.next("draft.opened"))["draft"] == draft
    # Whoever opens it now joins; the text that they had is their own.
    assert await begun(second, talk, "mine") == draft
    assert (await first.ask(edit(talk, draft, 0, 5, " all"), "draft.edited"))["version"] == 1
    await second.ask(edit(talk, draft, 1, 0, "Oh. ", 0) | {"clientId": "b1"}, "draft.edited")
    for socket in (first, second):
        told = [frame for frame in await socket.settled() if frame["type"] == "draft.changed"]
        assert [one["version"] for one in told] == [1, 2]
        assert told[1]["userId"] == str(bob.user_id) and told[1]["clientId"] == "b1"
    late = await connect(alice)
    snapshot = await late.ask({"type": "subscribe", "conversationId": str(talk.pk)}, "subscribed")
    assert (snapshot["draft"]["text"], snapshot["draft"]["version"]) == ("Oh. Hello all", 2)


async def test_it_takes_one_of_all_edits_of_the_same_version(
    alice: Actor, talk: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    draft = await in_database(draft_open, actor=alice, conversation_id=talk.pk)
    together = threading.Barrier(THREADS)

    def after_all_have_read(text: str, splice: Splice) -> str:
        together.wait(30)
        return spliced(text, splice)

    monkeypatch.setattr(drafting, "spliced", after_all_have_read)

    async def try_one(n: int) -> bool:
        place = {"conversation_id": talk.pk, "draft_id": draft.pk, "version": 0}
        try:
            await in_database(draft_edit, actor=alice, **place, splice=Splice(0, 0, f"{n}."))
        except DraftMoved:
            return False
        return True

    taken = await asyncio.gather(*(try_one(n) for n in range(THREADS)))
    assert sum(taken) == 1
    row = await in_database(Draft.objects.get)
    assert (row.text, row.version) == (f"{taken.index(True)}.", 1)


async def test_it_is_sent_by_exactly_one(
    connect: Connect, alice: Actor, bob: Actor, talk: Conversation
) -> None:
    first, second = await watching(connect, alice, talk), await watching(connect, bob, talk)
    draft = await begun(first, talk, "Go")
    close = {
        "type": "draft.close",
        "conversationId": str(talk.pk),
        "draftId": draft["id"],
        "version": 0,
        "sent": True,
    }
    stale = await first.ask(close | {"version": 4, "id": "old"}, "error")
    assert stale["code"] == "draft_moved"
    assert (await first.ask(close | {"id": "c"}, "draft.closed"))["sent"] is True
    heard = await second.next("draft.closed")
    assert (heard["by"]["name"], heard["sent"], heard["draftId"]) == ("Alice", True, draft["id"])
    assert (await second.ask(close, "error"))["code"] == "not_found"
    assert (await second.ask(edit(talk, draft, 0, 0, "late"), "error"))["code"] == "not_found"
    again = await begun(second, talk)
    assert again["id"] != draft["id"] and again["text"] == ""


async def test_it_tells_nobody_outside_of_the_conversation(
    connect: Connect, alice: Actor, bob: Actor, vera: Actor, charlie: Actor
) -> None:
    secret = await in_database(
        Conversation.objects.create,
        workspace=alice.workspace,
        created_by=alice.user,
        visibility="shared",
    )
    await in_database(ConversationShare.objects.create, conversation=secret, user=bob.user, right="view")
    writer, reader = await watching(connect, alice, secret), await watching(connect, bob, secret)
    others = [await connect(actor) for actor in (vera, charlie)]
    draft = await begun(writer, secret, "canary-begin")
    await writer.ask(edit(secret, draft, 0, 0, "canary-more"), "draft.edited")
    where = {"conversationId": str(secret.pk), "activity": "typing", "selection": {"start": 1, "end": 4}}
    await writer.send({"type": "presence.update", **where})
    await reader.next("draft.changed")
    assert (await reader.next("cursor.moved"))["selection"] == {"start": 1, "end": 4}
    refused = await reader.ask(edit(secret, draft, 1, 0, "x"), "error")
    assert refused["code"] == "forbidden"
    for socket in others:
        said = str(await socket.settled())
        assert "canary" not in said and "selection" not in said
        open_ = {"type": "draft.open", "conversationId": str(secret.pk), "text": ""}
        assert (await socket.ask(open_, "error"))["code"] in ("not_found", "forbidden")
    await in_database(Conversation.objects.filter(pk=secret.pk).update, visibility="private")
    assert (await reader.ask(edit(secret, draft, 1, 0, "x"), "error"))["code"] == "not_found"


async def test_it_is_closed_to_who_may_not_write_there(
    connect: Connect, alice: Actor, bob: Actor, vera: Actor, charlie: Actor
) -> None:
    """Each way to a draft asks by itself; the viewer of a conversation reads it and nothing more."""

    def shared() -> Conversation:
        made = Conversation.objects.create(
            workspace=alice.workspace, created_by=alice.user, visibility="shared"
        )
        ConversationShare.objects.create(conversation=made, user=bob.user, right="view")
        return made

    secret = await in_database(shared)
    other = await in_database(Conversation.objects.create, workspace=bob.workspace, created_by=bob.user)
    open_ = {"type": "draft.open", "conversationId": str(secret.pk), "text": "mine"}
    writer, reader = await watching(connect, alice, secret), await connect(bob)
    assert (await reader.ask(open_, "error"))["code"] == "forbidden"
    draft = await begun(writer, secret, "canary")
    read = {"type": "draft.read", "conversationId": str(secret.pk)}
    assert (await reader.ask(read, "draft.read"))["draft"]["text"] == "canary"
    assert (await reader.ask(open_, "error"))["code"] == "forbidden"
    change = edit(secret, draft, 0, 0, "x")
    close = {name: change[name] for name in ("conversationId", "draftId", "version")} | {
        "type": "draft.close"
    }
    for frame in (change, close):
        assert (await reader.ask(frame, "error"))["code"] == "forbidden", frame
        elsewhere = frame | {"conversationId": str(other.pk)}
        assert (await reader.ask(elsewhere, "error"))["code"] == "not_found", elsewhere
    for actor in (vera, charlie):
        socket = await connect(actor)
        assert (await socket.ask(read, "error"))["code"] == "not_found"
    found = await in_database(Draft.objects.get)
    assert (found.conversation_id, found.text, found.version) == (secret.pk, "canary", 0)


async def test_it_counts_as_browsers_count(alice: Actor, talk: Conversation) -> None:
    assert spliced("a😀b", Splice(3, 1, "é")) == "a😀é"
    assert spliced("a😀b", Splice(1, 2, "")) == "ab"
    for wrong in (Splice(2, 0, "x"), Splice(1, 1, ""), Splice(4, 1, ""), Splice(9, 0, "x")):
        with pytest.raises(BadInput):
            spliced("a😀b", wrong)
    draft = await in_database(draft_open, actor=alice, conversation_id=talk.pk, text="x" * 199_999)
    with pytest.raises(BadInput):
        await in_database(
            draft_edit,
            actor=alice,
            conversation_id=talk.pk,
            draft_id=draft.pk,
            version=0,
            splice=Splice(0, 0, "zz"),
        )
