"""Where a client finds a server: any living one, as behind a load balancer; and how long it waits before it tries again."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..cluster import Person


@dataclass(frozen=True, slots=True)
class Door:
    """One person's way in.

    Attributes:
        ports: the web processes that live now.
        dice: seeded by the trial.
    """

    person: Person
    ports: Callable[[], Sequence[int]]
    dice: random.Random

    async def port(self) -> int:
        while not (ports := self.ports()):
            await asyncio.sleep(0.05)
        return self.dice.choice(ports)

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.person.token}"}

    async def pause(self, tries: int) -> None:
        """Jitter, longer with every try."""
        await asyncio.sleep(self.dice.uniform(0.05, min(2.0, 0.2 * 2**tries)))
