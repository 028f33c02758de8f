"""Runs that meet the end of a budget: a clean stop, the partial text kept, the budget named (M14, M13)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import orjson
import pytest
from django.db import OperationalError

from billing import meter as meter_module
from billing.budget_models import Budget, BudgetPeriod, LedgerEntry
from billing.models import Attempt
from billing.prices import price_version_add
from billing.reserving import budgets_reserve
from billing.worst_case import WorstCase
from conversations.database import in_database
from conversations.models import Run
from conversations.services.run_cancel import run_cancel
from conversations.services.run_start import run_start
from nexus_core.context import ExecutionContext
from nexus_core.providers.scripted import ScriptedProvider, call, say
from nexus_core.tools import tool
from nexus_core.usage import Usage
from tests.billing.money import IN, LONG_AGO, OUT, PRICE, budget_of, holds
from workspaces.access import Actor

from .api_client import Person
from .conftest import chunks_of, last_status, reloaded, text_of

pytestmark = pytest.mark.django_db(transaction=True)

Plays = Callable[..., ScriptedProvider]


def priced(model: str = "scripted-1") -> None:
    price_version_add(provider="scripted", model=model, at=LONG_AGO, tiers=[PRICE])


def start(actor: Actor) -> Run:
    return run_start(actor=actor, agent_id="demo-agent", input_="Hello").run


def terminal(chunks: list[tuple[int, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = chunks[-1][1]["data"]
    return found


def errors(chunks: list[tuple[int, Any]]) -> list[dict[str, Any]]:
    return [chunk["data"] for _, chunk in chunks if chunk["type"] == "error"]


@tool
async def dear(context: ExecutionContext) -> dict[str, str]:
    """Something that costs half a cent."""
    context.charge("0.002")
    context.charge(Decimal("0.003"))
    return {"found": "it"}


async def test_m14_a_run_whose_budget_ends_at_a_later_step_stops_cleanly_and_names_it(
    engine: Any, alice: Actor, plays: Plays, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = WorstCase(0, 1)
    provider = plays(
        call(("dear", {}), text="First part. ", usage=Usage(input=10, output=2)), say("Never asked for."),
        tools=[dear], max_tokens=100,
    )  # fmt: skip
    await in_database(priced)
    monkeypatch.setattr("billing.reserving.worst_case", lambda *_: held)
    # The first step, and what its tool costs; not a second step.
    limit = 10 * IN + 2 * OUT + 5 * 10**9 + 99
    await in_database(lambda: budget_of(alice.workspace_id, limit, name="Marketing", on_end="refuse"))
    run = await in_database(start, alice)
    chunks = await chunks_of(run.pk)
    assert len(provider.requests) == 1
    assert (text_of(chunks), last_status(chunks)) == ("First part. ", "failed")
    [error] = errors(chunks)
    assert error["code"] == "budget_exceeded" and "Marketing" in error["message"]
    assert (terminal(chunks)["stopReason"], terminal(chunks)["budget"]) == ("budget", "Marketing")
    row = await reloaded(run)
    assert (row.error_code, row.status) == ("budget_exceeded", "failed")
    await in_database(lambda: holds(quiet=True))
    kinds = await in_database(lambda: sorted(LedgerEntry.objects.values_list("kind", "amount")))
    assert kinds == [("settlement", 10 * IN + 2 * OUT), ("tool", 5 * 10**9)]


async def test_m14_an_answer_that_a_budget_shortened_ends_there_and_says_so(
    engine: Any, alice: Actor, plays: Plays
) -> None:
    await in_database(priced)
    words = "word " * 400

    def play(request: Any) -> Any:
        return say(
            words[: 5 * request.max_tokens], reason="length", usage=Usage(input=9, output=request.max_tokens)
        )

    provider = plays(play, max_tokens=1000)

    # Room for the prompt and about half of the answer.
    await in_database(lambda: budget_of(alice.workspace_id, 2000 * IN, name="Small", period="day"))
    run = await in_database(start, alice)
    chunks = await chunks_of(run.pk)
    assert 128 <= provider.requests[0].max_tokens < 1000
    [error] = errors(chunks)
    assert error["code"] == "budget_exceeded" and "Small" in error["message"]
    assert text_of(chunks).startswith("word word")
    assert terminal(chunks)["budget"] == "Small"
    settled = await in_database(lambda: Attempt.objects.get())
    assert (settled.status, settled.tokens_output) == ("SETTLED", provider.requests[0].max_tokens)
    await in_database(lambda: holds(quiet=True))


async def test_a_run_without_room_asks_nobody(engine: Any, alice: Actor, plays: Plays) -> None:
    provider = plays(say("Never."))
    await in_database(priced)
    await in_database(lambda: budget_of(alice.workspace_id, 0, name="Nothing"))
    run = await in_database(start, alice)
    chunks = await chunks_of(run.pk)
    assert not provider.requests
    assert errors(chunks)[0]["code"] == "budget_exceeded"
    assert not await in_database(Attempt.objects.exists)


async def test_what_was_held_is_free_again_after_a_run_and_after_a_stop(
    engine: Any, alice: Actor, plays: Plays
) -> None:
    provider = plays(say("Done."), [piece for word in say("word " * 200) for piece in (word, 0.3)])
    await in_database(priced)
    await in_database(lambda: budget_of(alice.workspace_id, 10**12))
    await chunks_of((await in_database(start, alice)).pk)
    run = await in_database(start, alice)
    while len(provider.requests) < 2:
        await asyncio.sleep(0.01)
    reserved = await in_database(lambda: BudgetPeriod.objects.get().reserved)
    assert reserved > 0
    await in_database(run_cancel, actor=alice, run_id=run.pk)
    assert last_status(await chunks_of(run.pk)) == "cancelled"
    await in_database(lambda: holds(quiet=True))


async def test_m13_without_a_database_there_is_no_request(
    engine: Any, alice: Actor, plays: Plays, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reservation cannot be stored: nothing is asked until it can be, and then once."""
    provider = plays(say("After it came back."))
    asked_meanwhile: list[int] = []

    def away(*given: Any) -> Any:
        asked_meanwhile.append(len(provider.requests))
        if len(asked_meanwhile) == 1:
            raise OperationalError("the database is away")
        return budgets_reserve(*given)

    await in_database(priced)
    await in_database(lambda: budget_of(alice.workspace_id, 10**12))
    monkeypatch.setattr(meter_module, "budgets_reserve", away)
    try:
        run = await in_database(start, alice)
    except OperationalError:  # where the start itself reserves it is refused, and whoever asked comes again
        assert not await in_database(Attempt.objects.exists)
        run = await in_database(start, alice)
    chunks = await chunks_of(run.pk)
    assert (asked_meanwhile, len(provider.requests)) == ([0, 0], 1)
    assert (text_of(chunks), last_status(chunks)) == ("After it came back.", "complete")
    await in_database(lambda: holds(quiet=True))


