"""M4: calls of every kind against a provider that keeps the truth; the ledger says the same to the last pico-USD.

Text, tools, cached, reasoning, retried, fallen back, stopped, cut and killed, over several processes. Wherever usage
was delivered the difference is 0; the rest is what was streamed, and is marked. `NEXUS_TEST_LONG=1` makes it 10,000.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection

from billing.budget_models import BudgetPeriod, LedgerEntry
from billing.models import Attempt
from billing.prices import TierPrices, price_version_add
from billing.settling import CHARS_PER_TOKEN, attempts_settle_orphans
from chaos.play import Call, Play, PlayStep, ProviderFault
from chaos.provider import ChaosProvider
from chaos.truth import Request
from nexus_core.estimate import count_tokens
from workspaces.database import in_database

from .mixed import ROUTES
from .money import LONG_AGO, budget_of, holds, somewhere
from .spender import ROOT, environment

LONG = bool(os.environ.get("NEXUS_TEST_LONG"))
CALLS = 10_000 if LONG else 220
PROCESSES = 4
AT_ONCE = 12
KILL_EVERY = 250 if LONG else 55
"""After so many calls that ended, one process dies with all that it was doing."""

PRICES = {
    "mixed-a": TierPrices(1_250_000, 10_000_000, 125_000, 1_250_000, 1_250_000, reasoning=7_000_001),
    "mixed-b": TierPrices(3_000_000, 15_000_003, 300_000, 3_750_000, 6_000_000),
}
KINDS = ("text", "tools", "cached", "reasoning", "retried", "fallen back", "stopped", "cut", "broken")


@dataclass(slots=True)
class OneCall:
    key: str
    kind: str
    play: Play
    first: int
    stop_after: int = -1
    run: UUID = field(default_factory=uuid4)
    killed: bool = False

    def order(self, workspace: UUID) -> bytes:
        told = {
            "key": self.key, "run": str(self.run), "workspace": str(workspace), "first": self.first,
            "message": self.play.message(), "stop_after": self.stop_after,
        }  # fmt: skip
        return json.dumps(told).encode() + b"\n"


def one_call(dice: Random, number: int) -> OneCall:
    key, kind = f"m{number}", KINDS[number % len(KINDS)]
    step = {
        "words": dice.randint(5, 40),
        "pace_ms": dice.uniform(0, 2),
        "framing": dice.choice(("chunked", "close")),
    }
    refused = ProviderFault("status", status=dice.choice((429, 500, 503)), retry_after="0")
    match kind:
        case "tools":
            calls = tuple(Call("chaos_append", f"{key}.{n}") for n in range(dice.choice((1, 2, 3))))
            steps: tuple[PlayStep, ...] = (
                PlayStep(**{**step, "words": 5}, calls=calls),
                PlayStep(**step, cached=dice.choice((0, 512))),
            )
        case "cached":
            steps = (PlayStep(**step, cached=dice.randint(1, 10**6)),)
        case "reasoning":
            steps = (PlayStep(**step, thoughts=dice.randint(1, 30)),)
        case "retried":
            steps = (PlayStep(**step, faults=(refused,) * dice.choice((1, 2))),)
        case "fallen back":
            steps = (PlayStep(**step, faults=(refused,) * 3),)
        case "stopped":
            steps = (PlayStep(**{**step, "words": 200, "pace_ms": 2}),)
        case "cut":
            cut = ProviderFault(dice.choice(("cut_fin", "cut_rst")), at=dice.randint(0, 6000))
            steps = (PlayStep(**step, faults=(cut,)),)
        case "broken":
            what = dice.choice(("malformed", "no_usage", "absurd_usage", "repeated_usage", "refused"))
            steps = (PlayStep(**step, faults=(ProviderFault(what, at=dice.randint(0, 2000)),)),)
        case _:
            steps = (PlayStep(**step),)
    stop_after = dice.randint(0, 20) if kind == "stopped" else -1
    return OneCall(key, kind, Play(key, steps), dice.randint(0, 1), stop_after)


class Mixed:
    """Processes that make the calls; now and then one is killed and another takes its place."""

    def __init__(
        self, calls: Iterable[OneCall], workspace: UUID, said: Path, url: str, env: dict[str, str]
    ) -> None:
        self._left = iter(calls)
        self._workspace, self._said, self._url, self._env = workspace, said, url, env
        self._ended = 0
        self.kills = 0

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(PROCESSES):
                group.create_task(self._one_after_another())

    async def _one_after_another(self) -> None:
        while await self._one():
            pass

    async def _one(self) -> bool:
        """A process until it is killed (True) or nothing is left to do."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.billing.mixed", str(self._said), self._url,
            cwd=ROOT, env=self._env, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert process.stdin is not None and process.stdout is not None
        going: dict[str, OneCall] = {}
        try:
            assert await process.stdout.readline() == b'"ready"\n'
            while True:
                while len(going) < AT_ONCE and (call := next(self._left, None)) is not None:
                    going[call.key] = call
                    process.stdin.write(call.order(self._workspace))
                await process.stdin.drain()
                if not going:
                    process.stdin.close()
                    return False
                line = await process.stdout.readline()
                assert line, "the process ended by itself"
                del going[json.loads(line)]
                self._ended += 1
                if self._ended >= KILL_EVERY * (self.kills + 1):
                    self.kills += 1
                    process.kill()
                    for call in going.values():
                        call.killed = True
                    return True
        finally:
            if process.returncode is None and going:
                process.kill()
            await process.wait()


