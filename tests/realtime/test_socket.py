"""The socket's manners: welcome, answers, refusals, limits."""

from __future__ import annotations

import asyncio
import uuid

import pytest
from django.db import OperationalError

from realtime.consumer import NexusConsumer
from realtime.frames import CLIENT_FRAMES, ClientFrame, Handler, make_frame
from realtime.publish import publish
from realtime.rooms import workspace_room
from realtime.wire import Wire
from workspaces.access import Actor

from .conftest import Connect


def row_of(type_: str, handler: Handler) -> ClientFrame:
    return ClientFrame(model=Wire, type=type_, handler=handler, writes=False, doc="")


pytestmark = pytest.mark.django_db(transaction=True)


async def test_it_says_who_you_are_first(connect: Connect, alice: Actor) -> None:
    socket = await connect(alice)
    welcome = socket.seen[0]
    assert welcome["type"] == "welcome"
    assert welcome["user"] == {"id": str(alice.user_id), "name": "Alice"}
    assert welcome["workspace"]["slug"] == "acme"
    assert welcome["protocol"] == 1
    assert welcome["heartbeatSeconds"] == 30
    assert welcome["connectionId"]


async def test_it_repeats_the_id_of_a_frame_in_its_answer(connect: Connect, alice: Actor) -> None:
    socket = await connect(alice)
    assert await socket.ask({"type": "ping", "id": "p-1"}, "pong") == {"type": "pong", "id": "p-1"}


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ("{broken", "invalid_json"),
        ('"text"', "invalid_frame"),
        ("[1, 2]", "invalid_frame"),
        ("{}", "invalid_frame"),
        ('{"type": 7}', "invalid_frame"),
        ('{"type": "no.such.frame"}', "unknown_frame"),
        ('{"type": "presence.update", "activity": "dancing"}', "invalid_frame"),
        (
            '{"type": "presence.update", "conversationId": "00000000-0000-4000-8000-000000000000"}',
            "not_found",
        ),
        ('{"type": "activity.broadcast"}', "invalid_frame"),
        ("[" * 100_000, "invalid_json"),
        ('{"type": "ping", "id": "\\ud800"}', "invalid_json"),
    ],
)
async def test_it_answers_a_bad_frame_and_stays_open(
    connect: Connect, alice: Actor, sent: str, code: str
) -> None:
    socket = await connect(alice)
    await socket.send(sent)
    error = await socket.next("error")
    assert error["code"] == code
    assert error["message"]
    await socket.ask({"type": "ping"}, "pong")


async def test_it_names_the_bad_field_and_the_frame(connect: Connect, alice: Actor) -> None:
    socket = await connect(alice)
    error = await socket.ask({"type": "presence.update", "id": 4, "cursor": {"x": "left", "y": 1}}, "error")
    assert error["id"] == 4
    assert "cursor.x" in error["message"]


async def test_it_takes_snake_case_and_bytes_too(connect: Connect, alice: Actor) -> None:
    socket = await connect(alice)
    await socket.send(b'{"type": "activity.broadcast", "activity_type": "file-opened", "metadata": {}}')
    assert (await socket.next("activity.recorded", activityType="file-opened"))["userId"] == str(
        alice.user_id
    )


async def test_it_closes_at_a_frame_over_the_limit(connect: Connect, alice: Actor, settings) -> None:
    settings.NEXUS_FRAME_BYTES = 1000
    socket = await connect(alice)
    await socket.send('{"type":"ping","x":"%s"}' % ("é" * 400))
    await socket.next("pong")
    await socket.send('{"type":"ping","x":"%s"}' % ("é" * 500))
    assert await socket.closes() == 4009


async def test_it_closes_at_a_flood(connect: Connect, alice: Actor) -> None:
    socket = await connect(alice)
    await socket.send(*[{"type": "ping"}] * 1500)
    assert await socket.closes() == 4429


async def test_it_lets_a_hundred_frames_through_at_once(connect: Connect, alice: Actor) -> None:
    socket = await connect(alice)
    await socket.send(*[{"type": "ping", "id": n} for n in range(200)])
    for n in range(200):
        await socket.next("pong", id=n)


