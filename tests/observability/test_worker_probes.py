"""A worker's own port: how it is and what it counts, and nothing else of the site."""

from __future__ import annotations

import socket

import aiohttp
import pytest

from conversations.engine import condition
from conversations.engine.start import EngineHost
from conversations.probes import probes

pytestmark = pytest.mark.django_db(transaction=True)


async def test_a_worker_answers_probes_and_nothing_else(engine: EngineHost) -> None:
    async with probes("127.0.0.1", 0) as port, aiohttp.ClientSession(f"http://127.0.0.1:{port}") as client:
        assert (await client.get("/livez")).status == 200
        ready = await client.get("/readyz")
        assert ready.status == 200 and (await ready.json())["checks"]["writer"] == "ok"
        numbers = await (await client.get("/metrics")).text()
        assert "nexus_runs_live 0.0" in numbers and "nexus_run_takeovers_total" in numbers
        for elsewhere in ("/", "/api/agents", "/admin/", "/livez/x"):
            assert (await client.get(elsewhere)).status == 404
        condition.stopping()
        assert (await client.get("/readyz")).status == 503


async def test_a_taken_port_is_an_error_that_can_be_told() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(OSError):
            async with probes("127.0.0.1", taken.getsockname()[1]):
                pass
