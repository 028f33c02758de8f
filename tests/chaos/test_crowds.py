"""Many at once at a real embedded server: a hundred runs on SQLite, three hundred clients that come back together."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from chaos.checks import check_all
from chaos.checks.health import Logs
from chaos.checks.promises import check_client_ids
from chaos.clients.doors import Door
from chaos.clients.socket import SocketWatcher
from chaos.cluster import Cluster, Plan
from chaos.play import Play, PlayStep, answer_text
from chaos.plays import text_play, tool_play
from chaos.provider import ChaosProvider
from chaos.proxy import FaultProxy
from chaos.scene import Scene, WatchedRun
from nexus_core.client import LiveConversation, NexusClient, RunHandle, RunView
from nexus_core.client.link import Link
from nexus_core.client.transport import WebTransport

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(600)]
USERS, RUNS_EACH = 20, 5
CLIENTS = 300
AT_ONCE = 30
MOST_QUERIES = 14
"""Of one client that comes back to a conversation: who it is, may it, and the snapshot, each part by one query."""
MOST_QUERIES_OF_A_RUN = 120
"""A few for each of its twenty pieces, some for its beginning and its end."""


@dataclass(frozen=True, slots=True)
class House:
    cluster: Cluster
    provider: ChaosProvider
    session: aiohttp.ClientSession

    def scene(self) -> Scene:
        return Scene(self.cluster, self.provider, random.Random(4), self.session)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """One server for both, since starting it is what takes long."""
    folder: Path = tmp_path_factory.mktemp("crowds")
    async with (
        ChaosProvider(folder) as provider,
        Cluster(Plan("embedded", lease=None), folder, provider.url) as cluster,
        aiohttp.ClientSession() as session,
    ):
        yield House(cluster, provider, session)


async def cut_and_wait(proxy: FaultProxy, clients: Sequence[NexusClient]) -> int:
    """Cuts every connection and waits until all clients are there again; how many connections that took."""
    known = len(proxy.arrivals)
    proxy.cut()
    async with asyncio.timeout(120):
        while len(proxy.arrivals) < known + len(clients) or any(c.link.status != "live" for c in clients):
            await asyncio.sleep(0.02)
    return len(proxy.arrivals) - known


def spread(waits: Sequence[float]) -> float:
    """Seconds in which the middle four fifths of them end."""
    ordered = sorted(waits)
    return ordered[len(ordered) * 9 // 10] - ordered[len(ordered) // 10]


def view_of(live: LiveConversation, run: RunHandle) -> RunView | None:
    return live.view.runs.get(run.run_id)


async def test_twenty_users_with_five_runs_each_find_no_locked_database_and_lose_nothing(
    house: House,
) -> None:
    scene, logs = house.scene(), Logs(house.cluster)
    logs.new_faults()
    jobs: list[asyncio.Task[None]] = []
    for n in range(USERS * RUNS_EACH):
        key = f"crowd-{n}"
        play = text_play(scene.dice, key, words=20) if n % 2 else tool_play(scene.dice, key)
        run = WatchedRun(play, ("openai", "anthropic")[n % 2], key)
        door = Door(house.cluster.people[n % USERS], house.cluster.ports, scene.dice)
        asked = {"clientId": key, "agentId": run.agent, "input": play.message()}
        sender = SocketWatcher("sender", door, start=asked)
        run.watchers.append(sender)
        scene.runs.append(run)
        jobs.append(asyncio.create_task(sender.watch()))
    try:
        async with asyncio.timeout(300):
            for run in scene.runs:
                sender = run.watchers[0]
                assert isinstance(sender, SocketWatcher)
                run.started = await sender.started
                await sender.ended.wait()
    finally:
        for job in jobs:
            job.cancel()
        await asyncio.gather(*jobs, return_exceptions=True)
    for run in scene.runs:
        assert run.started is not None
        run.stored = await house.cluster.inspector.stored(run.started.run_id)
        assert run.stored.run["status"] == "complete"
    assert check_all(scene) == []
    assert await check_client_ids(scene) == []
    assert logs.new_faults() == []  # "database is locked" is one of its signs


async def test_three_hundred_clients_that_are_cut_off_at_once_come_back_in_disorder_and_lose_nothing(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    delay = Link._delay

    def noted(link: Link, *why: Any) -> float:
        waits.append(delay(link, *why))
        return waits[-1]

    node = house.cluster.webs[0]
    async with FaultProxy(("127.0.0.1", node.port)) as proxy, AsyncExitStack() as stack:
        url = f"http://127.0.0.1:{proxy.port}"
        people = house.cluster.people
        line = WebTransport(url)  # one for all: making three hundred is what would take long
        clients = [NexusClient(url, people[n % USERS].token, transport=line) for n in range(CLIENTS)]
        for client in clients:
            stack.push_async_callback(client.close)
        talks = [Play(f"stampede-{n}", (PlayStep(words=8, pace_ms=1),)) for n in range(USERS)]
        begun = [
            await clients[n].start(agent_id="openai", input=talk.message()) for n, talk in enumerate(talks)
        ]
        for run in begun:
            await run.answer()
        rooms = [client.conversation(begun[n % USERS].conversation_id) for n, client in enumerate(clients)]
        lives: list[LiveConversation] = []
        for first in range(0, CLIENTS, AT_ONCE):  # that they come back at once is what is tried
            some = rooms[first : first + AT_ONCE]
            lives += await asyncio.gather(*(stack.enter_async_context(room) for room in some))

        answers = [Play(f"stampede-{n}-b", (PlayStep(words=20, pace_ms=120),)) for n in range(USERS)]
        again = [
            await clients[n].start(
                agent_id="openai", input=talk.message(), conversation_id=begun[n].conversation_id
            )
            for n, talk in enumerate(answers)
        ]
        async with asyncio.timeout(60):
            while not any((view := view_of(lives[n], run)) and view.text for n, run in enumerate(again)):
                await asyncio.sleep(0.02)
        before = (await node.pulse())["queries"]
        # How long they mean to wait: when they came says also how long this process stood still.
        monkeypatch.setattr(Link, "_delay", noted)
        connections = await cut_and_wait(proxy, clients)
        assert len(waits) >= CLIENTS and spread(waits) > 0.3, "they come back in step"
        async with asyncio.timeout(120):
            while not all(
                (view := view_of(live, again[n % USERS])) and view.status == "complete"
                for n, live in enumerate(lives)
            ):
                await asyncio.sleep(0.05)
        for n, live in enumerate(lives):
            run = again[n % USERS]
            assert live.view.runs[run.run_id].text == answer_text(answers[n % USERS].key, 0, 0, 20)
        spent = (await node.pulse())["queries"] - before
        most = MOST_QUERIES * connections + MOST_QUERIES_OF_A_RUN * USERS
        assert spent <= most, f"{spent} queries for {connections} connections"
