"""Doorbells that are lost, doubled, late and out of order: what the hub is told of chunks, between it and its rooms.

`hints.json` in the harness' folder says how badly, as shares of 1; it is read again every quarter of
a second. Without the file everything arrives.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Sequence
from pathlib import Path

from realtime.frames import Frame
from realtime.hub import Hub

LOOK_SECONDS = 0.25


class Damage:
    """What happens to hints now: shares `lost`, `doubled`, `late` of them; `late` ones by up to `seconds`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._looked_at = 0.0
        self._shares: dict[str, float] = {}

    def share(self, name: str) -> float:
        now = time.monotonic()
        if now - self._looked_at > LOOK_SECONDS:
            self._looked_at = now
            try:
                self._shares = json.loads(self._path.read_text())
            except (OSError, ValueError):
                self._shares = {}
        return self._shares.get(name, 0.0)


def damage_hints(path: Path) -> None:
    damage = Damage(path)
    deliver = Hub.deliver
    dice = random.Random()

    def damaged(hub: Hub, room: str, frames: Sequence[Frame]) -> None:
        whole: list[Frame] = []
        for frame in frames:
            if frame.seq is None:
                whole.append(frame)
                continue
            if dice.random() < damage.share("lost"):
                continue
            times = 2 if dice.random() < damage.share("doubled") else 1
            for _ in range(times):
                if dice.random() < damage.share("late"):
                    # Each for itself, so that later ones overtake earlier ones.
                    wait = dice.random() * damage.share("seconds")
                    hub.loop.call_later(wait, deliver, hub, room, [frame])
                else:
                    whole.append(frame)
        if whole:
            deliver(hub, room, whole)

    Hub.deliver = damaged  # type: ignore[method-assign,assignment]
