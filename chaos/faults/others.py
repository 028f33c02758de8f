"""Doorbells that fail, providers that break, and nothing at all."""

from __future__ import annotations

import asyncio

from ..scene import Scene


async def nothing(scene: Scene) -> None:
    """The base: without a fault everything must hold as well, and be over soon."""
    await asyncio.sleep(0)


async def provider_breaks(scene: Scene) -> None:
    """The damage is in the plays."""
    scene.struck("providers break as their plays say")
    await asyncio.sleep(0)
    scene.healed("nothing else")


async def hints_fail(scene: Scene) -> None:
    """Half the doorbells are lost, the rest doubled, late and out of order, for the whole trial."""
    shares = {
        "lost": scene.dice.choice((0.0, 0.5, 0.9)),
        "doubled": scene.dice.choice((0.0, 0.5)),
        "late": scene.dice.choice((0.0, 0.5)),
        "seconds": scene.dice.uniform(0.05, 2.0),
    }
    scene.cluster.hints(**shares)
    scene.struck(f"hints: {shares}")
    try:
        while not scene.runs or scene.going():
            await asyncio.sleep(0.1)
    finally:
        scene.cluster.hints()
    scene.healed("hints arrive")
