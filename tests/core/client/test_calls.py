"""What goes over HTTP: repeated only where that is safe, refused with a typed error, read into typed values."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from nexus_core import NexusError
from nexus_core.client import (
    BudgetExceeded,
    ClientError,
    Conflict,
    Forbidden,
    Invalid,
    NexusClient,
    NotFound,
    ProtocolMismatch,
    Refused,
    RunInProgress,
    ServerFault,
    TooManyRequests,
    Unauthorized,
    Unreachable,
)
from nexus_core.client.decode import camel
from nexus_core.client.transport import Answer
from nexus_core.client.types import Agent, Cost, Message, Run, Token

from .conftest import Bench
from .fakes import FakeClock, FakeServer, json_answer, refused


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("unauthorized", 401, Unauthorized),
        ("csrf_failed", 403, Forbidden),
        ("not_found", 404, NotFound),
        ("agent_not_found", 404, NotFound),
        ("run_in_progress", 409, RunInProgress),
        ("idempotency_conflict", 409, Conflict),
        ("invalid_request", 422, Invalid),
        ("file_too_large", 413, Invalid),
        ("budget_exceeded", 402, BudgetExceeded),
        ("unexpected_error", 500, ServerFault),
        ("invented_later", 409, Conflict),
        ("invented_later", 418, Invalid),
    ],
)
async def test_it_raises_the_error_of_the_code(
    bench: Bench, server: FakeServer, code: str, status: int, kind: type[Refused]
) -> None:
    server.http = [refused(code, status)]
    with pytest.raises(kind) as error:
        await bench.client().agents.get("x")
    assert type(error.value) is kind
    assert (error.value.code, error.value.status, error.value.request_id) == (code, status, "q1")
    assert isinstance(error.value, ClientError)
    assert isinstance(error.value, NexusError)


async def test_it_reads_a_proxys_page_as_an_error_too(bench: Bench, server: FakeServer) -> None:
    server.http = [Answer(413, {}, b"<html>too large</html>")]
    with pytest.raises(Invalid) as error:
        await bench.client().agents.get("x")
    assert error.value.code == "http_413"


async def test_it_says_that_the_address_is_no_nexus(bench: Bench, server: FakeServer) -> None:
    server.http = [Answer(200, {}, b"<html>hello</html>")]
    with pytest.raises(ProtocolMismatch, match="Nexus server"):
        await bench.client().agents.get("x")


async def test_it_never_repeats_what_might_double(bench: Bench, server: FakeServer, clock: FakeClock) -> None:
    """A conversation has no client id: where nobody knows whether it was made, the program decides."""
    server.http = ["lost"]
    with pytest.raises(Unreachable) as error:
        await bench.client().conversations.create(title="x")
    assert error.value.code == "connection_lost"
    assert len(server.requests) == 1


async def test_it_repeats_what_was_certainly_not_seen(
    bench: Bench, server: FakeServer, clock: FakeClock
) -> None:
    server.http = ["not-sent", "not-sent", json_answer({"id": "k", "title": "x"})]
    making = asyncio.create_task(bench.client().conversations.create(title="x"))
    await clock.pass_(10)
    assert (await making).id == "k"


async def test_it_gives_up_when_its_patience_ends(bench: Bench, server: FakeServer, clock: FakeClock) -> None:
    server.http = ["not-sent"] * 1000
    asking = asyncio.create_task(bench.client(patience=20).agents.get("x"))
    await clock.pass_(21)
    assert asking.done()
    assert isinstance(asking.exception(), Unreachable)
    assert 3 <= len(server.requests) <= 20


async def test_it_waits_as_long_as_the_server_asks(
    bench: Bench, server: FakeServer, clock: FakeClock
) -> None:
    server.http = [refused("too_many_requests", 429, retry_after="12"), json_answer({"id": "a", "name": "A"})]
    asking = asyncio.create_task(bench.client().agents.get("a"))
    await clock.pass_(12)
    assert len(server.requests) == 1
    await clock.pass_(2)
    assert (await asking).name == "A"


async def test_it_raises_where_the_server_asks_for_more_than_its_patience(
    bench: Bench, server: FakeServer, clock: FakeClock
) -> None:
    server.http = [refused("too_many_requests", 429, retry_after="3600")]
    with pytest.raises(TooManyRequests) as error:
        await bench.client().agents.get("a")
    assert error.value.retry_after == 3600


async def test_it_reads_a_list_page_by_page(bench: Bench, server: FakeServer) -> None:
    pages = [("abc", "2"), ("de", "3"), ("f", None)]
    server.http = [
        json_answer({"items": [{"id": i, "name": i.upper()} for i in ids], "nextCursor": cursor})
        for ids, cursor in pages
    ]
    assert [agent.name async for agent in bench.client().agents.list()] == list("ABCDEF")
    assert len(server.requests) == 3


async def test_it_asks_for_no_page_that_nobody_reads(bench: Bench, server: FakeServer) -> None:
    server.http = [json_answer({"items": [{"id": "a", "name": "A"}], "nextCursor": "2"})]
    async for _ in bench.client().agents.list():
        break
    assert len(server.requests) == 1


async def test_it_sends_fields_in_the_words_of_the_wire(bench: Bench, server: FakeServer) -> None:
    server.http = [json_answer({"id": "a", "name": "A"})]
    await bench.client().agents.update("a", system_prompt="p", max_consecutive_tool_calls=3, temperature=None)
    assert server.requests == [
        ("PATCH", "/api/agents/a", {"systemPrompt": "p", "maxConsecutiveToolCalls": 3, "temperature": None})
    ]


def test_it_wants_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NEXUS_TOKEN", raising=False)
    with pytest.raises(ValueError, match="NEXUS_TOKEN"):
        NexusClient("http://nexus")


# --- values ---


def test_it_reads_the_wire_into_exact_values() -> None:
    run = Run.from_wire(
        {
            "runId": "r", "conversationId": "k", "status": "complete", "lastSeq": 4, "epoch": 1, "fromTomorrow": 1,
            "cost": {"total": "0.000000037500", "input": None},
            "attempts": [{"provider": "p", "model": "m", "status": "settled"}],
            "createdAt": "2026-11-20T14:02:05.120Z", "error": {"code": "c", "message": "m"},
        }
    )  # fmt: skip
    assert run.cost.total == Decimal("0.0000000375")
    assert run.cost.input is None
    assert run.attempts[0].provider == "p"
    assert run.created_at == datetime(2026, 11, 20, 14, 2, 5, 120000, tzinfo=UTC)
    assert run.error is not None
    assert run.ended
    assert run.raw["fromTomorrow"] == 1


@pytest.mark.parametrize(
    ("kind", "wire"),
    [
        (Agent, {"name": "no id"}),
        (Agent, ["not an object"]),
        (Cost, {"total": 0.1}),
        (Run, {"runId": "r", "conversationId": "k", "status": "running", "createdAt": "soon"}),
    ],
)
def test_it_refuses_what_is_not_the_wire(kind: Any, wire: Any) -> None:
    with pytest.raises(ProtocolMismatch):
        kind.from_wire(wire)


def test_its_values_are_frozen_and_compared_by_content() -> None:
    wire = {"id": "m", "conversationId": "k", "role": "user", "content": "hi"}
    assert Message.from_wire(wire) == Message.from_wire({**wire, "newer": 1})
    with pytest.raises(AttributeError):
        Message.from_wire(wire).content = "x"  # type: ignore[misc]


def test_it_shows_no_secret() -> None:
    made = Token.from_wire({"id": "1", "name": "n", "lastFour": "abcd", "token": "nxs_secret"})
    assert made.token == "nxs_secret"
    assert "nxs_secret" not in repr(made)


def test_it_knows_the_wires_spelling() -> None:
    assert camel("max_consecutive_tool_calls") == "maxConsecutiveToolCalls"
