"""Slash commands: answered by a tool, without a model, recorded like every tool call."""

from __future__ import annotations

import pytest

from billing.models import Attempt
from conversations.commands import CommandAgent, command_agent
from conversations.database import in_database
from conversations.models import Conversation, Run, Task, ToolCall
from conversations.services.run_start import run_start
from nexus_core.agent import AgentRequest
from nexus_core.chunks import ToolCallChunk
from nexus_core.context import ExecutionContext

from .api_client import Person
from .conftest import chunks_of, last_status, text_of

pytestmark = pytest.mark.django_db(transaction=True)


async def test_it_answers_help_without_a_model(engine, alice, plays):
    provider = plays("never said")
    person = await Person(alice).log_in()
    done = await person.ask("/help")
    assert done["status"] == "complete" and provider.requests == []
    for name in ("/help", "/clear", "/settings", "/model", "/search", "/task"):
        assert name in done["message"]["content"]
    assert (done["tokenUsage"]["total"], done["cost"]["total"]) == (0, "0")
    statuses = [chunk["data"]["status"] for chunk in done["chunks"] if chunk["type"] == "tool_call"]
    assert statuses == ["RUNNING", "COMPLETED"]
    record = await in_database(ToolCall.objects.get)
    assert (record.tool_name, record.status, str(record.message_id)) == (
        "help",
        "COMPLETED",
        done["message"]["id"],
    )
    assert (await person.get(f"/api/messages/{done['message']['id']}/tool-calls")).json()["items"]
    assert await in_database(Attempt.objects.count) == 0


async def test_it_lists_the_commands_for_the_menu(alice):
    items = (await (await Person(alice).log_in()).get("/api/commands")).json()["items"]
    by_name = {item["name"]: item for item in items}
    assert {"help", "clear", "settings", "model", "search", "task"} <= set(by_name)
    assert by_name["search"]["kind"] == "hybrid" and by_name["search"]["usage"].startswith("/search QUERY")
    assert all(item["description"] for item in items)


async def test_it_searches_with_links_to_what_it_found(engine, alice, plays):
    plays("The *walrus* is [fine](x).")
    person = await Person(alice).log_in()
    first = await person.ask("how is the animal?")
    done = await person.ask("/search walrus", conversationId=first["conversationId"])
    text = done["message"]["content"]
    assert f"/c/{first['conversationId']}/#m-{first['message']['id']}" in text
    assert "\\*walrus\\*" in text and "\\[fine\\]\\(x\\)" in text, "what was found is shown, not understood"
    nothing = await person.ask("/search unicorns", conversationId=first["conversationId"])
    assert "Nothing was found" in nothing["message"]["content"]


async def test_it_shows_and_sets_the_model_of_the_conversation(engine, alice, plays):
    plays("ok")
    person = await Person(alice).log_in()
    shown = await person.ask("/model")
    here = {"conversationId": shown["conversationId"]}
    assert "scripted/demo" in shown["message"]["content"]
    set_ = await person.ask("/model scripted/other", **here)
    assert "scripted/other" in set_["message"]["content"]
    assert (await in_database(Conversation.objects.get)).model == "scripted/other"
    for wrong, said in (("/model nonsense", "provider"), ("/model acme/x", "no provider")):
        refused = await person.ask(wrong, **here)
        assert said in refused["message"]["content"]
        assert [c["data"]["status"] for c in refused["chunks"] if c["type"] == "tool_call"] == [
            "RUNNING",
            "FAILED",
        ]
    assert (await in_database(Conversation.objects.get)).model == "scripted/other"
    await person.ask("/model default", **here)
    assert (await in_database(Conversation.objects.get)).model == ""


async def test_it_notes_a_task_and_shows_the_settings(engine, alice, plays):
    person = await Person(alice).log_in()
    done = await person.ask("/task Call the printer dueOn=2026-12-24")
    task = await in_database(Task.objects.get)
    assert (task.title, str(task.due_on), str(task.conversation_id)) == (
        "Call the printer",
        "2026-12-24",
        done["conversationId"],
    )
    assert "Call the printer" in done["message"]["content"]
    settings = await person.ask("/settings")
    assert "/settings/" in settings["message"]["content"] and "UTC" in settings["message"]["content"]


async def test_it_says_which_commands_there_are_when_one_is_unknown(engine, alice, plays):
    provider = plays("never said")
    done = await (await Person(alice).log_in()).ask("/serach walrus")
    assert done["status"] == "failed" and done["error"]["code"] == "tool_not_found"
    assert "Did you mean /search?" in done["error"]["message"] and "/help" in done["error"]["message"]
    wrong = await (await Person(alice).log_in()).ask("/search")
    assert wrong["status"] == "failed" and "Usage: /search QUERY" in wrong["error"]["message"]
    assert provider.requests == []


async def test_it_leaves_paths_and_plain_text_to_the_model(engine, alice, plays):
    provider = plays("one", "two", "three")
    person = await Person(alice).log_in()
    for text in ("/usr/bin/env is what?", "tell me about /help", "/ 2"):
        assert (await person.ask(text))["message"]["content"] in ("one", "two", "three")
    assert len(provider.requests) == 3


async def collect(run: Run, actor) -> list:
    agent = await in_database(command_agent, run, actor)
    assert isinstance(agent, CommandAgent)
    context = ExecutionContext(
        run_id=str(run.pk), conversation_id=str(run.conversation_id), services={"actor": actor}
    )
    return [chunk async for chunk in agent.stream(AgentRequest(run.agent_slug, "", context))]


async def test_it_does_its_work_once_though_the_owner_dies(alice):
    """What a takeover finds: COMPLETED is told again, RUNNING of a tool with effects is unknown."""

    def begin(text: str) -> Run:
        run = run_start(actor=alice, agent_id="demo-agent", input_=text).run
        Run.objects.filter(pk=run.pk).update(status="running", epoch=1)
        return Run.objects.select_related("message").get(pk=run.pk)

    run = await in_database(begin, "/task Once")
    first = await collect(run, alice)
    again = await collect(run, alice)
    assert [c.status for c in again if isinstance(c, ToolCallChunk)] == ["COMPLETED"]
    assert first[-2].text == again[-2].text and await in_database(Task.objects.count) == 1
    await in_database(ToolCall.objects.update, status="RUNNING", result=None)
    third = await collect(run, alice)
    assert [c.status for c in third if isinstance(c, ToolCallChunk)] == ["UNKNOWN"]
    assert "not known" in third[-2].text and await in_database(Task.objects.count) == 1


async def test_it_clears_and_says_so(engine, alice, plays):
    provider = plays("a", "b")
    person = await Person(alice).log_in()
    first = await person.ask("remember 7")
    cleared = await person.ask("/clear", conversationId=first["conversationId"])
    assert "no longer sent" in cleared["message"]["content"]
    await person.ask("what number?", conversationId=first["conversationId"])
    assert [message.text for message in provider.requests[-1].messages] == ["what number?"]
    run = await in_database(Run.objects.get, pk=cleared["runId"])
    chunks = await chunks_of(run.pk)
    assert last_status(chunks) == "complete" and "no longer sent" in text_of(chunks)
