"""One trial: some runs, everybody who watches them, one fault, and the checks."""

from __future__ import annotations

import asyncio
import json
import time
import traceback
from collections.abc import Coroutine
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import aiohttp

from .checks import check_all
from .checks.base import Base
from .checks.health import Logs, ended_alone
from .checks.leases import watch_leases
from .checks.promises import check_client_ids
from .clients.doors import Door
from .clients.drawing import Chunk
from .clients.http import EventReader, Poller, invoke
from .clients.socket import SocketWatcher
from .cluster import Cluster
from .faults import Fault
from .provider import ChaosProvider
from .scene import Scene, WatchedRun, Watcher

END_SECONDS = 60.0
"""Beyond what the leases of all epochs take: a trial that lasts longer has failed."""
LATE_SECONDS = 60.0
AGENTS = ("openai", "anthropic")


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a trial. `recovery` in seconds, None where nothing was hit."""

    fault: str
    topology: str
    seed: int
    violations: list[str]
    recovery: float | None
    seconds: float
    kills: int = 0
    struck: int = 0
    notes: list[str] = field(default_factory=list)


def _resumed(chunk: Chunk) -> bool:
    return bool(chunk["type"] == "metadata" and chunk["data"].get("status") == "resumed")


class Trial:
    def __init__(
        self,
        fault: Fault,
        seed: int,
        cluster: Cluster,
        provider: ChaosProvider,
        session: aiohttp.ClientSession,
        base: Base,
        point: str = "",
    ) -> None:
        self._fault, self._seed, self._base = fault, seed, base
        self._logs = Logs(cluster)
        self._logs.new_faults()  # what stands there already belongs to others
        self.scene = Scene(cluster, provider, Random(seed), session, seed, point)

    async def run(self) -> Result:
        scene, began = self.scene, time.monotonic()
        watch = asyncio.create_task(watch_leases(scene), name="leases")
        try:
            await self._play()
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)
            await self._look()
        except Exception:
            scene.violations.append(f"the trial itself failed:\n{traceback.format_exc()}")
        finally:
            for job in (watch, *scene.jobs):
                job.cancel()
            await asyncio.gather(watch, *scene.jobs, return_exceptions=True)
            scene.cluster.disarm()
        scene.violations += ended_alone(scene.cluster)
        await scene.cluster.mend(all_up=False)
        if not scene.violations:  # or it would say that again, in other words
            scene.violations += await self._base.faults()
        scene.violations += self._logs.new_faults(self._fault.allowed)
        return Result(
            self._fault.name,
            scene.cluster.plan.topology,
            self._seed,
            scene.violations,
            self._recovery(),
            time.monotonic() - began,
            scene.kills,
            len(scene.strikes),
            scene.notes,
        )

    # --- the runs and their watchers ---

    async def _play(self) -> None:
        scene = self.scene
        strike = asyncio.create_task(self._strike(), name="strike")
        scene.jobs.append(strike)
        count = scene.dice.randint(*self._fault.runs)
        runs = [self._cast(n) for n in range(count)]
        scene.runs += runs
        beginnings = [self._job(self._begin(run, Random(scene.dice.random()))) for run in runs]
        until = time.monotonic() + END_SECONDS + 6 * scene.cluster.plan.lease_seconds
        # Somebody who means to join counts: whoever comes during the verdict has seen nothing yet.
        while not (
            strike.done() and all(job.done() for job in beginnings) and all(run.ended for run in runs)
        ):
            for job in scene.jobs:
                if job.done() and not job.cancelled() and (fault := job.exception()) is not None:
                    raise fault
            if time.monotonic() > until:
                for run in runs:
                    for watcher in run.watchers:
                        if not watcher.ended.is_set():
                            scene.violations.append(
                                f"I9 [{run.play.key}] {watcher.name} waited in vain, at seq {watcher.drawing.last}"
                            )
                    if not run.watchers:
                        scene.violations.append(f"I4 [{run.play.key}] nobody accepted it")
                return
            await asyncio.sleep(0.02)
        await self._late(runs)

    async def _strike(self) -> None:
        await self._fault.strike(self.scene)

    def _cast(self, number: int) -> WatchedRun:
        key = f"{self._fault.name}-{self._seed}-{number}".replace("_", "-")
        play = self._fault.play(self.scene.dice, key)
        return WatchedRun(play, self.scene.dice.choice(AGENTS), f"chaos-{key}-{time.time_ns()}")

    def _door(self, dice: Random) -> Door:
        return Door(dice.choice(self.scene.cluster.people), self.scene.cluster.ports, dice)

    def _job(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        job = asyncio.create_task(work)
        self.scene.jobs.append(job)
        return job

    async def _begin(self, run: WatchedRun, dice: Random) -> None:
        """Asks for the run at one of the doors; then the others come, some of them in the middle."""
        await asyncio.sleep(dice.uniform(0, 0.3))
        door, text = self._door(dice), run.play.message()
        if dice.random() < 0.6:
            asked = {"clientId": run.client_id, "agentId": run.agent, "input": text}
            sender = SocketWatcher("sender", door, start=asked)
            self._job(sender.watch())
            run.started = await sender.started
            self._watched(run, sender)
        else:
            run.started, _ = await invoke(
                door, self.scene.session, agent=run.agent, text=text, client_id=run.client_id
            )
        others: list[Watcher] = [
            SocketWatcher("viewer", self._door(dice), run=run.started),
            EventReader("events", self._door(dice), run.started, self.scene.session),
        ]
        if dice.random() < 0.5:
            others.append(Poller("poller", self._door(dice), run.started, self.scene.session))
        for watcher in others:
            self._watched(run, watcher)
            self._job(watcher.watch())
        if dice.random() < 0.5:
            await asyncio.sleep(dice.uniform(0.2, 2.5))
            joiner = SocketWatcher("joiner", self._door(dice), run=run.started)
            self._watched(run, joiner)
            self._job(joiner.watch())

    def _watched(self, run: WatchedRun, watcher: Watcher) -> None:
        run.watchers.append(watcher)

    async def _late(self, runs: list[WatchedRun]) -> None:
        """Who comes after the end sees the same."""
        late: list[Watcher] = []
        for run in runs:
            assert run.started is not None
            comers: list[Watcher] = [
                SocketWatcher("late socket", self._door(self.scene.dice), run=run.started),
                EventReader("late events", self._door(self.scene.dice), run.started, self.scene.session),
            ]
            for watcher in comers:
                self._watched(run, watcher)
                self._job(watcher.watch())
                late.append(watcher)
        try:
            async with asyncio.timeout(LATE_SECONDS):
                for watcher in late:
                    await watcher.ended.wait()
        except TimeoutError:
            self.scene.violations.append("I2 somebody who came after the end did not see all of it")

    # --- the verdict ---

    async def _look(self) -> None:
        scene = self.scene
        for run in scene.runs:
            if run.started is None:
                continue
            run.stored = await scene.cluster.inspector.stored(run.started.run_id)
            status = run.stored.run["status"]
            if self._fault.all_complete and status != "complete":
                scene.violations.append(
                    f"[{run.play.key}] ended {status} ({run.stored.run['error_code']}: {run.stored.run['error_message']})"
                )
        scene.violations += check_all(scene)
        scene.violations += await check_client_ids(scene)

    def _recovery(self) -> float | None:
        scene = self.scene
        if not scene.strikes:
            return None
        moments = scene.strikes if self._fault.recovery == "resumed" else scene.heals
        waits: list[float] = []
        for drawing in (drawing for run in scene.runs for drawing in run.drawings):
            drawn = list(zip(drawing.times, drawing.chunks, strict=True))
            for n, moment in enumerate(moments):
                until = moments[n + 1] if n + 1 < len(moments) else float("inf")
                if not drawn or drawn[0][0] > scene.strikes[0] or drawn[-1][0] < moment:
                    continue  # it was not watching when it happened, or had seen everything
                after = [(at, chunk) for at, chunk in drawn if moment < at < until]
                if self._fault.recovery == "resumed":
                    after = [(at, chunk) for at, chunk in after if _resumed(chunk)]
                waits += [at - moment for at, _ in after[:1]]
        return max(waits, default=None)

    def evidence(self, folder: Path, result: Result) -> None:
        """Everything that is known of the trial: what was stored, drawn and sent, and the ends of the logs."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "result.json").write_text(json.dumps(asdict(result), indent=1))
        for run in self.scene.runs:
            told = {
                "play": asdict(run.play),
                "agent": run.agent,
                "started": None if run.started is None else asdict(run.started),
                "stored": None if run.stored is None else asdict(run.stored),
                "requests": [asdict(r) for r in self.scene.provider.truth.of(run.play.key)],
                "watchers": [
                    {
                        "name": watcher.name,
                        "ended": watcher.ended.is_set(),
                        "gaps": watcher.drawing.gaps,
                        "repeats": watcher.drawing.repeats,
                        **(watcher.story() if isinstance(watcher, SocketWatcher) else {}),
                    }
                    for watcher in run.watchers
                ],
                "drawn": {
                    f"{n} {drawing.watcher}": {
                        "last": drawing.last,
                        "breaches": drawing.breaches,
                        "chunks": drawing.chunks,
                    }
                    for n, drawing in enumerate(run.drawings)
                },
            }
            (folder / f"{run.play.key}.json").write_text(json.dumps(told, indent=1, default=str))
        for node in self.scene.cluster.nodes:
            (folder / f"{node.name}.log").write_text(node.tail(400))
