"""Hub and publish: who hears what, in which order, and what a delivery costs."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest
from django.db import transaction

from realtime.frames import Frame, make_frame
from realtime.hub import close_hub, hub
from realtime.publish import publish, publish_after_commit
from realtime.rooms import conversation_room, user_room, workspace_room
from workspaces.access import Actor
from workspaces.database import in_database

from .conftest import Connect


class Ear:
    def __init__(self) -> None:
        self.heard: list[str] = []
        self.rung = asyncio.Event()

    def receive(self, room: str, frames: Sequence[Frame]) -> None:
        self.heard += [frame.type for frame in frames]
        self.rung.set()

    async def hears(self, count: int) -> list[str]:
        async with asyncio.timeout(20):
            while len(self.heard) < count:
                self.rung.clear()
                await self.rung.wait()
        return self.heard


async def test_it_tells_the_room_and_nobody_else() -> None:
    here, there = Ear(), Ear()
    hub().join("a", here)
    hub().join("b", there)
    publish("a", make_frame("one"), make_frame("two"))
    assert (here.heard, there.heard) == (["one", "two"], [])
    hub().leave("a", here)
    publish("a", make_frame("three"))
    assert here.heard == ["one", "two"]
    assert hub().rooms() == ["b"]
    await close_hub()


async def test_it_takes_frames_from_any_thread_in_order() -> None:
    ear = Ear()
    hub().join("a", ear)

    def shout() -> None:
        for n in range(200):
            publish("a", make_frame(str(n)))

    thread = threading.Thread(target=shout)
    thread.start()
    assert await ear.hears(200) == [str(n) for n in range(200)]
    thread.join()
    await close_hub()


async def test_it_outlives_a_member_that_fails(caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        def receive(self, room: str, frames: Sequence[Frame]) -> None:
            raise ValueError("broken")

    ear = Ear()
    hub().join("a", Broken())
    hub().join("a", ear)
    publish("a", make_frame("one"))
    assert ear.heard == ["one"]
    assert "failed" in caplog.text
    await close_hub()


def test_it_is_silent_where_nobody_can_hear() -> None:
    publish("a", make_frame("one"))


@pytest.mark.django_db(transaction=True)
async def test_it_tells_only_after_the_commit(connect: Connect, alice: Actor) -> None:
    socket = await connect(alice)
    room = workspace_room(alice.workspace_id)

    def commit_and_roll_back() -> None:
        with transaction.atomic():
            publish_after_commit(room, make_frame("test.stored"))
        try:
            with transaction.atomic():
                publish_after_commit(room, make_frame("test.lost"))
                raise ValueError
        except ValueError:
            pass

    await in_database(commit_and_roll_back)
    await socket.next("test.stored")
    assert "test.lost" not in [frame["type"] for frame in await socket.settled()]


@pytest.mark.django_db(transaction=True)
async def test_it_keeps_workspaces_apart(connect: Connect, alice: Actor, charlie: Actor) -> None:
    ours, theirs = await connect(alice), await connect(charlie)
    publish(workspace_room(alice.workspace_id), make_frame("test.secret"))
    publish(user_room(alice.user_id), make_frame("test.personal"))
    await ours.next("test.secret")
    await ours.next("test.personal")
    types = {frame["type"] for frame in await theirs.settled()}
    assert types <= {"welcome", "presence.changed", "activity.recorded", "pong"}
    assert str(alice.user_id) not in str(theirs.seen)


@pytest.mark.django_db(transaction=True)
async def test_it_never_shows_control_frames(connect: Connect, alice: Actor) -> None:
    socket = await connect(alice)
    publish(user_room(alice.user_id), make_frame("control.recheck"))
    assert "control.recheck" not in [frame["type"] for frame in await socket.settled()]


@pytest.mark.django_db(transaction=True)
async def test_it_needs_no_thread_to_deliver_a_frame(
    connect: Connect, alice: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    socket = await connect(alice)
    await socket.next("activity.recorded", activityType="user-joined")  # the connect's own work is done
    await socket.settled()
    hops: list[Any] = []
    submit = ThreadPoolExecutor.submit
    monkeypatch.setattr(
        ThreadPoolExecutor, "submit", lambda pool, *a, **k: hops.append(a) or submit(pool, *a, **k)
    )
    for n in range(50):
        publish(workspace_room(alice.workspace_id), make_frame("test.beat", n=n))
    for n in range(50):
        await socket.next("test.beat", n=n)
    assert hops == []


def test_it_names_rooms_of_one_kind_only_alike() -> None:
    one = uuid4()
    assert len({workspace_room(one), conversation_room(one), user_room(one)}) == 3
    assert conversation_room(one) == conversation_room(str(one).upper())
    with pytest.raises(ValueError, match="badly formed"):
        conversation_room("../" + "0" * 30)


def test_it_writes_whatever_a_value_is() -> None:
    frame = make_frame("x", big=2**70, text="a\ud800b", when=uuid4())
    assert '"big":1180591620717411303424' in frame.text
