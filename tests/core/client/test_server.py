"""The client against a real server, with a network between them that fails, and a server that dies.

What holds at the end of every test: the text that was read is the text in the database, once.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import AsyncIterator, Iterator

import pytest

from nexus_core.client import (
    ChunkAdded,
    Joined,
    NexusClient,
    NotFound,
    RunHandle,
    RunInProgress,
    Unauthorized,
)
from nexus_core.client.follow import read_log
from nexus_core.client.view import RunView, is_terminal
from tests.realtime.live import LiveServer

from .slow_model import SlowModel
from .tcp_proxy import TcpProxy

pytestmark = pytest.mark.slow


class Model:
    """A slow model on a loop of its own thread: it outlives each test's loop."""

    def __init__(self) -> None:
        self.model = SlowModel(count=90, pace=0.015)
        self.loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self.loop.run_until_complete, args=(self._serve(),))
        self._thread.start()
        assert self._ready.wait(60)

    async def _serve(self) -> None:
        async with self.model.running():
            self._ready.set()
            await self._stop.wait()

    def end(self) -> None:
        self.loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(60)


@pytest.fixture(scope="module")
def model() -> Iterator[SlowModel]:
    made = Model()
    yield made.model
    made.end()


@pytest.fixture(scope="module")
def server(model: SlowModel, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    made = LiveServer(
        "uvicorn",
        tmp_path_factory.mktemp("client"),
        OLLAMA_HOST=model.address,
        NEXUS_LEASE_SECONDS="3",
    )
    made.prepare("alice", "bob", owner="alice")
    made.start()
    yield made
    made.stop()


@pytest.fixture
async def proxy(server: LiveServer) -> AsyncIterator[TcpProxy]:
    if server.process is None or server.process.poll() is not None:
        await asyncio.to_thread(server.start)
    async with TcpProxy(server.port).running() as made:
        yield made


@pytest.fixture
async def nexus(server: LiveServer, proxy: TcpProxy) -> AsyncIterator[NexusClient]:
    """Alice's client, behind the proxy; the agent `slow` exists."""
    async with NexusClient(proxy.address, server.tokens["alice"]) as client:
        if "slow" not in [agent.id async for agent in client.agents.list()]:
            await client.agents.create(name="Slow", provider="ollama", model="slow")
        yield client


@pytest.fixture
def unhurried(model: SlowModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer takes seconds: what the test does in its middle happens in its middle also where that takes time."""
    monkeypatch.setattr(model, "pace", 0.06)


async def stored(nexus: NexusClient, run: RunHandle) -> RunView:
    """The run as the database has it: read from its log, and the answer's message with the same text."""
    view = RunView(run.run_id)
    async for seq, chunk in read_log(nexus.calls, run.run_id, 0):
        assert view.apply(seq, chunk)
    messages = [m async for m in nexus.conversations.messages(run.conversation_id) if m.run_id == run.run_id]
    assert [m.content for m in messages if m.role == "assistant"] == [view.text]
    assert len([m async for m in nexus.conversations.messages(run.conversation_id) if m.role == "user"]) == 1
    return view


async def check(nexus: NexusClient, run: RunHandle, seqs: list[int], text: str) -> None:
    view = await stored(nexus, run)
    assert seqs == list(range(1, view.last_seq + 1))
    assert run.view.text == view.text == text
    assert run.view.status == view.status == "complete"


async def read_on(run: RunHandle, seqs: list[int], until: int) -> None:
    """Reads until so many chunks came."""
    async for seq, _ in run.follow(run.view.last_seq):
        seqs.append(seq)
        if len(seqs) >= until:
            return


@pytest.mark.parametrize("watch", ["socket", "sse"])
async def test_it_reads_a_run_whole(
    nexus: NexusClient, server: LiveServer, proxy: TcpProxy, model: SlowModel, watch: str
) -> None:
    async with NexusClient(proxy.address, server.tokens["alice"], watch=watch) as client:  # type: ignore[arg-type]
        run = await client.start(agent_id="slow", input="Hello")
        seqs = [seq async for seq, _ in run.follow()]
        await check(client, run, seqs, model.text)
        answer = await (await client.run(run.run_id)).answer()
        assert answer.text == model.text
        assert answer.token_usage.output == model.count


@pytest.mark.parametrize("watch", ["socket", "sse"])
async def test_it_loses_and_doubles_nothing_when_its_connections_are_cut(
    nexus: NexusClient, server: LiveServer, proxy: TcpProxy, model: SlowModel, unhurried: None, watch: str
) -> None:
    async with NexusClient(proxy.address, server.tokens["alice"], watch=watch) as client:  # type: ignore[arg-type]
        run = await client.start(agent_id="slow", input="Cut me")
        seqs: list[int] = []
        cuts = 0
        async for seq, _ in run.follow():
            seqs.append(seq)
            # A slow machine puts more words into a chunk: there may be few of them.
            if seq % 3 == 0 and cuts < 6:
                cuts += proxy.cut() > 0
        assert cuts >= 3
        await check(client, run, seqs, model.text)


async def test_it_finds_a_black_hole_and_goes_on(
    nexus: NexusClient, proxy: TcpProxy, model: SlowModel, unhurried: None
) -> None:
    """The link is silent, nothing closes: here the ping finds it. The machine's wake is what asks for it at once."""
    run = await nexus.start(agent_id="slow", input="Swallow me")
    seqs: list[int] = []
    await read_on(run, seqs, 5)
    rest = asyncio.create_task(read_on(run, seqs, 10_000))
    proxy.black_hole = True
    await asyncio.sleep(0)
    nexus.wake()
    async with asyncio.timeout(40):
        while nexus.link.status == "live":
            await asyncio.sleep(0.05)
    proxy.black_hole = False
    proxy.cut()
    await asyncio.wait_for(rest, 90)
    await check(nexus, run, seqs, model.text)


async def test_it_reads_over_a_slow_network(nexus: NexusClient, proxy: TcpProxy, model: SlowModel) -> None:
    proxy.delay = 0.2
    run = await nexus.start(agent_id="slow", input="Slowly")
    seqs = [seq async for seq, _ in run.follow()]
    proxy.delay = 0
    await check(nexus, run, seqs, model.text)


async def test_it_falls_back_to_events_behind_a_proxy_that_knows_no_sockets(
    nexus: NexusClient, server: LiveServer, proxy: TcpProxy, model: SlowModel
) -> None:
    proxy.no_sockets = True
    async with NexusClient(proxy.address, server.tokens["alice"]) as client:
        run = await client.start(agent_id="slow", input="No sockets here")
        seqs = [seq async for seq, _ in run.follow()]
        assert client.link.status == "blocked"
        await check(client, run, seqs, model.text)


async def test_it_watches_a_conversation_behind_a_proxy_that_knows_no_sockets(
    nexus: NexusClient, server: LiveServer, proxy: TcpProxy, model: SlowModel
) -> None:
    conversation = await nexus.conversations.create(agent_id="slow")
    proxy.no_sockets = True
    async with (
        NexusClient(proxy.address, server.tokens["alice"]) as client,
        client.conversation(conversation.id) as live,
    ):
        run = await live.send("No sockets here either", agent_id="slow")
        seqs: list[int] = []
        async with asyncio.timeout(60):
            async for event in live:
                if isinstance(event, ChunkAdded) and event.run_id == run.run_id:
                    seqs.append(event.seq)
                    if is_terminal(event.chunk):
                        break
        view = await stored(client, run)
        assert seqs == list(range(1, view.last_seq + 1))
        assert live.view.runs[run.run_id].text == view.text == model.text


async def test_it_starts_one_run_however_often_it_must_ask(
    nexus: NexusClient, proxy: TcpProxy, model: SlowModel
) -> None:
    """R20: the answer to the start is lost again and again; there is one message and one run."""
    starting = asyncio.create_task(nexus.start(agent_id="slow", input="Only once"))
    for _ in range(4):
        await asyncio.sleep(0.15)
        proxy.cut()
    run = await asyncio.wait_for(starting, 60)
    seqs = [seq async for seq, _ in run.follow()]
    await check(nexus, run, seqs, model.text)
    found = [one async for one in nexus.conversations.list(search="Only once")]
    assert len(found) == 1


async def test_it_goes_on_when_the_server_is_killed_and_started_again(
    nexus: NexusClient, server: LiveServer, proxy: TcpProxy, model: SlowModel, unhurried: None
) -> None:
    """kill -9 in the middle of a run: the next server takes it up, and what was withdrawn is withdrawn here too."""
    run = await nexus.start(agent_id="slow", input="Survive")
    seqs: list[int] = []
    await read_on(run, seqs, 5)
    rest = asyncio.create_task(read_on(run, seqs, 10_000))
    assert server.process is not None
    server.process.send_signal(signal.SIGKILL)
    await asyncio.to_thread(server.process.wait)
    asked = asyncio.create_task(nexus.start(agent_id="slow", input="Asked while nobody was there"))
    await asyncio.sleep(0.5)
    assert not rest.done()
    await asyncio.to_thread(server.start)
    await asyncio.wait_for(rest, 60)
    await check(nexus, run, seqs, model.text)
    assert run.view.epoch >= 2
    late = await asyncio.wait_for(asked, 60)
    assert (await late.answer()).text == model.text


async def test_it_comes_back_when_the_server_restarts_in_good_order(
    nexus: NexusClient, server: LiveServer, proxy: TcpProxy, model: SlowModel, unhurried: None
) -> None:
    run = await nexus.start(agent_id="slow", input="Restart")
    seqs: list[int] = []
    await read_on(run, seqs, 5)
    rest = asyncio.create_task(read_on(run, seqs, 10_000))
    server.terminate()
    assert server.process is not None
    ended = await asyncio.to_thread(server.process.wait, 60)
    assert ended in (
        0,
        -signal.SIGTERM,
    )  # uvicorn ends by the signal it was sent, once it has closed everything
    async with asyncio.timeout(40):  # the server's end may be known here before its last words are read
        while nexus.link.last_code not in (1012, 4012):
            await asyncio.sleep(0.05)
    await asyncio.to_thread(server.start)
    await asyncio.wait_for(rest, 60)
    await check(nexus, run, seqs, model.text)


async def test_a_conversation_is_told_whole_over_cuts(
    nexus: NexusClient, server: LiveServer, proxy: TcpProxy, model: SlowModel
) -> None:
    made = await nexus.conversations.create(title="Live", agent_id="slow")
    text, joined = RunView("x"), 0
    async with nexus.conversation(made.id) as live:
        run = await live.send("Hello", agent_id="slow")
        async with asyncio.timeout(60):
            async for event in live:
                joined += isinstance(event, Joined)
                if isinstance(event, ChunkAdded):
                    assert text.apply(event.seq, event.chunk)
                    if event.seq == 10:
                        proxy.cut()
                if not text.live:
                    break
        assert text.text == model.text
        assert live.view.runs[run.run_id].text == model.text
    assert joined >= 2


async def test_it_stops_and_resumes_a_run(nexus: NexusClient, model: SlowModel, unhurried: None) -> None:
    run = await nexus.start(agent_id="slow", input="Stop me")
    await read_on(run, [], 5)
    await run.cancel()
    stopped = await run.answer()
    assert stopped.status == "cancelled"
    assert stopped.text
    assert model.text.startswith(stopped.text)
    again = await run.resume()
    assert (await again.answer()).text == model.text
    assert (await again.status()).resumed_from == run.run_id


async def test_it_raises_the_servers_refusals(
    nexus: NexusClient, server: LiveServer, proxy: TcpProxy, unhurried: None
) -> None:
    with pytest.raises(NotFound):
        await nexus.start(agent_id="nobody", input="x")
    with pytest.raises(NotFound):
        async with nexus.conversation("00000000-0000-4000-8000-000000000000"):
            pass
    run = await nexus.start(agent_id="slow", input="x")
    with pytest.raises(RunInProgress):
        await nexus.start(agent_id="slow", input="y", conversation_id=run.conversation_id)
    await run.cancel()
    async with NexusClient(proxy.address, "nxs_wrong") as stranger:
        with pytest.raises(Unauthorized):
            await stranger.me()


async def test_it_ends_with_a_typed_error_when_its_token_is_revoked(
    nexus: NexusClient, server: LiveServer, proxy: TcpProxy, unhurried: None
) -> None:
    token = await nexus.tokens.create("short-lived")
    assert token.token is not None
    async with NexusClient(proxy.address, token.token) as client:
        run = await client.start(agent_id="slow", input="x")
        seqs: list[int] = []
        await read_on(run, seqs, 3)
        rest = asyncio.create_task(read_on(run, seqs, 10_000))
        await nexus.tokens.revoke(token.id)
        async with asyncio.timeout(40):
            with pytest.raises(Unauthorized):
                await rest
    await (await nexus.run(run.run_id)).cancel()


async def test_it_reads_the_rest_of_the_api(nexus: NexusClient, model: SlowModel) -> None:
    run = await nexus.start(agent_id="slow", input="Quokka")
    await run.answer()
    assert (await nexus.me()).role == "owner"
    assert {member.name async for member in nexus.members()} == {"alice", "bob"}
    assert "Quokka" in [hit.snippet async for hit in nexus.search("quokka")]
    usage = await nexus.usage("all", group_by="agent")
    assert usage.totals.token_usage.output >= model.count
    assert [line.key for line in usage.items] == ["slow"]
    assert (await nexus.usage_csv("all")).count(b"\n") >= 2
    assert model.text.strip().encode() in await nexus.conversations.export(run.conversation_id, format="md")
    assert [a.activity_type async for a in nexus.activities()]
    assert "search_messages" in [tool.name async for tool in nexus.tools.list()]
    assert [call async for call in nexus.conversations.tool_calls(run.conversation_id)] == []
    renamed = await nexus.conversations.update(run.conversation_id, title="Named", pinned=True)
    assert (renamed.title, renamed.pinned) == ("Named", True)
    await nexus.conversations.delete(run.conversation_id)
    with pytest.raises(NotFound):
        await nexus.conversations.get(run.conversation_id)
    assert (await nexus.conversations.restore(run.conversation_id)).title == "Named"
    pixel = bytes.fromhex(
        "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
        "1f15c4890000000d49444154789c6360000000000300010000000a2db40000000049454e44ae426082"
    )
    file = await nexus.files.upload(pixel, name="dot.png")
    assert (file.media_type, await nexus.files.download(file.file_id)) == ("image/png", pixel)
    async with nexus.conversation(run.conversation_id):
        assert [here.name for here in await nexus.presence()] == ["alice"]
