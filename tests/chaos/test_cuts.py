"""A provider's answer of 4 KB, cut at every byte, by FIN and by RST: never two answers in one, never a lost request.

By FIN with a body that ends where the connection does: to a careless reader a cut is a clean end there.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chaos.play import Play, PlayStep, ProviderFault, answer_text
from chaos.provider import ChaosProvider
from chaos.wires import openai_pieces
from nexus_core.agent import AgentRequest, ModelAgent, run_agent
from nexus_core.chunks import ContentChunk, ErrorChunk, MetadataChunk
from nexus_core.context import ExecutionContext
from nexus_core.defaults import MemoryMeter, default_ports
from nexus_core.fallback import Route
from nexus_core.providers.base import ProviderSpec
from nexus_core.providers.table import create_provider
from nexus_core.retry import RetryPolicy

BYTES = 4096
AT_ONCE = 64
SPEC = ProviderSpec("chaos", "Chaos", "openai-chat", "", (), free=True)


def play_of_size(key: str, fault: ProviderFault, framing: Any) -> Play:
    """As many words as make a body of at least that many bytes."""
    words = 1
    while sum(len(piece.data) for piece in openai_pieces(key, PlayStep(words), 0, 0, 1)) < BYTES:
        words += 1
    return Play(key, (PlayStep(words=words, pace_ms=0, faults=(fault,), framing=framing),))


async def run_cut(provider: Any, truth: ChaosProvider, play: Play) -> None:
    meter = MemoryMeter()
    agent = ModelAgent(
        id="cut", name="Cut", routes=[Route(provider, "chaos")], retry=RetryPolicy(base=0.0001)
    )
    context = ExecutionContext(
        run_id=play.key, conversation_id="c", message_id="m", workspace_id="w", user_id="u", agent_id="cut"
    )
    request = AgentRequest("cut", play.message(), context, ports=replace(default_ports(), meter=meter))
    chunks = [chunk async for chunk in run_agent(agent, request)]
    text = "".join(chunk.text for chunk in chunks if isinstance(chunk, ContentChunk))
    requests = truth.truth.of(play.key)
    words = play.steps[0].words
    first, second = (answer_text(play.key, 0, attempt, words) for attempt in (0, 1))
    terminal = chunks[-1]
    assert isinstance(terminal, MetadataChunk)
    if terminal.status == "complete":
        # Nothing of a cut answer was shown before; or it was whole when it was cut.
        assert text in (first, second)
        assert len(requests) == (1 if text == first else 2)
    else:
        assert terminal.status == "failed"
        assert any(isinstance(chunk, ErrorChunk) for chunk in chunks)
        assert text and first.startswith(text) and len(requests) == 1
    failed = len(requests) - (terminal.status == "complete")  # a complete one is settled by its journal
    assert len(meter.reserved) == len(requests) and len(meter.settled) == failed


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("kind", "framing"), [("cut_fin", "close"), ("cut_rst", "chunked")])
async def test_it_never_stitches_two_answers_wherever_the_first_is_cut(
    tmp_path: Path, kind: Any, framing: Any
) -> None:
    slots = asyncio.Semaphore(AT_ONCE)
    async with ChaosProvider(tmp_path) as truth:
        provider = create_provider(SPEC, key=None, base_url=f"{truth.url}/v1", data_dir=tmp_path)

        async def one(at: int) -> None:
            async with slots:
                await run_cut(provider, truth, play_of_size(f"cut{at:04}", ProviderFault(kind, at), framing))

        try:
            await asyncio.gather(*(one(at) for at in range(BYTES + 1)))
        finally:
            await provider.close()  # type: ignore[attr-defined]
        statuses = {request.finished for request in truth.truth.requests}
        assert statuses == {True, False}