async def test_m13_over_http_a_missing_database_is_a_503_and_nobody_is_asked(
    engine: Any, alice: Actor, plays: Plays, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = plays(say("Never."))
    me = await Person(alice).log_in()

    def away(**_: Any) -> None:
        raise OperationalError("the database is away")

    monkeypatch.setattr("conversations.api.invoke.run_start", away)
    response = await me.post("/api/invoke", {"agentId": "demo-agent", "message": "Hello", "background": True})
    assert response.status_code == 503
    assert orjson.loads(response.content)["error"]["code"] == "unavailable"
    assert not provider.requests and not await in_database(Attempt.objects.exists)


async def test_it_says_beforehand_what_a_message_would_cost_and_holds_nothing(
    engine: Any, alice: Actor, charlie: Actor, plays: Plays
) -> None:
    provider = plays(say("Hi."))
    me = await Person(alice).log_in()

    async def look(**more: Any) -> dict[str, Any]:
        response = await me.post("/api/invoke/preview", {"agentId": "demo-agent", "message": "Hello", **more})
        assert response.status_code == 200, response.content
        found: dict[str, Any] = orjson.loads(response.content)
        return found

    model = (await look())["model"]
    await in_database(priced, model)
    free = await look()
    assert (free["budget"], free["refusal"], free["affordableTokens"]) == (None, None, free["maxTokens"])
    assert Decimal(free["outputPerMillion"]) == Decimal(OUT * 10**6).scaleb(-12)
    assert Decimal(free["promptCost"]) == Decimal(free["promptTokens"] * IN).scaleb(-12)
    assert Decimal(free["worstCase"]) > Decimal(free["promptCost"]) + Decimal(free["maxTokens"] * OUT).scaleb(
        -12
    )
    held = int(Decimal(free["worstCase"]).scaleb(12))
    # What is shown is what would be held: a budget of exactly that lets it through, a smaller one shortens it.
    exact = await in_database(lambda: budget_of(alice.workspace_id, held, name="Exact"))
    assert (await look())["affordableTokens"] == free["maxTokens"]
    await in_database(lambda: Budget.objects.filter(pk=exact.pk).update(limit=held - 1))
    short = await look()
    assert (short["affordableTokens"], short["budget"]) == (free["maxTokens"] - 1, "Exact")
    await in_database(lambda: Budget.objects.filter(pk=exact.pk).update(limit=0))
    assert ((await look())["affordableTokens"], (await look())["refusal"]) == (0, "budget_exceeded")
    assert not await in_database(BudgetPeriod.objects.exists)
    assert not provider.requests

    await in_database(lambda: Budget.objects.filter(pk=exact.pk).update(limit=10**13))
    run = await in_database(start, alice)
    await chunks_of(run.pk)
    longer = await look(conversationId=str(run.conversation_id))
    assert longer["promptTokens"] > free["promptTokens"]
    stranger = await Person(charlie).log_in()
    body = {"message": "x", "conversationId": str(run.conversation_id)}
    assert (await stranger.post("/api/invoke/preview", body)).status_code == 404
