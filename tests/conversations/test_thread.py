"""A long conversation opens with its newest part, the same on the page, on the socket and over HTTP."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from conversations.database import in_database
from conversations.models import Conversation, Message, Run
from conversations.threads import THREAD_LENGTH, snapshot
from tests.realtime.conftest import connect  # noqa: F401  (a fixture)
from workspaces.access import Actor

from .api_client import Person, absent, error_of

pytestmark = pytest.mark.django_db(transaction=True)


def long_one(actor: Actor, pairs: int) -> str:
    """A conversation of so many questions and answers, each with its run of 150 tokens."""
    conversation = Conversation.objects.create(
        workspace=actor.workspace, created_by=actor.user, title="Long", message_count=2 * pairs
    )
    begun = timezone.now() - timedelta(days=1)
    messages, runs, parent = [], [], None
    for index in range(pairs):
        at = begun + timedelta(seconds=index)
        number = 2 * index + 1
        question = Message(
            conversation=conversation, parent=parent, number=number, role="user", author=actor.user,
            content=f"Question {index}", parts=[{"type": "text", "text": f"Question {index}"}], created_at=at,
        )  # fmt: skip
        run = Run(
            workspace=actor.workspace, conversation=conversation, agent_slug="demo-agent", message=question,
            requested_by=actor.user, status="complete", provider="anthropic", tokens_input=100,
            tokens_output=50, cost_input=10**9, cost_output=10**9, created_at=at,
        )  # fmt: skip
        parent = Message(
            id=run.answer_id, conversation=conversation, parent=question, number=number + 1, role="assistant",
            content=f"Answer {index}", parts=[{"type": "text", "text": f"Answer {index}"}],
            agent_slug="demo-agent", run_id=run.pk, created_at=at,
        )  # fmt: skip
        messages += [question, parent]
        runs.append(run)
    Message.objects.bulk_create(messages)
    Run.objects.bulk_create(runs)
    return str(conversation.pk)


async def test_it_reads_back_part_by_part_over_http(db, alice):
    conversation_id = await in_database(long_one, alice, 100)
    she = await Person(alice).log_in()
    path = f"/api/conversations/{conversation_id}/thread"
    part = (await she.get(path)).json()
    assert len(part["messages"]) == THREAD_LENGTH == len(part["line"])
    assert part["earlier"]["count"] == 200 - THREAD_LENGTH
    assert len(part["runs"]) == THREAD_LENGTH // 2
    texts = [m["content"] for m in part["messages"]]
    while part["earlier"]:
        part = (await she.get(f"{path}?limit=90&before={part['earlier']['before']}")).json()
        texts = [m["content"] for m in part["messages"]] + texts
    assert texts == [text for n in range(100) for text in (f"Question {n}", f"Answer {n}")]


async def test_it_subscribes_with_the_newest_part_and_the_totals_of_all(
    db,
    alice,
    connect,  # noqa: F811
):
    conversation_id = await in_database(long_one, alice, 100)
    socket = await connect(alice)
    told = await socket.ask({"type": "subscribe", "conversationId": conversation_id}, "subscribed")
    assert len(told["messages"]) == THREAD_LENGTH and told["messages"][-1]["content"] == "Answer 99"
    assert told["earlier"] == {"before": told["messages"][0]["id"], "count": 200 - THREAD_LENGTH}
    assert told["totals"] | {"at": ""} == {"tokens": 15_000, "cost": "0.2", "free": False, "at": ""}
    assert {"conversation", "runs", "members", "presence"} <= set(told)


async def test_it_draws_the_newest_part_and_links_to_the_part_before(db, alice):
    conversation_id = await in_database(long_one, alice, 100)
    she = await Person(alice).log_in()
    page = (await she.get(f"/c/{conversation_id}/")).content.decode()
    assert page.count("<nexus-message") == THREAD_LENGTH and "Answer 99" in page and "Question 9<" not in page
    first = (await she.get(f"/api/conversations/{conversation_id}/thread")).json()["earlier"]["before"]
    assert f"?before={first}" in page
    earlier = (await she.get(f"/c/{conversation_id}/?before={first}")).content.decode()
    assert "Question 69<" in earlier and "Answer 99" not in earlier.split("application/json")[0]
    assert f'href="/c/{conversation_id}/"' in earlier.split('role="log"')[1]


async def test_it_reads_a_part_in_a_handful_of_queries(db, alice):
    conversation_id = await in_database(long_one, alice, 40)

    def count() -> int:
        with CaptureQueriesContext(
            connection,
        ) as found:
            snapshot(alice, conversation_id)
        return len(found)

    assert await in_database(count) <= 10


async def test_it_takes_the_branch_that_is_asked_for(db, alice):
    conversation_id = await in_database(long_one, alice, 5)

    def edited() -> tuple[str, str]:
        first = Message.objects.get(conversation_id=conversation_id, number=1)
        made = Message.objects.create(
            conversation_id=conversation_id, number=11, role="user", content="Another first question"
        )
        return str(first.pk), str(made.pk)

    first, newest = await in_database(edited)
    she = await Person(alice).log_in()
    path = f"/api/conversations/{conversation_id}/thread"
    assert (await she.get(path)).json()["line"] == [newest]
    old = (await she.get(f"{path}?through={first}")).json()
    assert len(old["line"]) == 10 and old["line"][0] == first
    assert newest in {m["id"] for m in old["messages"]}


async def test_it_refuses_strangers_and_messages_from_elsewhere(db, alice, charlie):
    conversation_id = await in_database(long_one, alice, 2)
    she, stranger = await Person(alice).log_in(), await Person(charlie).log_in()
    path = f"/api/conversations/{conversation_id}/thread"
    assert error_of(await stranger.get(path)) == (404, "not_found")
    assert error_of(await she.get(f"{path}?before={absent()}")) == (404, "not_found")
    assert error_of(await she.get(f"{path}?before=x"))[0] == 422
    assert error_of(await she.get(f"{path}?limit=5000"))[0] == 422
    assert (await she.get(f"/c/{conversation_id}/?before=x")).status_code == 404
