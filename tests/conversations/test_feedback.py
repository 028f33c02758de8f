"""Good and poor answers: one mark per person and answer, theirs alone."""

from __future__ import annotations

import pytest
from django.test import Client

from conversations.database import in_database
from conversations.models import MessageFeedback
from tests.realtime.conftest import connect  # noqa: F401  (a fixture)

from .api_client import Person, absent, error_of

pytestmark = pytest.mark.django_db(transaction=True)


async def answer_of(person: Person, **more: object) -> tuple[str, str]:
    """`(conversation, answer)` of a question to the demo agent."""
    done = await person.ask("/help", **more)
    return done["conversationId"], done["message"]["id"]


async def marks_in_thread(person: Person, conversation_id: str) -> list[object]:
    thread = (await person.get(f"/api/conversations/{conversation_id}/thread")).json()
    return [message["feedback"] for message in thread["messages"] if message["role"] == "assistant"]


async def test_it_keeps_what_each_person_thinks_of_an_answer(engine, alice, bob):
    she, he = await Person(alice).log_in(), await Person(bob).log_in()
    conversation_id, answer_id = await answer_of(she)
    path = f"/api/messages/{answer_id}/feedback"
    given = await she.put(path, {"rating": "poor", "comment": "  The week is wrong. "})
    assert given.status_code == 200
    assert given.json()["rating"] == "poor" and given.json()["comment"] == "The week is wrong."
    assert (await he.put(path, {"rating": "good"})).json()["comment"] == ""
    assert (await she.put(path, {"rating": "good"})).json()["rating"] == "good"
    assert await in_database(MessageFeedback.objects.count) == 2
    [hers] = await marks_in_thread(she, conversation_id)
    assert hers["rating"] == "good" and hers["comment"] == ""


async def test_it_takes_it_back_and_leaves_other_peoples(engine, alice, bob):
    she, he = await Person(alice).log_in(), await Person(bob).log_in()
    conversation_id, answer_id = await answer_of(she)
    path = f"/api/messages/{answer_id}/feedback"
    await she.put(path, {"rating": "good"})
    await he.put(path, {"rating": "poor"})
    assert (await she.delete(path)).status_code == 204
    assert (await she.delete(path)).status_code == 204
    assert await marks_in_thread(she, conversation_id) == [None]
    [his] = await marks_in_thread(he, conversation_id)
    assert his["rating"] == "poor"


async def test_it_lets_viewers_say_what_they_think(engine, alice, vera):
    she, viewer = await Person(alice).log_in(), await Person(vera).log_in()
    _, answer_id = await answer_of(she)
    path = f"/api/messages/{answer_id}/feedback"
    assert (await viewer.put(path, {"rating": "good"})).status_code == 200
    assert (await viewer.delete(path)).status_code == 204


async def test_it_refuses_strangers_questions_and_other_words(engine, alice, charlie):
    she, stranger = await Person(alice).log_in(), await Person(charlie).log_in()
    conversation_id, answer_id = await answer_of(she)
    path = f"/api/messages/{answer_id}/feedback"
    assert error_of(await stranger.put(path, {"rating": "good"})) == (404, "not_found")
    assert error_of(await stranger.delete(path)) == (404, "not_found")
    assert error_of(await she.put(f"/api/messages/{absent()}/feedback", {"rating": "good"}))[0] == 404
    assert error_of(await she.put(path, {"rating": "splendid"}))[0] == 422
    assert error_of(await she.put(path, {"rating": "poor", "comment": "x" * 2001}))[0] == 422
    thread = (await she.get(f"/api/conversations/{conversation_id}/thread")).json()
    question = next(m["id"] for m in thread["messages"] if m["role"] == "user")
    refused = await she.put(f"/api/messages/{question}/feedback", {"rating": "good"})
    assert error_of(refused)[0] == 422


async def test_it_tells_the_persons_own_sockets_and_nobody_elses(
    engine,
    alice,
    bob,
    connect,  # noqa: F811
):
    she = await Person(alice).log_in()
    conversation_id, answer_id = await answer_of(she)
    mine, his = await connect(alice), await connect(bob)
    for socket in (mine, his):
        await socket.ask({"type": "subscribe", "conversationId": conversation_id}, "subscribed")
    await she.put(f"/api/messages/{answer_id}/feedback", {"rating": "poor", "comment": "Too long"})
    told = await mine.next("message.feedback")
    assert told["messageId"] == answer_id and told["feedback"]["comment"] == "Too long"
    await she.delete(f"/api/messages/{answer_id}/feedback")
    assert (await mine.next("message.feedback"))["feedback"] is None
    await his.ask({"type": "ping"}, "pong")
    assert not [frame for frame in his.seen if frame["type"] == "message.feedback"]


async def test_it_lists_feedback_in_the_admin(engine, alice):
    she = await Person(alice).log_in()
    _, answer_id = await answer_of(she)
    await she.put(
        f"/api/messages/{answer_id}/feedback", {"rating": "poor", "comment": "Numbers of last week"}
    )

    def page(query: str) -> str:
        alice.user.is_staff = alice.user.is_superuser = True
        alice.user.save()
        client = Client()
        client.force_login(alice.user, backend="django.contrib.auth.backends.ModelBackend")
        return client.get(f"/admin/conversations/messagefeedback/{query}").content.decode()

    assert "Numbers of last week" in await in_database(page, "?q=last+week")
    assert "Numbers of last week" in await in_database(
        page, "?rating__exact=poor&message__agent_slug=demo-agent"
    )
    assert "Numbers of last week" not in await in_database(page, "?rating__exact=good")
    assert "Numbers of last week" not in await in_database(page, "?message__agent_slug=other")
