"""A run whose owner is gone: who takes it, from where, at what cost."""

from __future__ import annotations

import asyncio

import pytest
from django.db.models import Sum

from billing.models import Attempt
from conversations.database import in_database
from conversations.engine import pace
from conversations.models import Run
from conversations.services.run_start import run_start
from nexus_core.messages import TextPart
from nexus_core.providers.base import Stop, TextDelta
from nexus_core.usage import Usage
from workspaces.access import Actor

from .conftest import chunks_of, last_status, reloaded, stored, text_of

pytestmark = pytest.mark.django_db(transaction=True)


async def begin(actor: Actor, text: str = "Hello"):
    return await in_database(run_start, actor=actor, agent_id="demo-agent", input_=text)


async def _nothing(*args: object) -> None:
    pass


async def lose_owner(engine, run_id) -> None:
    """As kill -9 leaves it: the task is gone, nothing was given up, and the lease is over."""
    engine.runner._give_up_lease = _nothing
    await engine.runner.hand_over()
    await in_database(Run.objects.filter(pk=run_id).update, heartbeat_at=None)


async def test_it_counts_what_was_lost_with_an_owner_into_the_runs_own_numbers(engine, alice, plays):
    usage = Usage(input=1000, output=7)
    plays(
        [TextDelta("Half an "), 60.0, Stop("end", (), None)],
        [TextDelta("A whole answer."), Stop("end", (TextPart("A whole answer."),), usage)],
    )
    started = await begin(alice)
    while not text_of(await stored(started.run.pk)):
        await asyncio.sleep(0.01)
    await lose_owner(engine, started.run.pk)
    await engine.runner.execute(started.run.pk)
    chunks = await chunks_of(started.run.pk)
    assert last_status(chunks) == "complete"
    run = await reloaded(started.run)
    sums = await in_database(
        lambda: Attempt.objects.filter(run_id=run.pk).aggregate(
            input=Sum("tokens_input"), output=Sum("tokens_output")
        )
    )
    assert (run.tokens_input, run.tokens_output) == (sums["input"], sums["output"])
    assert run.tokens_input > usage.input and run.estimated
    assert chunks[-1][1]["data"]["tokenUsage"]["input"] == sums["input"]


@pytest.mark.parametrize("lease", [1.0, 2.0, 15.0, 60.0])
def test_it_notices_a_lost_owner_within_the_lease_and_five_seconds(settings, lease):
    settings.NEXUS_LEASE_SECONDS = lease
    assert pace.heartbeat() * 3 < lease
    assert pace.sweep() <= 3 and pace.queued_grace() <= 2
    # A worker that died before its claim: the delivery is idle, then looked for, jittered, by one worker.
    assert pace.redelivery() * 1.32 < lease + 5
