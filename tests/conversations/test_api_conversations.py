"""Conversations over HTTP: list, create, change, delete, restore, messages, tool calls, search."""

from __future__ import annotations

import asyncio

import pytest
from django.db import connection

from conversations.database import in_database
from conversations.models import Conversation, Message
from conversations.search import POSTGRES_WORDS, fragments_of, search_messages, terms_of
from nexus_core.messages import ToolCallPart
from nexus_core.providers.base import Stop, TextDelta
from nexus_core.tools import tool
from nexus_core.usage import Usage

from .api_client import Person, absent, error_of
from .conftest import chunks_of, last_status, stored, text_of

pytestmark = pytest.mark.django_db(transaction=True)


async def test_it_creates_lists_changes_and_pages(engine, alice):
    person = await Person(alice).log_in()
    made = []
    for n in range(5):
        response = await person.post("/api/conversations", {"title": f"Plan {n}", "agentId": "demo-agent"})
        assert response.status_code == 201
        made.append(response.json()["id"])
    seen, cursor = [], ""
    while cursor is not None:
        page = (await person.get(f"/api/conversations?limit=2&cursor={cursor}")).json()
        seen += [item["id"] for item in page["items"]]
        cursor = page["nextCursor"]
    assert sorted(seen) == sorted(made) and len(seen) == 5
    address = f"/api/conversations/{made[0]}"
    changed = (
        await person.patch(address, {"title": "  The   plan ", "pinned": True, "model": "openai/gpt-6.1-sol"})
    ).json()
    assert (changed["title"], changed["pinned"], changed["model"]) == ("The plan", True, "openai/gpt-6.1-sol")
    assert (await person.patch(address, {"status": "archived"})).json()["status"] == "archived"
    active = (await person.get("/api/conversations?status=active")).json()["items"]
    assert made[0] not in [item["id"] for item in active] and len(active) == 4
    found = (await person.get("/api/conversations?search=the+plan")).json()["items"]
    assert [item["id"] for item in found] == [made[0]]
    assert (await person.get("/api/conversations?agent=nobody")).json()["items"] == []
    assert (await person.get(address)).json() == (await person.patch(address, {})).json()


async def test_it_refuses_what_does_not_fit(engine, alice):
    person = await Person(alice).log_in()
    one = (await person.post("/api/conversations", {})).json()
    address = f"/api/conversations/{one['id']}"
    for body in (
        {"title": ""},
        {"title": "x" * 201},
        {"status": "gone"},
        {"model": "no-slash"},
        {"visibility": "x"},
    ):
        assert error_of(await person.patch(address, body))[0] == 422
    assert error_of(await person.patch(address, {"agentId": "no-such"})) == (404, "agent_not_found")
    assert error_of(await person.get("/api/conversations?cursor=AAAA")) == (422, "invalid_cursor")
    assert error_of(await person.get("/api/conversations?status=x")) == (422, "invalid_request")
    assert error_of(await person.get("/api/nothing/here")) == (404, "not_found")
    refused = await person.request("put", address, {})
    assert error_of(refused) == (405, "method_not_allowed") and "PATCH" in refused["Allow"]


async def test_it_keeps_private_ones_private_and_shares_with_those_named(engine, alice, bob, charlie, vera):
    mine, his, viewer = await Person(alice).log_in(), await Person(bob).log_in(), await Person(vera).log_in()
    one = (await mine.post("/api/conversations", {"title": "Secret", "visibility": "private"})).json()
    address = f"/api/conversations/{one['id']}"
    assert error_of(await his.get(address)) == (404, "not_found")
    assert (await his.get("/api/conversations")).json()["items"] == []
    await mine.patch(address, {"visibility": "shared", "sharedWith": [str(bob.user_id)]})
    assert (await his.get(address)).json()["title"] == "Secret"
    assert error_of(await viewer.get(address)) == (404, "not_found")
    assert error_of(await his.patch(address, {"visibility": "workspace"})) == (403, "forbidden")
    assert error_of(await mine.patch(address, {"sharedWith": [str(charlie.user_id)]})) == (404, "not_found")
    await mine.patch(address, {"sharedWith": []})
    assert error_of(await his.get(address)) == (404, "not_found")