@pytest.mark.timeout(7200 if LONG else 600)
@pytest.mark.django_db(transaction=True)
async def test_m4_the_ledger_is_what_the_provider_says_whatever_happens(tmp_path: Path) -> None:
    dice = Random(4)
    calls = [one_call(dice, number) for number in range(CALLS)]
    where = somewhere()

    def prepare() -> dict[str, str]:
        for (name, _, model), price in zip(ROUTES, PRICES.values(), strict=True):
            price_version_add(provider=name, model=model, at=LONG_AGO, tiers=[price])
        budget_of(where, 10**18)
        return environment(connection, tmp_path)

    env = await in_database(prepare)
    said = tmp_path / "said.jsonl"
    async with ChaosProvider(tmp_path) as provider:
        mixed = Mixed(calls, where, said, provider.url, env)
        await mixed.run()
        requests = provider.truth.requests
    await in_database(check, calls, requests, said_of(said), where)
    assert mixed.kills > 2


def said_of(file: Path) -> dict[str, dict[str, str]]:
    """Call → request's attempt → what was heard of it."""
    found: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for line in file.read_text().splitlines():
        told = json.loads(line)
        found[told["key"]][told["attempt"]].append(told["text"])
    return {
        key: {attempt: "".join(texts) for attempt, texts in heard.items()} for key, heard in found.items()
    }


def check(
    calls: list[OneCall], requests: list[Request], said: dict[str, dict[str, str]], where: UUID
) -> None:
    lost = {
        call.key: attempts_settle_orphans(call.run, "".join(said.get(call.key, {}).values()))
        for call in calls
    }
    assert all(call.killed for call in calls if lost[call.key])
    assert sum(lost.values()) > 0
    amounts = dict(LedgerEntry.objects.values_list("attempt_id", "amount"))
    truth = {request.number: request for request in requests}
    by_key: dict[str, list[Request]] = defaultdict(list)
    for request in requests:
        by_key[request.key].append(request)
    seen: set[int] = set()
    kinds: Counter[str] = Counter()
    total = 0
    for call in calls:
        rows = list(Attempt.objects.filter(run_id=call.run).order_by("reserved_at"))
        heard, counted = said.get(call.key, {}), 0
        sent = [row for row in rows if row.status != "RELEASED"]
        assert len(sent) >= len(by_key[call.key]), call.key  # nothing that came over the wire is free
        for row in rows:
            place = f"{call.key} ({call.kind}): {row.status} {row.error_code}"
            due = priced(row)
            assert amounts[row.pk] == due, place
            total += due
            output = row.tokens_output + row.tokens_reasoning
            if row.status == "UNKNOWN":
                assert call.killed and row.estimated, place
                assert row.tokens_input == -(-row.prompt_chars // CHARS_PER_TOKEN), place
                assert output == max(0, count_tokens("".join(heard.values())) - counted), place
                kinds["killed"] += 1
            elif row.estimated:
                told = truth.get(row.tokens_input - 1000)
                least = 1 if told is not None and told.key == call.key and told.wire == "anthropic" else 0
                assert output == max(least, count_tokens(heard.get(str(row.pk), ""))), place
                kinds["estimated"] += 1
            elif row.tokens_input + output:
                request = truth[row.tokens_input - 1000]
                assert request.key == call.key and request.usage is not None, place
                assert request.number not in seen, place
                seen.add(request.number)
                assert buckets(row) == told_buckets(request, row.provider), place
                kinds["exact"] += 1
                kinds["fallen back"] += row.provider != ROUTES[call.first][0]
                kinds["cached"] += row.tokens_cache_read > 0
                kinds["reasoning"] += row.tokens_reasoning > 0
            else:
                assert row.status == "RELEASED" or row.error_code, place
                kinds["free"] += 1
            counted += output
        for request in by_key[call.key]:
            if request.usage is None or not request.finished or request.number in seen:
                continue
            # It was told to somebody who was stopped, died, or had hung up at what nobody can read; it is marked as
            # what was streamed.
            assert call.killed or call.kind == "stopped" or request.fault == "malformed", (
                f"{call.key}: request {request.number} is settled nowhere"
            )
            assert any(row.estimated for row in rows), call.key
    assert sum(amounts.values()) == total == BudgetPeriod.objects.get().spent
    assert not {"killed", "estimated", "exact", "fallen back", "cached", "reasoning", "free"} - set(+kinds), (
        kinds
    )
    holds(quiet=True)


def priced(row: Attempt) -> int:
    """What the row's tokens cost, by the table above and nothing of the product's."""
    price = PRICES[row.provider]
    thinking = price.output if price.reasoning is None else price.reasoning
    return (
        row.tokens_input * price.input
        + row.tokens_cache_read * price.cache_read
        + row.tokens_output * price.output
        + row.tokens_reasoning * thinking
    )


def buckets(row: Attempt) -> tuple[int, int, int, int]:
    return row.tokens_input, row.tokens_cache_read, row.tokens_output, row.tokens_reasoning


def told_buckets(request: Request, provider: str) -> tuple[int, int, int, int]:
    """OpenAI tells its thinking apart; Anthropic counts it with the answer."""
    usage: dict[str, Any] = request.usage or {}
    out, thought = usage["output"], usage["reasoning"]
    if provider == ROUTES[1][0]:
        out, thought = out + thought, 0
    return usage["input"], usage["cached"], out, thought
