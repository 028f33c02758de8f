"""What the log says: ids on every line of a request, a socket and a run; no text of anybody, no secret."""

from __future__ import annotations

import asyncio
import logging
import threading
from types import SimpleNamespace

import pytest
import redis
import structlog
from django.db import IntegrityError, OperationalError
from django.test import AsyncClient

from conversations.database import in_database
from conversations.services.run_start import run_start
from nexus_core.errors import AuthenticationFailed
from nexus_core.providers.faults import ProviderFault
from nexus_core.tools import tool
from nexus_site import logging as site_logging
from nexus_site.logging import masked
from realtime.consumer import NexusConsumer
from tests.conversations.api_client import Person
from tests.conversations.conftest import chunks_of
from tests.observability.conftest import asks
from workspaces.context import bind_new, bound
from workspaces.tokens import token_create

pytestmark = pytest.mark.django_db(transaction=True)

CANARY = "walrus-canary-7f3a"
log = logging.getLogger("tests.observability")


async def test_every_line_of_a_run_names_it(alice, engine, plays, written):
    @tool
    async def hop() -> str:
        """Hops."""
        await asyncio.to_thread(log.info, "from to_thread")
        await in_database(log.info, "from a database thread")
        return "done"

    plays(asks("hop"), "Fine.", tools=[hop])
    started = await in_database(lambda: run_start(actor=alice, agent_id="demo-agent", input_=CANARY))
    await chunks_of(started.run.pk)
    await asyncio.sleep(0)
    mine = written.of(
        run_id=started.run.pk, conversation_id=started.conversation.pk, workspace_id=alice.workspace_id
    )
    said = {line["event"] for line in mine}
    assert {"from to_thread", "from a database thread"} <= said
    ended = await _line(written, "run ended")
    assert (ended["status"], ended["agent_id"], ended["run_id"]) == (
        "complete",
        "demo-agent",
        str(started.run.pk),
    )


async def test_two_runs_do_not_mix_their_ids(alice, engine, plays, written):
    @tool
    async def hop() -> str:
        """Hops."""
        for _ in range(5):
            await in_database(log.info, "mine")
        return "done"

    plays(*[lambda request: "Fine." if request.messages[-1].role == "tool" else asks("hop")] * 4, tools=[hop])
    runs = [
        (await in_database(lambda: run_start(actor=alice, agent_id="demo-agent", input_="x"))).run
        for _ in range(2)
    ]
    for run in runs:
        await chunks_of(run.pk)
    lines = [line for line in written.lines if line["event"] == "mine"]
    for run in runs:
        assert sum(line["run_id"] == str(run.pk) for line in lines) == 5
        assert {line["conversation_id"] for line in lines if line["run_id"] == str(run.pk)} == {
            str(run.conversation_id)
        }


async def test_every_line_of_a_request_names_it(alice, written):
    person = await Person(alice).log_in()
    conversation = "11111111-1111-4111-8111-111111111111"
    response = await person.get(f"/api/conversations/{conversation}")
    request_id = response["X-Request-Id"]
    assert written.of(request_id=request_id, conversation_id=conversation)
    response = await AsyncClient().get("/api/agents", headers={"X-Request-Id": "given-by-proxy-1"})
    assert response["X-Request-Id"] == "given-by-proxy-1"
    assert written.of(request_id="given-by-proxy-1", event="Unauthorized: /api/agents")


async def test_a_frame_names_its_socket_and_conversation(written):
    bind_new(connection_id="socket-1")

    class Socket(NexusConsumer):
        def __init__(self) -> None:
            self._rooms: set[str] = set()
            self._held = None

        def _refuse(self, *args: object) -> None: ...

    async def handler(socket: object, frame: object) -> None:
        await in_database(log.info, "in the handler")

    await Socket()._answer(handler, SimpleNamespace(conversation_id="c-1", run_id=None), None)
    assert written.of(connection_id="socket-1", conversation_id="c-1", event="in the handler")
    log.info("after")
    assert "conversation_id" not in written.of(event="after")[0]


async def test_a_handled_provider_failure_is_one_line_without_a_traceback(alice, engine, plays, written):
    refusal = AuthenticationFailed(
        provider="anthropic",
        model="m",
        status=401,
        cause=ProviderFault(f"the prompt was {CANARY}", status=401),
    )
    plays(refusal)
    started = await in_database(lambda: run_start(actor=alice, agent_id="demo-agent", input_=CANARY))
    await chunks_of(started.run.pk)
    await _line(written, "run ended")
    of_it = written.of(run_id=started.run.pk)
    failures = [line for line in of_it if line["event"].startswith("a provider request failed")]
    assert len(failures) == 1
    assert (failures[0]["code"], failures[0]["http_status"]) == ("authentication_error", 401)
    assert [line["level"] for line in of_it if line["event"] == "run ended"] == ["warning"]
    assert not any("exception" in line for line in of_it)
    assert CANARY not in written.text