async def test_it_answers_foreign_and_absent_alike_before_it_reads_the_body(engine, alice, charlie, vera):
    one = (await (await Person(alice).log_in()).post("/api/conversations", {})).json()
    stranger, viewer = await Person(charlie).log_in(), await Person(vera).log_in()
    for method, path in [
        ("get", ""), ("patch", ""), ("delete", ""), ("get", "/messages"), ("get", "/export"), ("get", "/tool-calls"),
        ("post", "/restore"),
    ]:  # fmt: skip
        body = b"{broken" if method in ("patch", "post") else None
        foreign = await stranger.request(method, f"/api/conversations/{one['id']}{path}", body)
        nowhere = await stranger.request(method, f"/api/conversations/{absent()}{path}", body)
        assert error_of(foreign) == error_of(nowhere) == (404, "not_found")
        assert len(foreign.content) == len(nowhere.content)
    assert error_of(await viewer.patch(f"/api/conversations/{one['id']}", b"{broken")) == (403, "forbidden")
    assert error_of(await viewer.post("/api/conversations", {"title": "x"})) == (403, "forbidden")
    other = await stranger.get(f"/api/conversations/{one['id']}?workspace={alice.workspace.slug}")
    assert error_of(other) == (404, "not_found"), "?workspace= opens no foreign one"


async def test_it_deletes_stops_and_restores(engine, alice, bob, plays):
    plays([TextDelta("going "), 60.0, Stop("end", (), None)])
    mine, his = await Person(alice).log_in(), await Person(bob).log_in()
    run = (
        await mine.post("/api/invoke", {"agentId": "demo-agent", "message": "go", "background": True})
    ).json()
    while not text_of(await stored(run["runId"])):
        await asyncio.sleep(0.01)
    address = f"/api/conversations/{run['conversationId']}"
    assert error_of(await his.delete(address)) == (403, "forbidden")
    assert (await mine.delete(address)).status_code == 204
    assert last_status(await chunks_of(run["runId"])) == "cancelled"
    for path in (address, f"{address}/messages", f"/api/runs/{run['runId']}"):
        assert error_of(await mine.get(path)) == (404, "not_found")
    assert error_of(await his.post(f"{address}/restore")) == (404, "not_found")
    assert (await mine.post(f"{address}/restore")).json()["id"] == run["conversationId"]
    assert error_of(await mine.post(f"{address}/restore")) == (404, "not_found")
    assert len((await mine.get(f"{address}/messages")).json()["items"]) == 2


async def test_it_pages_messages_both_ways(engine, alice, plays):
    plays("a1", "a2")
    person = await Person(alice).log_in()
    first = await person.ask("q1")
    await person.ask("q2", conversationId=first["conversationId"])
    address = f"/api/conversations/{first['conversationId']}/messages"
    for order, wanted in (("asc", ["q1", "a1", "q2", "a2"]), ("desc", ["a2", "q2", "a1", "q1"])):
        seen, cursor = [], ""
        while cursor is not None:
            page = (await person.get(f"{address}?order={order}&limit=3&cursor={cursor}")).json()
            seen += [item["content"] for item in page["items"]]
            cursor = page["nextCursor"]
        assert seen == wanted


@tool
async def measure(word: str) -> dict[str, int]:
    """Measures a word."""
    return {"letters": len(word)}


async def test_it_finds_tool_calls_by_conversation_question_answer_and_id(engine, alice, charlie, plays):
    call = Stop(
        "tool_calls", (ToolCallPart("call-77", "measure", {"word": "abc"}),), Usage(input=1, output=1)
    )
    plays([call], "3.", tools=[measure])
    person = await Person(alice).log_in()
    done = await person.ask("how long is abc?")
    question = done["chunks"][0]["data"]["questionId"]
    found = (await person.get(f"/api/conversations/{done['conversationId']}/tool-calls")).json()["items"]
    assert len(found) == 1
    record = found[0]
    assert (record["toolName"], record["status"], record["toolCallId"]) == ("measure", "COMPLETED", "call-77")
    assert (record["input"], record["result"]) == ({"word": "abc"}, {"letters": 3})
    assert record["messageId"] == done["message"]["id"]
    for message in (question, done["message"]["id"]):
        assert (await person.get(f"/api/messages/{message}/tool-calls")).json()["items"] == found
    assert (await person.get(f"/api/tool-calls/{record['toolId']}")).json() == record
    stranger = await Person(charlie).log_in()
    for path in (
        f"/api/tool-calls/{record['toolId']}",
        f"/api/messages/{question}/tool-calls",
        f"/api/tool-calls/{absent()}",
    ):
        assert error_of(await stranger.get(path)) == (404, "not_found")


