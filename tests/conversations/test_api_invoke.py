"""Asking over HTTP: waited for, in the background, as a stream; once for one id."""

from __future__ import annotations

import asyncio

import orjson
import pytest

from conversations.database import in_database
from conversations.models import Conversation, Message, Run
from nexus_core.errors import AuthenticationFailed
from nexus_core.messages import TextPart
from nexus_core.providers.base import Stop, TextDelta

from .api_client import Person, absent, error_of, events_of
from .conftest import chunks_of, stored, text_of

pytestmark = pytest.mark.django_db(transaction=True)


async def test_it_waits_and_gives_the_whole_run(engine, alice, plays):
    plays("Good morning.")
    person = await Person(alice).log_in()
    done = await person.ask("Hello")
    assert done["status"] == "complete" and done["error"] is None
    assert done["message"]["content"] == "Good morning." and done["message"]["role"] == "assistant"
    log = await stored(done["runId"])
    assert done["chunks"] == [chunk for _, chunk in log]
    assert done["tokenUsage"] == log[-1][1]["data"]["tokenUsage"] and done["cost"]["currency"] == "USD"
    conversation = await in_database(Conversation.objects.get, pk=done["conversationId"])
    assert (conversation.title, conversation.visibility, conversation.message_count) == (
        "Hello",
        "workspace",
        2,
    )


async def test_it_goes_on_in_the_conversation_that_is_named(engine, alice, plays):
    plays("one", "two")
    person = await Person(alice).log_in()
    first = await person.ask("a")
    second = await person.ask("b", conversationId=first["conversationId"])
    assert second["conversationId"] == first["conversationId"]
    response = await person.post("/api/invoke", {"message": "c", "conversation_id": first["conversationId"]})
    assert response.status_code == 200, "snake_case is taken, and the conversation's own agent"
    numbers = await in_database(lambda: list(Message.objects.values_list("number", flat=True)))
    assert numbers == [1, 2, 3, 4, 5, 6]


async def test_it_answers_at_once_in_the_background(engine, alice, plays):
    plays([TextDelta("slow "), 0.2, TextDelta("answer"), Stop("end", (TextPart("slow answer"),), None)])
    person = await Person(alice).log_in()
    response = await person.post(
        "/api/invoke",
        {"agentId": "demo-agent", "message": "go", "background": True},
        Accept="text/event-stream",
    )
    assert response.status_code == 202
    accepted = response.json()
    assert accepted["streamUrl"] == f"/api/runs/{accepted['runId']}/stream"
    assert text_of(await chunks_of(accepted["runId"])) == "slow answer"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/invoke", {"agentId": "demo-agent", "message": "go"}),
        ("/api/agents/stream", {"agentId": "demo-agent", "input": "go", "context": {}}),
    ],
)
async def test_it_streams_the_run_as_events(engine, alice, plays, path, body):
    plays([TextDelta("a "), 0.1, TextDelta("b"), Stop("end", (TextPart("a b"),), None)])
    person = await Person(alice).log_in()
    response = await person.post(path, body, Accept="text/event-stream")
    assert response.status_code == 200 and response["Content-Type"].startswith("text/event-stream")
    assert response["Cache-Control"] == "no-cache, no-transform"
    assert (response["X-Accel-Buffering"], response["Content-Encoding"]) == ("no", "identity")
    events = await events_of(response)
    run = await in_database(Run.objects.get)
    assert events == await stored(run.pk)
    assert events[-1][1]["data"]["status"] == "complete" and text_of(events) == "a b"


async def test_it_goes_on_when_the_listener_leaves(engine, alice, plays):
    plays([TextDelta("kept "), 0.3, TextDelta("whole"), Stop("end", (TextPart("kept whole"),), None)])
    person = await Person(alice).log_in()
    response = await person.post("/api/agents/stream", {"agentId": "demo-agent", "input": "go"})
    stream = aiter(response.streaming_content)
    assert await anext(stream) == b": connected\n\n"
    assert (await anext(stream)).startswith(b"id: 1\ndata: {")
    await response.streaming_content.aclose() if hasattr(
        response.streaming_content, "aclose"
    ) else await stream.aclose()
    run = await in_database(Run.objects.get)
    assert text_of(await chunks_of(run.pk)) == "kept whole"


