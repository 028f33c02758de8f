"""Nothing of one workspace in another's frames and answers [I8]: a canary in every text, and random life.

Twenty workspaces with twenty sockets each: people join, leave, change roles, start runs, write together, move, upload, list, search,
and reach for the ids of other workspaces. Every frame and every answer is read: it may hold its own canary only.
Twenty thousand of them, while ten people a round join, leave or get another role; `NEXUS_TEST_LONG=1` makes it a million.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import orjson
import pytest

from agents.services import agent_create
from conversations.engine.start import EngineHost
from conversations.models import Upload
from conversations.services.conversations import conversation_create
from conversations.services.files import upload_create
from nexus_site.asgi import application
from realtime import allowance
from realtime.close_codes import CLOSE_LOGIN, CLOSE_NOT_ALLOWED
from realtime.hub import close_hub
from realtime.presence_news import close_news
from tests.security.things import ALL, PNG
from workspaces import limits
from workspaces.access import Actor, actor_for
from workspaces.database import in_database
from workspaces.models import Membership, Role, User
from workspaces.services import membership_remove, membership_set, workspace_create
from workspaces.tokens import token_create

Said = Callable[[str], None]
WORKSPACES, SOCKETS = 20, 20
LONG = bool(os.environ.get("NEXUS_TEST_LONG"))
WANTED = 1_000_000 if LONG else 20_000
LIVES, LIVES_WANTED = 10, 30
"""Of each round, and of the whole at least: people who join, leave or get another role."""
MOST_LEFT = 4
"""A round: whose socket ends hears nothing until they are back."""
CANARY = re.compile(rb"canary(\d\d)")
ASKED = {
    "/api/search": "?q=common", "/api/activities": "?limit=50", "/api/usage": "?groupBy=conversation",
    "/api/usage/attempts": "?limit=50",
}  # fmt: skip
"""What some lists are asked with, so that they tell more."""
LISTS = tuple(op.path + ASKED.get(op.path, "") for op in ALL if op.method == "get" and not op.ids)
"""Every address of the API that names no thing: a new one is asked by itself."""


@dataclass
class House:
    """One workspace, with what has an id in it."""

    number: int
    slug: str
    people: list[Actor] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    conversations: list[str] = field(default_factory=list)
    runs: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)

    @property
    def word(self) -> str:
        return f"canary{self.number:02d}"


class Watch:
    """Reads all that comes out of the application."""

    def __init__(self) -> None:
        self.frames = self.answers = 0
        self.closed: Counter[int] = Counter()
        self.lives: Counter[str] = Counter()
        self.foreign: list[str] = []
        self.own = 0

    @property
    def total(self) -> int:
        return self.frames + self.answers

    def read(self, number: int, text: bytes, what: str) -> None:
        for found in CANARY.findall(text):
            if int(found) == number:
                self.own += 1
            elif len(self.foreign) < 5:
                self.foreign.append(
                    f"{what} of workspace {number} has canary {found.decode()}: {text[:300]!r}"
                )


class Line:
    """One socket: the real ASGI application, spoken to without a network."""

    def __init__(self, house: House, who: int, watch: Watch) -> None:
        self.house, self.who, self.watch = house, who, watch
        self.inbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.open = asyncio.Event()
        headers = [(b"host", b"testserver"), (b"authorization", f"Bearer {house.tokens[who]}".encode())]
        scope = {
            "type": "websocket", "path": "/ws/", "query_string": b"", "headers": headers, "subprotocols": ["nexus.v1"],
            "client": ("127.0.0.1", 1), "scheme": "ws",
        }  # fmt: skip
        self.inbox.put_nowait({"type": "websocket.connect"})
        self.task = asyncio.create_task(application(scope, self.inbox.get, self._send))

    async def _send(self, message: dict[str, Any]) -> None:
        if message["type"] == "websocket.send":
            self.watch.frames += 1
            text = message["text"].encode()
            self.watch.read(self.house.number, text, "a frame")
            if text.startswith(b'{"type":"run.accepted"'):
                self.house.runs = [*self.house.runs[-20:], str(orjson.loads(text)["runId"])]
        if message["type"] == "websocket.close":
            self.watch.closed[message.get("code", 1000)] += 1
            self.inbox.put_nowait({"type": "websocket.disconnect", "code": 1000})
        self.open.set()

    def say(self, **frame: Any) -> None:
        self.inbox.put_nowait({"type": "websocket.receive", "text": orjson.dumps(frame).decode()})

    async def end(self) -> None:
        self.inbox.put_nowait({"type": "websocket.disconnect", "code": 1000})
        await asyncio.wait({self.task}, timeout=30)


def _houses() -> list[House]:
    houses = []
    for number in range(WORKSPACES):
        house = House(number, f"house-{number:02d}")
        workspace = workspace_create(name=f"{house.word} house", slug=house.slug)
        for n in range(SOCKETS // 2):
            user = User.objects.create(
                username=f"{house.word}-p{n}",
                name=f"{house.word} person {n}",
                email=f"{house.word}{n}@example.org",
            )
            role = (Role.OWNER, Role.ADMIN, Role.MEMBER, Role.MEMBER, Role.VIEWER)[n % 5]
            membership_set(workspace=workspace, user=user, role=role)
            house.people.append(actor_for(user, house.slug))
        houses.append(house)
    for house in houses:
        workspace = house.people[0].workspace
        # Half of the sockets belong to people without a canary of their own, who are in two workspaces.
        for n in range(SOCKETS // 2):
            user, made = User.objects.get_or_create(
                username=f"both-{house.number}-{n}", defaults={"name": "Both"}
            )
            membership_set(workspace=workspace, user=user, role=Role.MEMBER)
            beside = houses[(house.number + 1) % WORKSPACES].people[0].workspace
            membership_set(workspace=beside, user=user, role=Role.MEMBER)
            house.people.append(actor_for(user, house.slug))
        house.tokens = [
            token_create(user=one.user, workspace=workspace, name=f"{house.word} token").text
            for one in house.people
        ]
        agent_create(
            actor=house.people[0],
            fields={
                "name": f"{house.word} agent",
                "description": house.word,
                "provider": "scripted",
                "model": "demo",
            },
            slug="helper",
        )
        for n in range(6):
            visibility = ("workspace", "private", "shared")[n % 3]
            made_by = house.people[(0, 11)[n % 2]]
            made = conversation_create(
                actor=made_by, title=f"{house.word} title common {n}", visibility=visibility
            )
            house.conversations.append(str(made.pk))
        file = upload_create(actor=house.people[0], name=f"{house.word}.png", data=PNG)
        Upload.objects.filter(pk=file.pk).update(conversation_id=house.conversations[0])
        house.files.append(str(file.pk))
    return houses


@pytest.mark.django_db(transaction=True)
@pytest.mark.slow
@pytest.mark.timeout(7200 if LONG else 300)
async def test_no_canary_is_heard_in_another_workspace(
    settings: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch, told: Said
) -> None:
    settings.MEDIA_ROOT, settings.ALLOWED_HOSTS = tmp_path, ["testserver"]
    settings.NEXUS_OUTBOX_BYTES = 1 << 30
    monkeypatch.setattr(limits, "limit_hit", lambda *args, **options: None)
    monkeypatch.setattr("nexus_site.api_base.limit_hit", lambda *args, **options: None)
    monkeypatch.setattr(allowance, "FRAMES_AT_ONCE", 10**9)
    chance = random.Random(int(os.environ.get("NEXUS_TEST_SEED", "20261121")))
    houses = await in_database(_houses)
    host = EngineHost("web", lock=False)
    await host.start()
    watch = Watch()
    lines = [Line(house, n, watch) for house in houses for n in range(SOCKETS)]
    try:
        await asyncio.gather(*(line.open.wait() for line in lines))
        rounds = 0
        while (watch.total < WANTED or watch.lives.total() < LIVES_WANTED) and not watch.foreign:
            rounds += 1
            await _round(houses, lines, watch, chance)
        for line in lines:
            line.say(type="ping")
    finally:
        await asyncio.gather(*(line.end() for line in lines))
        await host.stop()
        await close_news()
        await close_hub()
    assert watch.foreign == []
    assert watch.own > watch.total // 4, "the canaries of one's own must be there, or nothing was looked at"
    ended = watch.closed[CLOSE_LOGIN] + watch.closed[CLOSE_NOT_ALLOWED]
    assert watch.lives["left"] and ended, "people must leave, and their sockets end by it"
    lives = ", ".join(f"{count} {what}" for what, count in sorted(watch.lives.items()))
    told(
        f"canaries: {WORKSPACES} workspaces x {SOCKETS} sockets, {watch.frames} frames and {watch.answers} answers in "
        f"{rounds} rounds, {watch.own} own canaries, {watch.lives.total()} lives ({lives}), {ended} sockets closed by "
        "them, no foreign canary"
    )


async def _round(houses: list[House], lines: list[Line], watch: Watch, chance: random.Random) -> None:
    """Everybody does something; then whatever is under way comes to its end."""
    for n, line in enumerate(lines):
        if line.task.done():
            lines[n] = line = await _back(line, watch)
        _frame(line, houses, chance)
    await in_database(_lives, houses, watch.lives, chance)
    asked = [(chance.choice(houses), chance.randrange(SOCKETS)) for _ in range(40)]
    await asyncio.gather(*(_ask(house, who, houses, watch, chance) for house, who in asked))
    await asyncio.sleep(0)


async def _back(line: Line, watch: Watch) -> Line:
    """Who was put out comes in again, with a new token."""

    def anew() -> str:
        actor = line.house.people[line.who]
        if _role_of(actor) is None:
            membership_set(workspace=actor.workspace, user=actor.user, role=Role.MEMBER)
            watch.lives["joined"] += 1
        return token_create(user=actor.user, workspace=actor.workspace, name=f"{line.house.word} token").text

    line.house.tokens[line.who] = await in_database(anew)
    made = Line(line.house, line.who, watch)
    await made.open.wait()
    return made


def _frame(line: Line, houses: list[House], chance: random.Random) -> None:
    house = line.house
    # One in ten reaches into another workspace.
    where = chance.choice(houses) if chance.random() < 0.1 else house
    conversation = chance.choice(where.conversations)
    text = f"{house.word} common words"
    kind = chance.randrange(11)
    if kind in (0, 1):
        line.say(
            type="activity.broadcast", activityType=house.word, metadata={"text": text, "at": conversation}
        )
    elif kind in (2, 3):
        line.say(type="subscribe", conversationId=conversation)
    elif kind == 4:
        line.say(type="unsubscribe", conversationId=conversation)
    elif kind == 5:
        line.say(
            type="presence.update",
            conversationId=conversation,
            activity="typing",
            selection={"start": 0, "end": chance.randrange(99), "filePath": f"{house.word}.py"},
        )
    elif kind == 6 and chance.random() < 0.15:
        line.say(
            type="run.start",
            clientId=str(UUID(int=chance.getrandbits(128), version=4)),
            agentId="demo-agent",
            input=f"{text}",
            **({"conversationId": conversation} if chance.random() < 0.8 else {"visibility": "private"}),
        )
    elif kind == 7:
        line.say(type="conversation.read", conversationId=conversation)
    elif kind == 9:
        line.say(type="draft.open", conversationId=conversation, text=text)
    elif kind == 10:
        line.say(type="draft.read", conversationId=conversation)
    elif where.runs:
        line.say(type="replay", runId=chance.choice(where.runs))


def _lives(houses: list[House], lives: Counter[str], chance: random.Random) -> None:
    """People join, go, and get other roles, and something gets made; by the services, as the pages do it."""
    before = lives["left"]
    for _ in range(LIVES):
        actor = chance.choice(houses).people[chance.randrange(1, SOCKETS)]  # the first one owns it, and stays
        workspace, user, role = actor.workspace, actor.user, _role_of(actor)
        if role is None:
            membership_set(workspace=workspace, user=user, role=Role.MEMBER)
            lives["joined"] += 1
        elif lives["left"] - before < MOST_LEFT and chance.random() < 0.5:
            membership_remove(workspace=workspace, user=user)
            lives["left"] += 1
        else:
            others = [one for one in (Role.VIEWER, Role.MEMBER, Role.ADMIN) if one != role]
            membership_set(workspace=workspace, user=user, role=chance.choice(others))
            lives["got a role"] += 1
    house, number = chance.choice(houses), chance.randrange(SOCKETS)
    if chance.random() < 0.5:
        made = conversation_create(actor=house.people[0], title=f"{house.word} later common")
        house.conversations[number % len(house.conversations)] = str(made.pk)
    else:
        file = upload_create(actor=house.people[0], name=f"{house.word}-{number}.png", data=PNG)
        house.files[0] = str(file.pk)


def _role_of(actor: Actor) -> str | None:
    """As it is now; None for who is out."""
    found = Membership.objects.filter(workspace=actor.workspace, user=actor.user)
    return found.values_list("role", flat=True).first()


async def _ask(house: House, who: int, houses: list[House], watch: Watch, chance: random.Random) -> None:
    """An HTTP request of somebody: a list, or a thing that may be another workspace's."""
    where = chance.choice(houses) if chance.random() < 0.4 else house
    things = [
        *(
            f"/api/conversations/{chance.choice(where.conversations)}{tail}"
            for tail in ("", "/messages", "/export", "/thread")
        ),
        f"/api/files/{where.files[0]}",
        f"/api/members/{chance.choice(where.people).user_id}",
        f"/api/conversations?workspace={where.slug}",
    ]
    address = chance.choice((*LISTS, *things))
    path, _, query = address.partition("?")
    headers = [(b"host", b"testserver"), (b"authorization", f"Bearer {house.tokens[who]}".encode())]
    scope = {
        "type": "http", "method": "GET", "path": path, "raw_path": path.encode(), "query_string": query.encode(),
        "headers": headers, "client": ("127.0.0.1", 1), "server": ("testserver", 80), "scheme": "http",
        "http_version": "1.1", "asgi": {"version": "3.0"},
    }  # fmt: skip
    body: list[bytes] = []
    waiting = asyncio.Event()
    sent = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> dict[str, Any]:
        if sent:
            return sent.pop()
        await waiting.wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        body.append(b" ".join(value for _, value in message.get("headers", ())) + message.get("body", b""))

    await application(scope, receive, send)
    watch.answers += 1
    watch.read(house.number, b"".join(body), address)
