"""An exported conversation comes back the same, whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from billing.models import Attempt
from conversations.api import imports
from conversations.database import in_database
from conversations.models import Conversation, Message, Run, Upload
from conversations.services import importing
from nexus_core.messages import TextPart, ToolCallPart
from nexus_core.providers.base import ReasoningDelta, Stop, TextDelta
from nexus_core.tools import tool
from workspaces.models import AuditEvent

from .api_client import Person, error_of
from .test_api_files import PNG, media, send

pytestmark = pytest.mark.django_db(transaction=True)
_ = media  # the fixture: files of these tests go into a folder of their own


@tool
async def lookup(word: str) -> str:
    """Looks a word up."""
    return f"about {word}"


async def built(alice, bob, plays) -> tuple[Person, str]:
    """Two people, branches, a tool call, thinking, an image, feedback, a withdrawn answer."""
    call = Stop("tool_calls", (ToolCallPart("c1", "lookup", {"word": "ü ✓"}),), None)
    plays(
        [ReasoningDelta("hm"), call],
        [TextDelta("First answer."), Stop("end", (TextPart("First answer."),), None)],
        "Second answer.",
        "To Bob.",
        "Edited.",
        tools=[lookup],
    )
    mine, his = [await Person(actor).log_in() for actor in (alice, bob)]
    image = (await send(mine, "plan.png", PNG)).json()["fileId"]
    asked = await mine.ask([{"type": "text", "text": "What is it?"}, {"type": "image", "fileId": image}])
    conversation = asked["conversationId"]
    await mine.post("/api/invoke", {"regenerateMessageId": asked["message"]["id"]})
    await his.ask("And I?", conversationId=conversation)
    await mine.ask("An edit", conversationId=conversation, parentMessageId=None)
    await mine.put(f"/api/messages/{asked['message']['id']}/feedback", {"rating": "good", "comment": "yes"})
    return mine, conversation


async def exported(who: Person, conversation: str) -> bytes:
    return (await who.get(f"/api/conversations/{conversation}/export")).content


async def put(who: Person, data: bytes, path: str = "/api/imports"):
    file = SimpleUploadedFile("plan.json", data, "application/json")
    return await who.client.post(path, {"file": file}, headers={"X-CSRFToken": who.csrf})


IDS = {"id", "parentId", "conversationId", "messageId", "answerId", "runId", "toolId", "fileId", "requestedBy", "createdBy"} | {
    "continues", "resumedFrom", "toolCallId",
}  # fmt: skip


def without_ids(data: bytes) -> Any:
    """The file with every id replaced by the order in which ids were first seen, and without what is the place's own."""
    seen: dict[str, int] = {}

    def plain(value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            return {name: plain(item, name) for name, item in value.items()}
        if isinstance(value, list):
            return [plain(item, key) for item in value]
        if key in IDS and isinstance(value, str):
            return seen.setdefault(value, len(seen))
        return value

    file = json.loads(data)
    for own in ("visibility", "updatedAt", "createdBy", "live"):
        file["conversation"].pop(own)
    del file["exportedAt"]
    for run in file["runs"]:
        del run["requestedBy"]
    for message in file["messages"]:
        if message["author"] and "name" in message["author"]:
            message["author"].pop("id")  # a file proves nobody's authorship
    return plain(file)


async def test_it_brings_back_what_was_exported(engine, alice, bob, plays):
    mine, conversation = await built(alice, bob, plays)
    before = await exported(mine, conversation)
    booked = await in_database(Attempt.objects.count)
    usage = (await mine.get("/api/usage")).content
    looked = await put(mine, before, "/api/imports/preview")
    assert looked.status_code == 200, looked.content
    assert {k: looked.json()[k] for k in ("messageCount", "answerCount", "people", "imageCount", "missingImageCount", "already")} == {
        "messageCount": 7, "answerCount": 4, "people": ["Alice", "Bob"], "imageCount": 1, "missingImageCount": 0, "already": None,
    }  # fmt: skip
    assert await in_database(Conversation.objects.count) == 1, "looking stores nothing"

    made = await put(mine, before)
    assert made.status_code == 201, made.content
    new = made.json()
    assert new["id"] != conversation and new["visibility"] == "private" and new["unread"] == 0
    after = await exported(mine, new["id"])
    old, same = without_ids(before), without_ids(after)
    for part in old:
        assert same[part] == old[part], part
    page = (await mine.get(f"/c/{new['id']}/")).content.decode()
    assert "Edited." in page
    assert await in_database(Attempt.objects.count) == booked
    assert (await mine.get("/api/usage")).content == usage, "what it took was booked where it was spent"
    rows = await in_database(
        lambda: list(Message.objects.filter(conversation_id=new["id"]).select_related("author"))
    )
    assert {(row.author and row.author.username, row.author_name) for row in rows if row.role == "user"} == {
        ("alice", None),
        (None, "Bob"),
    }
    image = await in_database(Upload.objects.get, conversation_id=new["id"])
    assert (await mine.get(f"/api/files/{image.pk}")).content == PNG
    hits = (await mine.get("/api/search?q=Edited")).json()["items"]
    assert {hit["conversationId"] for hit in hits} == {conversation, new["id"]}
    again = await exported(mine, (await put(mine, after)).json()["id"])
    assert without_ids(again) == without_ids(before)
    assert await in_database(AuditEvent.objects.filter(action="imported").count) == 2


async def test_it_goes_on_from_there(engine, alice, bob, plays):
    mine, conversation = await built(alice, bob, plays)
    new = (await put(mine, await exported(mine, conversation))).json()["id"]
    provider = plays("Going on.")
    assert (await mine.ask("Go on", conversationId=new))["status"] == "complete"
    told = str(provider.requests[0].messages)
    assert "An edit" in told and "Edited." in told
    fork = (await mine.get(f"/api/conversations/{new}/messages")).json()["items"][0]["id"]
    assert (await mine.post(f"/api/conversations/{new}/fork", {"messageId": fork})).status_code == 201


async def test_it_is_imported_once_unless_a_copy_is_asked_for(engine, alice, bob, plays):
    mine, conversation = await built(alice, bob, plays)
    data = await exported(mine, conversation)
    first = await put(mine, data)
    later = json.loads(data) | {"exportedAt": "2030-01-01T00:00:00.000Z"}
    second = await put(mine, json.dumps(later).encode())
    assert (first.status_code, second.status_code) == (201, 200) and first.json()["id"] == second.json()["id"]
    assert (await put(mine, data, "/api/imports/preview")).json()["already"]["id"] == first.json()["id"]
    copy = await put(mine, data, "/api/imports?copy=true")
    assert copy.status_code == 201 and copy.json()["id"] != first.json()["id"]
    his = await Person(bob).log_in()
    assert (await put(his, data, "/api/imports/preview")).json()["already"] is None
    theirs = await put(his, data)
    assert theirs.status_code == 201
    names = await in_database(
        lambda: set(
            Message.objects.filter(conversation_id=theirs.json()["id"], role="user").values_list(
                "author__username", "author_name"
            )
        )
    )
    assert names == {("bob", None), (None, "Alice")}
    assert error_of(await mine.get(f"/api/conversations/{theirs.json()['id']}")) == (404, "not_found")
    for one in (first, copy):
        await mine.delete(f"/api/conversations/{one.json()['id']}")
    assert (await put(mine, data)).status_code == 201, "what was deleted is not there already"


async def test_it_reads_the_first_version(engine, alice, bob, plays):
    mine, conversation = await built(alice, bob, plays)
    old = json.loads(await exported(mine, conversation)) | {"version": 1}
    del old["toolCalls"], old["files"], old["conversation"]["titledByPerson"]
    for message in old["messages"]:
        del message["clearsHistory"], message["feedback"]
    looked = (await put(mine, json.dumps(old).encode(), "/api/imports/preview")).json()
    assert (looked["version"], looked["missingImageCount"]) == (1, 1)
    made = await put(mine, json.dumps(old).encode())
    assert made.status_code == 201, made.content
    assert (await mine.get(f"/c/{made.json()['id']}/")).status_code == 200


def message(file: dict[str, Any]) -> dict[str, Any]:
    return file["messages"][1]


WRONG: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "role": (lambda f: message(f).update(role="root"), "messages[1].role"),
    "part": (lambda f: message(f).update(parts=[{"type": "script"}]), "messages[1].parts[0]"),
    "text": (
        lambda f: message(f).update(parts=[{"type": "text", "text": 7}]),
        "messages[1].parts[0].text.text",
    ),
    "time": (lambda f: message(f).update(createdAt="yesterday"), "messages[1].createdAt"),
    "ring": (lambda f: message(f).update(parentId=message(f)["id"]), "messages[1].parentId"),
    "later": (lambda f: message(f).update(parentId=f["messages"][3]["id"]), "messages[1].parentId"),
    "twice": (lambda f: message(f).update(number=1), "messages[1].number"),
    "id": (lambda f: message(f).update(id=f["messages"][0]["id"]), "messages[1].id"),
    "missing": (lambda f: f.pop("messages"), "messages"),
    "title": (lambda f: f["conversation"].update(title="x" * 201), "conversation.title"),
    "money": (lambda f: f["runs"][0]["cost"].update(input="1e999"), "runs[0].cost.input"),
    "tokens": (lambda f: f["runs"][0]["tokenUsage"].update(input=-1), "runs[0].tokenUsage.input"),
    "run": (lambda f: f["runs"][0].update(messageId=f["conversation"]["id"]), "runs[0].messageId"),
    "image": (lambda f: f["files"][0].update(data="aGk="), "files[0].data"),
    "base64": (lambda f: f["files"][0].update(data="§"), "files[0].data"),
}