async def test_it_keeps_no_task_for_a_socket_that_asks_nothing(connect: Connect, alice: Actor) -> None:
    def answering() -> int:
        return sum(task.get_name() == "socket-answers" for task in asyncio.all_tasks())

    socket = await connect(alice)
    assert answering() == 0
    for n in range(3):
        await socket.send({"type": "ping", "id": n}, {"type": "ping", "id": n + 100})
        await socket.next("pong", id=n)
        await socket.next("pong", id=n + 100)
        async with asyncio.timeout(20):
            while answering():
                await asyncio.sleep(0)


async def test_it_refuses_a_viewers_writes_and_answers_their_reads(connect: Connect, vera: Actor) -> None:
    socket = await connect(vera)
    error = await socket.ask(
        {"type": "activity.broadcast", "activityType": "x", "metadata": {}, "id": 1}, "error"
    )
    assert (error["code"], error["id"]) == ("forbidden", 1)
    error = await socket.ask(
        {"type": "run.start", "clientId": "c", "agentId": "demo-agent", "input": "hi"}, "error"
    )
    assert error["code"] == "forbidden"
    await socket.ask({"type": "ping"}, "pong")


async def test_it_lets_live_frames_follow_the_answer_that_they_belong_behind(
    connect: Connect, alice: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A handler joins a room, takes a picture of the state, answers: what happened meanwhile comes after it."""

    async def handler(socket: NexusConsumer, frame: Wire) -> dict[str, object]:
        socket.join("test.room")
        publish("test.room", make_frame("test.live"))
        return {"type": "test.answer"}

    monkeypatch.setitem(CLIENT_FRAMES, "test.ask", row_of("test.ask", handler))
    socket = await connect(alice)
    await socket.send({"type": "test.ask", "id": 1})
    await socket.next("test.live")
    order = [frame["type"] for frame in socket.seen if frame["type"].startswith("test.")]
    assert order == ["test.answer", "test.live"]


async def test_it_drops_a_socket_whose_handler_never_ends_before_memory_fills(
    connect: Connect, alice: Actor, monkeypatch: pytest.MonkeyPatch, settings
) -> None:
    settings.NEXUS_OUTBOX_BYTES = 10_000
    at_work = asyncio.Event()

    async def handler(socket: NexusConsumer, frame: Wire) -> None:
        at_work.set()
        await asyncio.Event().wait()

    monkeypatch.setitem(CLIENT_FRAMES, "test.hang", row_of("test.hang", handler))
    socket = await connect(alice)
    await socket.send({"type": "test.hang"})
    await at_work.wait()
    for _ in range(20):
        publish(workspace_room(alice.workspace_id), make_frame("test.noise", x="y" * 1000))
    assert await socket.closes() == 4008


async def test_it_is_not_deaf_after_a_fault_of_ours(
    connect: Connect, alice: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = ClientFrame(model=None, type="test.broken", handler=row_of, writes=False, doc="")  # type: ignore[arg-type]
    monkeypatch.setitem(CLIENT_FRAMES, "test.broken", broken)
    socket = await connect(alice)
    assert (await socket.ask({"type": "test.broken"}, "error"))["code"] == "unexpected_error"
    await socket.ask({"type": "ping"}, "pong")


async def test_it_answers_a_failing_handler_once_and_logs_it_once(
    connect: Connect, alice: Actor, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def handler(socket: NexusConsumer, frame: Wire) -> None:
        raise ZeroDivisionError("secret detail")

    monkeypatch.setitem(CLIENT_FRAMES, "test.fail", row_of("test.fail", handler))
    socket = await connect(alice)
    error = await socket.ask({"type": "test.fail", "id": "x"}, "error")
    assert (error["id"], error["code"]) == ("x", "unexpected_error")
    assert "secret detail" not in str(error)
    await socket.ask({"type": "ping"}, "pong")
    assert len([record for record in caplog.records if record.exc_info]) == 1


async def test_it_sends_a_socket_away_for_a_moment_when_the_database_is_gone(
    connect: Connect, alice: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object) -> None:
        raise OperationalError("gone")

    monkeypatch.setattr("conversations.frames.access_run", gone)
    socket = await connect(alice)
    await socket.send({"type": "replay", "runId": str(uuid.uuid4()), "after": 0})
    assert await socket.closes() == 4012
    assert "error" not in [frame["type"] for frame in socket.seen]