async def say(actor, text: str, *, visibility: str = "workspace") -> Message:
    def make() -> Message:
        conversation = Conversation.objects.create(
            workspace=actor.workspace, created_by=actor.user, title="Talk", visibility=visibility
        )
        return Message.objects.create(
            conversation=conversation, number=1, role="user", content=text, author=actor.user
        )

    return await in_database(make)


async def found(actor, query: str) -> list[str]:
    return [hit["messageId"] for hit in await in_database(search_messages, actor, query)]


async def test_it_finds_messages_by_their_words(alice, bob, charlie):
    budget = await say(alice, "The marketing budget for Q3 is 40,000 dollars, see src/plan_b.py")
    secret = await say(alice, "The secret budget", visibility="private")
    foreign = await say(charlie, "Their budget")
    assert await found(alice, "budget") == [str(secret.pk), str(budget.pk)]
    assert await found(bob, "budget") == [str(budget.pk)]
    assert await found(charlie, "budget") == [str(foreign.pk)]
    for query in ("MARKETING dollars", "mark", '"marketing budget"', "src/plan_b.py", "plan", "40,000"):
        assert await found(bob, query) == [str(budget.pk)], query
    for query in (
        '"budget marketing"',
        "mark dollars",
        "marketing unicorn",
        "",
        "  ",
        '"',
        "***",
        "AND OR NOT",
        "a\x00b",
    ):
        assert await found(bob, query) == [], query


async def test_it_finds_words_of_languages_without_spaces(alice):
    message = await say(alice, "今日は会議があります")
    assert await found(alice, "会議") == [str(message.pk)]


async def test_it_forgets_the_words_of_what_was_changed_or_deleted(alice):
    message = await say(alice, "walrus")
    await in_database(Message.objects.filter(pk=message.pk).update, content="narwhal")
    assert (await found(alice, "walrus"), await found(alice, "narwhal")) == ([], [str(message.pk)])
    await in_database(Message.objects.filter(pk=message.pk).update, superseded=True)
    assert await found(alice, "narwhal") == []
    await in_database(message.conversation.delete)
    assert await found(alice, "narwhal") == []


async def test_it_marks_what_matched_in_the_snippet(engine, alice, plays):
    plays("The <b>launch</b> is on Monday.")
    person = await Person(alice).log_in()
    done = await person.ask("when do we launch?")
    hits = (await person.get("/api/search?q=launch")).json()["items"]
    assert [hit["role"] for hit in hits] == ["assistant", "user"]
    assert (
        hits[0]["snippet"] == "The <b>launch</b> is on Monday."
        and hits[0]["conversationId"] == done["conversationId"]
    )
    assert [part for part in hits[0]["fragments"] if part["match"]] == [{"text": "launch", "match": True}]
    page = (await person.get("/api/search?q=launch&limit=1")).json()
    rest = (await person.get(f"/api/search?q=launch&limit=1&cursor={page['nextCursor']}")).json()
    assert page["items"] + rest["items"] == hits and rest["nextCursor"] is None


def test_it_reads_a_query():
    assert [(term.words, term.open) for term in terms_of('plan "to do" bud')] == [
        (("plan",), False), (("to", "do"), False), (("bud",), True),
    ]  # fmt: skip
    assert [(term.words, term.open) for term in terms_of('foo-bar "open')] == [
        (("foo", "bar"), False),
        (("open",), True),
    ]
    assert fragments_of("a \x02b\x03 c") == [("a ", False), ("b", True), (" c", False)]


async def test_it_has_the_index_that_search_relies_on(alice):
    def index() -> set[str]:
        with connection.cursor() as cursor:
            if connection.vendor == "sqlite":
                cursor.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")
            else:
                cursor.execute("SELECT indexname FROM pg_indexes WHERE tablename = 'conversations_message'")
            return {row[0] for row in cursor.fetchall()}

    def plan() -> str:
        with connection.cursor() as cursor:
            for other in (
                "seqscan",
                "indexscan",
                "indexonlyscan",
            ):  # an inverted index is read by a bitmap alone
                cursor.execute(f"SET enable_{other} = off")
            cursor.execute(
                f"EXPLAIN SELECT id FROM conversations_message WHERE {POSTGRES_WORDS} @@ to_tsquery('simple', 'a')"
            )
            found = "\n".join(row[0] for row in cursor.fetchall())
            for other in ("seqscan", "indexscan", "indexonlyscan"):
                cursor.execute(f"RESET enable_{other}")
            return found

    names = await in_database(index)
    if connection.vendor == "sqlite":
        assert {f"conversations_search_{what}" for what in ("added", "changed", "removed")} <= names
    else:
        assert "message_words" in names and "message_words" in await in_database(plan)