async def test_it_gives_one_run_for_one_key_sent_at_once(engine, alice, plays):
    plays("Once.", "Twice?")
    person = await Person(alice).log_in()
    body = {"agentId": "demo-agent", "message": "pay"}
    responses = await asyncio.gather(
        *[person.post("/api/invoke", body, Idempotency_Key="k-1") for _ in range(6)]
    )
    assert {r.status_code for r in responses} == {200}
    assert len({r.json()["runId"] for r in responses}) == 1
    assert await in_database(Message.objects.filter(role="user").count) == 1
    again = await person.post("/api/invoke", body | {"clientId": "k-1"})
    assert again.json()["runId"] == responses[0].json()["runId"], "clientId and Idempotency-Key are one"
    other = await person.post("/api/invoke", body | {"message": "pay more"}, Idempotency_Key="k-1")
    assert error_of(other) == (409, "idempotency_conflict")


async def test_it_tells_a_failed_run_with_its_error_and_partial(engine, alice, plays):
    plays(
        [TextDelta("Half"), AuthenticationFailed("Authentication error. Please check your API credentials.")]
    )
    done = await (await Person(alice).log_in()).ask("go")
    assert done["status"] == "failed" and done["message"]["content"] == "Half"
    assert done["error"]["code"] == "authentication_error" and "credentials" in done["error"]["message"]
    assert [chunk["type"] for chunk in done["chunks"]][-2:] == ["error", "metadata"]


async def test_it_refuses_clearly(engine, alice, bob, charlie, vera, plays):
    plays("ok")
    person = await Person(alice).log_in()
    done = await person.ask("mine", visibility="private")
    ask = {"agentId": "demo-agent", "message": "hi"}
    assert error_of(await person.post("/api/invoke", {"agentId": "no-such", "message": "x"})) == (
        404,
        "agent_not_found",
    )
    assert error_of(await person.post("/api/invoke", {"agentId": "demo-agent", "message": "  "})) == (
        422,
        "invalid_input",
    )
    assert error_of(await person.post("/api/invoke", {"agentId": "demo-agent", "message": 7}))[0] == 422
    assert error_of(await person.post("/api/invoke", ask | {"policy": "maybe"})) == (422, "invalid_request")
    assert error_of(await person.post("/api/invoke", b'{"agentId": ')) == (400, "invalid_json")
    assert error_of(await person.post("/api/invoke", b"[" * 100_000)) == (400, "invalid_json")
    assert error_of(await person.post("/api/invoke", b'"text"'))[0] == 422
    here = ask | {"conversationId": done["conversationId"]}
    for stranger in (bob, charlie):
        foreign = await (await Person(stranger).log_in()).post("/api/invoke", here)
        nowhere = await (await Person(stranger).log_in()).post(
            "/api/invoke", ask | {"conversationId": str(absent())}
        )
        assert error_of(foreign) == error_of(nowhere) == (404, "not_found")
        assert same_but_request_id(foreign, nowhere)
    assert error_of(await (await Person(vera).log_in()).post("/api/invoke", ask)) == (403, "forbidden")
    assert error_of(await (await Person(vera).log_in()).post("/api/invoke", {"nonsense": 1})) == (
        403,
        "forbidden",
    )
    assert await in_database(Run.objects.count) == 1


def same_but_request_id(one, two) -> bool:
    bodies = [response.json() for response in (one, two)]
    for body in bodies:
        assert len(body["error"].pop("requestId")) == 32
    return orjson.dumps(bodies[0]) == orjson.dumps(bodies[1]) and len(one.content) == len(two.content)


async def test_it_stores_what_no_database_takes(engine, alice, plays):
    plays("ok")
    done = await (await Person(alice).log_in()).ask(
        "nul \x00 and half \ud800 a pair".encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    )
    body = b'{"agentId": "demo-agent", "message": "nul \\u0000 half \\ud800"}'
    response = await (await Person(alice).log_in()).post("/api/invoke", body)
    assert response.status_code == 200
    texts = await in_database(
        lambda: list(Message.objects.filter(role="user").values_list("content", flat=True))
    )
    assert len(texts) == 2 and not any("\x00" in text for text in texts) and done["status"] == "complete"


async def test_it_wants_a_login_and_a_csrf_token(engine, alice, plays):
    plays("ok")
    body = {"agentId": "demo-agent", "message": "hi"}
    nobody = await Person(None).post("/api/invoke", body)
    assert error_of(nobody) == (401, "unauthorized") and "Bearer" in nobody["WWW-Authenticate"]
    person = await Person(alice).log_in()
    without = await person.client.post("/api/invoke", orjson.dumps(body), content_type="application/json")
    assert without.status_code == 403 and without.json()["error"]["code"] == "csrf_failed"
    assert await in_database(Run.objects.count) == 0
