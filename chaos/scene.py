"""What a trial consists of: its runs, who watches them, and what the fault did and when."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import aiohttp

from .clients.drawing import Drawing
from .clients.http import EventReader, Poller
from .clients.socket import SocketWatcher, Started
from .cluster import Cluster
from .inspector import Stored
from .play import Play
from .provider import ChaosProvider

Watcher = SocketWatcher | EventReader | Poller


@dataclass(slots=True)
class WatchedRun:
    """One run of a trial.

    Attributes:
        client_id: under which it was asked for, however often.
        watchers: in the order in which they came.
        stored: what the database held of it in the end.
    """

    play: Play
    agent: str
    client_id: str
    started: Started | None = None
    watchers: list[Watcher] = field(default_factory=list)
    stored: Stored | None = None
    resumable: bool = True

    @property
    def drawings(self) -> list[Drawing]:
        return [watcher.drawing for watcher in self.watchers]

    @property
    def ended(self) -> bool:
        return bool(self.watchers) and all(watcher.ended.is_set() for watcher in self.watchers)


@dataclass(slots=True)
class Scene:
    """A trial while it goes.

    Attributes:
        strikes, heals: when damage was done and when it was over (monotonic).
        kills: how many processes that execute runs were ended or frozen.
        able_since: since when everything that a run needs was there; None while something is missing.
        notes: what the fault did, for the evidence.
    """

    cluster: Cluster
    provider: ChaosProvider
    dice: random.Random
    session: aiohttp.ClientSession
    seed: int = 0
    point: str = ""
    """The fail point that faults at points take; empty: one after the other, by seed."""
    runs: list[WatchedRun] = field(default_factory=list)
    strikes: list[float] = field(default_factory=list)
    heals: list[float] = field(default_factory=list)
    kills: int = 0
    able_since: float | None = 0.0
    notes: list[str] = field(default_factory=list)
    jobs: list[asyncio.Task[None]] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)

    def struck(self, what: str) -> None:
        self.strikes.append(time.monotonic())
        self.notes.append(f"{time.time():.3f} {what}")

    def healed(self, what: str) -> None:
        self.heals.append(time.monotonic())
        self.notes.append(f"{time.time():.3f} {what}")

    def note(self, what: str) -> None:
        self.notes.append(f"{time.time():.3f} {what}")

    def unable(self) -> None:
        """From here on runs cannot go on, and nobody is blamed for it."""
        self.able_since = None

    def able(self) -> None:
        self.able_since = time.monotonic()

    def turn(self, points: Sequence[str]) -> str:
        """The point of this trial, so that trials with seeds in a row go through all of them."""
        return self.point or points[self.seed % len(points)]

    def going(self) -> list[WatchedRun]:
        """Those of which nobody has seen the end yet."""
        return [run for run in self.runs if not any(drawing.ended for drawing in run.drawings)]
