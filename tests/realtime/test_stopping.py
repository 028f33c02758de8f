"""SIGTERM: a web process sends its clients back and is gone; a worker hands over. A run notices nothing but a reset."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import psycopg
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from nexus_core.client import NexusClient, RunView
from nexus_core.client.follow import read_log
from tests.core.client.slow_model import SlowModel
from tests.moments import Pauses

from .live import ROOT, Kind, LiveServer

pytestmark = [pytest.mark.slow, pytest.mark.once]
MOST_SECONDS = 10.0


@asynccontextmanager
async def serving(kind: Kind, data_dir: Path, model: SlowModel, **env: str) -> AsyncIterator[LiveServer]:
    """A server with Alice, and an agent `slow` that the model answers for."""
    server = LiveServer(kind, data_dir, OLLAMA_HOST=model.address, **env)
    await asyncio.to_thread(server.prepare, "alice", owner="alice")
    await asyncio.to_thread(server.start)
    try:
        async with client_of(server) as nexus:
            await nexus.agents.create(name="Slow", provider="ollama", model="slow")
        yield server
    finally:
        await asyncio.to_thread(server.stop)


def client_of(server: LiveServer) -> NexusClient:
    return NexusClient(f"http://127.0.0.1:{server.port}", server.tokens["alice"])


async def until(true: Callable[[], Any]) -> None:
    async with asyncio.timeout(100):
        while not true():
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("kind", ["uvicorn", "daphne"])
async def test_a_web_process_sends_everyone_back_and_is_gone(
    kind: Kind, tmp_path: Path, pauses: Pauses
) -> None:
    """With a socket, a stream and a waiting answer open on a run that would take minutes."""
    async with (
        SlowModel(count=20_000, pace=0.01).running() as model,
        serving(kind, tmp_path, model) as server,
        client_of(server) as nexus,
        httpx2.AsyncClient(timeout=60) as http,
    ):
        run = await nexus.start(agent_id="slow", input="Take your time")
        url, headers = nexus.base_url, nexus.calls.headers
        lines: list[str] = []
        ended: dict[str, Any] = {}

        async def stream() -> None:
            try:
                async with http.stream("GET", f"{url}/api/runs/{run.run_id}/stream", headers=headers) as got:
                    async for line in got.aiter_lines():
                        lines.append(line)
            except httpx2.RemoteProtocolError:
                ended["stream"] = "cut"
            else:
                ended["stream"] = "ended"

        async def wait() -> None:
            body = {"agentId": "slow", "message": "I wait"}
            try:
                ended["answer"] = (
                    await http.post(f"{url}/api/invoke", headers=headers, json=body)
                ).status_code
            except httpx2.RemoteProtocolError:
                ended["answer"] = "cut"

        async with connect(server.address, additional_headers=headers) as ws:
            await ws.recv()
            tasks = [asyncio.create_task(stream()), asyncio.create_task(wait())]
            await until(lambda: model.asked == 2 and len(lines) > 20)
            began = time.monotonic() - pauses.seconds
            server.terminate()
            with pytest.raises(ConnectionClosed) as closed:
                while True:
                    await ws.recv()
        assert server.process is not None
        status = await asyncio.to_thread(server.process.wait, 60)
        assert time.monotonic() - pauses.seconds - began < MOST_SECONDS
        assert status in (0, -signal.SIGTERM)  # uvicorn ends by the signal it was sent
        await asyncio.gather(*tasks)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 4012
        if kind == "uvicorn":
            assert ended == {"stream": "ended", "answer": 202}
        else:
            assert set(ended) == {"stream", "answer"}
        assert "Traceback" not in server.text()

        # Nothing is lost: the next process goes on, and who follows reads on.
        assert '"complete"' not in "".join(lines)
        await asyncio.to_thread(server.start)
        seen = (await run.status()).last_seq
        async with asyncio.timeout(60):
            async for seq, _ in run.follow(0):
                if seq > seen + 20:
                    break
        await run.cancel()


class Worker:
    """`manage.py worker` beside a server, on its data."""

    def __init__(self, server: LiveServer, name: str) -> None:
        self.log = server.data_dir / f"{name}.log"
        with open(self.log, "wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "worker"], cwd=ROOT, env=server.env, stdout=out, stderr=out
            )

    @property
    def ready(self) -> bool:
        assert self.process.poll() is None, self.log.read_text(errors="replace")[-3000:]
        return b"worker ready" in self.log.read_bytes()

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


@pytest.fixture
def database(postgres_url: str) -> Any:
    name = f"stopping_{time.time_ns()}"
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}")
        yield postgres_url.replace("/" + postgres_url.rsplit("/", 1)[1].split("?")[0], f"/{name}")
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.mark.postgres
@pytest.mark.redis
async def test_a_worker_hands_over_and_the_run_goes_on_elsewhere(
    database: str, redis_url: str, tmp_path: Path, pauses: Pauses
) -> None:
    async with SlowModel(count=20_000, pace=0.02).running() as model:
        env = {"DATABASE_URL": database, "REDIS_URL": redis_url.rstrip("/").rsplit("/", 1)[0] + "/13"}
        if redis_url.count("/") == 2:
            env["REDIS_URL"] = redis_url + "/13"
        async with serving("uvicorn", tmp_path, model, **env) as server, client_of(server) as nexus:
            workers = [Worker(server, "first")]
            try:
                await until(lambda: workers[0].ready)
                run = await nexus.start(agent_id="slow", input="Hand me over")
                seqs: list[int] = []

                async def read() -> None:
                    async for seq, _ in run.follow():
                        seqs.append(seq)

                reading = asyncio.create_task(read())
                workers.append(Worker(server, "second"))
                await until(lambda: workers[1].ready and len(seqs) > 20)
                began = time.monotonic() - pauses.seconds
                workers[0].process.send_signal(signal.SIGTERM)
                assert await asyncio.to_thread(workers[0].process.wait, 60) == 0
                assert time.monotonic() - pauses.seconds - began < MOST_SECONDS
                handed_over = len(seqs)
                async with asyncio.timeout(60):
                    while len(seqs) <= handed_over + 3:
                        assert not reading.done() or reading.exception() is None
                        await asyncio.sleep(0.05)
                assert (
                    time.monotonic() - pauses.seconds - began < MOST_SECONDS
                )  # at once, not after the lease
                await run.cancel()
                await asyncio.wait_for(reading, 60)
                assert run.view.epoch == 2
                assert run.view.status == "cancelled"
                stored = RunView(run.run_id)
                async for seq, chunk in read_log(nexus.calls, run.run_id, 0):
                    assert stored.apply(seq, chunk)
                assert seqs == list(range(1, stored.last_seq + 1))
                assert run.view.text == stored.text
                assert model.text.startswith(stored.text)
            finally:
                for worker in workers:
                    worker.end()
