"""Health and metrics from the outside: who may ask, and what is said when something is missing."""

from __future__ import annotations

import asyncio

import pytest
from django.test import AsyncClient, RequestFactory

from conversations import instruments
from conversations.engine import condition, port
from conversations.engine.writer import LogWriter
from conversations.services.run_finish import run_end_unstarted
from conversations.services.run_start import run_start
from nexus_site import health
from tests.conversations.api_client import Person

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    """Run numbers are read anew."""
    monkeypatch.setattr(instruments, "READ_SECONDS", 0.0)
    monkeypatch.setattr(health, "_migrated", False)
    monkeypatch.setattr(health, "_unmigrated_at", float("-inf"))


class Idle:
    """An engine that is there."""

    def enqueue(self, run_id: object) -> None: ...

    def cancel(self, run_id: object) -> None: ...

    async def close(self) -> None: ...


async def test_it_lives_and_is_ready_only_with_an_engine(transactional_db):
    client = AsyncClient()
    assert (await client.get("/livez")).content == b"ok\n"
    response = await client.get("/readyz")
    assert response.status_code == 503
    said = response.json()
    assert said.pop("ready") is False
    said["checks"].pop("redis", None)
    assert said == {"checks": {"database": "ok", "engine": "not started", "migrations": "ok"}}
    port.use(Idle())
    try:
        response = await client.get("/readyz")
        assert (response.status_code, response.json()["ready"]) == (200, True)
    finally:
        port.use(None)


async def test_it_says_when_the_database_does_not_answer(transactional_db, monkeypatch):
    def broken() -> None:
        raise ConnectionError("secret-host:5432 refused")

    monkeypatch.setattr(health, "_ask_database", broken)
    response = await AsyncClient().get("/readyz")
    assert response.status_code == 503 and response.json()["checks"]["database"] == "does not answer"
    assert b"secret-host" not in response.content


async def test_it_counts_requests_runs_and_tokens(alice):
    def build() -> None:
        started = run_start(actor=alice, agent_id="demo-agent", input_="private words")
        run_end_unstarted(started.run.pk, status="cancelled")

    before = set((await AsyncClient().get("/metrics")).content.decode().splitlines())  # other tests' things
    await asyncio.to_thread(build)
    person = await Person(alice).log_in()
    await person.get("/api/conversations")
    text = (await person.get("/metrics")).content.decode()
    for line in (
        'nexus_runs_unfinished{status="queued"} 0.0',
        "nexus_sockets 0.0",
        "nexus_queue_depth 0.0",
        'nexus_runs_ended_total{agent="demo-agent",provider="none",status="cancelled"}',
    ):
        assert line in text
    assert 'route="api/conversations",status="200"' in text
    told = "\n".join(line for line in text.splitlines() if line not in before)
    assert str(alice.workspace_id) not in text and "alice" not in told.lower() and "private" not in told


async def test_it_shows_metrics_at_loopback_or_with_the_token_only(transactional_db, settings):
    client = AsyncClient()
    assert (await client.get("/metrics")).status_code == 200
    behind_proxy = {"X-Forwarded-For": "203.0.113.9"}
    assert (await client.get("/metrics", headers=behind_proxy)).status_code == 404
    far = RequestFactory().get("/metrics", REMOTE_ADDR="203.0.113.9")
    assert not health.may_see_metrics(far)
    settings.NEXUS_METRICS_TOKEN = "let-me-see"
    assert (
        await client.get("/metrics", headers=behind_proxy | {"Authorization": "Bearer wrong"})
    ).status_code == 404
    assert (
        await client.get("/metrics", headers=behind_proxy | {"Authorization": "Bearer let-me-see"})
    ).status_code == 200


async def test_it_answers_probes_before_anything_else_is_looked_at(transactional_db, settings):
    settings.ALLOWED_HOSTS = ["nexus.example.org"]
    settings.SECURE_SSL_REDIRECT = True
    client = AsyncClient()
    assert (await client.get("/livez", headers={"Host": "10.0.0.7:8000"})).status_code == 200
    assert (await client.get("/readyz", headers={"Host": "10.0.0.7:8000"})).status_code == 503
    assert (await client.get("/metrics", headers={"Host": "10.0.0.7:8000"})).status_code == 200
    assert (await client.post("/livez")).status_code == 405
    assert (await client.get("/", headers={"Host": "10.0.0.7:8000"})).status_code == 400


async def test_it_is_not_ready_while_a_migration_is_missing(transactional_db, monkeypatch):
    port.use(Idle())
    try:
        monkeypatch.setattr(health, "_missing_migrations", lambda: 1)
        response = await AsyncClient().get("/readyz")
        assert response.status_code == 503 and response.json()["checks"]["migrations"] == "not applied"
        monkeypatch.undo()
        monkeypatch.setattr(health, "_unmigrated_at", float("-inf"))
        assert (await AsyncClient().get("/readyz")).json()["checks"]["migrations"] == "ok"
    finally:
        port.use(None)


async def test_it_is_not_ready_without_its_writer_or_while_it_stops(transactional_db):
    port.use(Idle())
    state = ["ok"]
    condition.started(writer=lambda: state[0])
    try:
        client = AsyncClient()
        assert (await client.get("/readyz")).status_code == 200
        state[0] = "ended"
        response = await client.get("/readyz")
        assert (response.status_code, response.json()["checks"]["writer"]) == (503, "ended")
        state[0] = "ok"
        condition.stopping()
        response = await client.get("/readyz")
        assert (response.status_code, response.json()["checks"]["engine"]) == (503, "stopping")
    finally:
        condition.stopped()
        port.use(None)


async def test_the_writer_says_when_its_thread_is_gone(transactional_db):
    writer = LogWriter(asyncio.get_running_loop())
    assert writer.condition() == "ok"
    await writer.close()
    assert writer.condition() == "ended"