async def test_no_text_of_anybody_and_no_secret_is_in_the_log(alice, engine, plays, written, monkeypatch):
    """Canaries in everything a person or a model says, at the level that says most."""
    monkeypatch.setenv("ACME_API_KEY", f"acme-{CANARY}-key")
    site_logging._own_secrets.cache_clear()

    @tool
    def breaks(text: str) -> str:
        """Breaks.

        Args:
            text: anything.
        """
        return str(int(text))

    plays(asks("breaks", text=CANARY), f"I say {CANARY}.", tools=[breaks])
    token = await in_database(
        lambda: token_create(user=alice.user, workspace=alice.workspace, name="mine").text
    )
    client = AsyncClient()
    headers = {"Authorization": f"Bearer {token}"}
    answer = await client.post(
        "/api/invoke",
        {"agentId": "demo-agent", "message": CANARY, "background": True},
        content_type="application/json",
        headers=headers,
    )
    assert answer.status_code == 202, answer.content
    await chunks_of(answer.json()["runId"])
    await _line(written, "run ended")
    await client.get(f"/api/search?q={CANARY}", headers=headers)
    await client.get("/api/agents", headers={"Authorization": f"Bearer nxs_wrong{CANARY}"})
    await client.post(
        "/accounts/login/", {"login": "alice", "password": CANARY}, headers={"Host": "testserver"}
    )
    await client.post("/api/invoke", {"agentId": CANARY}, content_type="application/json", headers=headers)
    log.warning("key acme-%s-key in a line", CANARY)
    assert "tool breaks failed: ValueError" in written.text
    assert token not in written.text
    assert CANARY not in written.text
    site_logging._own_secrets.cache_clear()


@pytest.mark.parametrize(
    "secret",
    [
        "nxs_AbCdEfGhIjKlMnOp",
        "sk-ant-api03-abcdefghij",
        "AIzaSyA1234567890abcdefghijk",
        "gsk_abcdefghijklmnop1234",
        "ghp_abcdefghijklmnop1234",
    ],
)
def test_it_masks_what_looks_like_a_key(secret):
    assert secret not in masked(f"refused {secret}, sorry") and "[secret]" in masked(secret)


def test_it_masks_passwords_in_addresses_and_headers():
    assert masked("postgres://nexus:hunter22@db:5432/x") == "postgres://[secret]@db:5432/x"
    assert "abcdef123" not in masked("Authorization: Bearer abcdef123")
    assert masked("ticket.abcdefgh1234") == "ticket.[secret]"
    assert masked("http://127.0.0.1:8000/api") == "http://127.0.0.1:8000/api"


def test_a_traceback_shows_where_and_what_kind_but_not_the_data(written):
    try:
        try:
            int(CANARY)
        except ValueError as fault:
            raise IntegrityError(f"DETAIL: Key ({CANARY}) exists") from fault
    except IntegrityError:
        log.exception("it failed")
    (line,) = written.of(event="it failed")
    assert "test_logs.py" in line["exception"]
    assert line["exception"].index("ValueError") < line["exception"].index("IntegrityError")
    assert CANARY not in written.text


def test_the_line_of_another_thread_names_what_was_bound_there(written):
    def work() -> None:
        with bound(run_id="r-1", conversation_id=None):
            log.error("from the writer")
        log.error("later")

    structlog.contextvars.clear_contextvars()
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert written.of(event="from the writer", run_id="r-1")
    assert "run_id" not in written.of(event="later")[0]


def test_debug_is_readable_and_production_is_json():
    import json
    import logging.config

    record = logging.LogRecord("nexus", logging.INFO, __file__, 1, "hello %s", ("you",), None)
    for is_json in (True, False):
        config = site_logging.logging_config("INFO", json=is_json)["formatters"]["line"]
        formatter = structlog.stdlib.ProcessorFormatter(
            processors=config["processors"], foreign_pre_chain=config["foreign_pre_chain"]
        )
        text = formatter.format(logging.makeLogRecord(record.__dict__))
        if is_json:
            assert json.loads(text)["event"] == "hello you"
        else:
            assert "hello you" in text and not text.startswith("{")


async def _line(written, event):
    async with asyncio.timeout(60):
        while not (found := written.of(event=event)):
            await asyncio.sleep(0.01)
    return found[-1]


def test_a_store_that_is_away_is_one_line_without_frames(written):
    for fault in (redis.exceptions.ConnectionError("closed by server"), OperationalError("terminating")):
        try:
            raise fault
        except Exception:
            log.warning("away", exc_info=True)
    lines = [line for line in written.of() if line["event"] == "away"]
    assert [line["fault"].rsplit(".", 1)[-1] for line in lines] == [
        "ConnectionError: closed by server",
        "OperationalError: terminating",
    ]
    assert not any("exception" in line for line in lines)