async def test_it_says_where_a_file_is_wrong_and_stores_nothing(engine, alice, bob, vera, plays, monkeypatch):
    mine, conversation = await built(alice, bob, plays)
    good = await exported(mine, conversation)
    monkeypatch.setitem(
        imports.limit_hit.__globals__["LIMITS"],
        "exports",
        imports.limit_hit.__globals__["parse"]("999/minute"),
    )
    before = await in_database(
        lambda: (Conversation.objects.count(), Message.objects.count(), Upload.objects.count())
    )
    for name, (break_, at) in WRONG.items():
        file = json.loads(good)
        break_(file)
        refused = await put(mine, json.dumps(file).encode())
        assert error_of(refused) == (422, "invalid_import"), name
        places = [problem["at"] for problem in refused.json()["error"]["details"]]
        assert any(place.startswith(at) for place in places), (name, places)
    for odd in (
        b"",
        b"{",
        b"\xff",
        b"[]",
        b"[" * 100_000,
        b'{"format": "nexus.conversation", "version": 9}',
        b'{"a": NaN}',
        b'{"a": 1e999}',
    ):
        assert error_of(await put(mine, odd)) == (422, "invalid_import"), odd[:20]
    cut = await put(mine, good[: len(good) // 2])
    assert cut.json()["error"]["details"][0]["at"].startswith("line ")
    monkeypatch.setattr(imports, "MOST_BYTES", 10)
    assert error_of(await put(mine, good)) == (422, "invalid_import")
    monkeypatch.undo()
    assert (await put(await Person(vera).log_in(), good)).status_code == 403
    after = await in_database(
        lambda: (Conversation.objects.count(), Message.objects.count(), Upload.objects.count())
    )
    assert after == before


async def test_it_leaves_nothing_half_imported(engine, alice, bob, plays, monkeypatch, media):
    mine, conversation = await built(alice, bob, plays)
    good = await exported(mine, conversation)
    files = sorted(str(path) for path in media.rglob("*"))

    def fails(*args: Any, **more: Any) -> None:
        raise RuntimeError("the disk is full")

    monkeypatch.setattr(importing, "_run", fails)
    assert (await put(mine, good)).status_code == 500
    assert await in_database(Conversation.objects.count) == 1
    assert await in_database(Run.objects.exclude(conversation_id=conversation).count) == 0
    assert sorted(str(path) for path in media.rglob("*")) == files
