"""The product as it is deployed: embedded (one process, SQLite) or scaled (PostgreSQL, Redis, several of each)."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from .inspector import Inspector
from .nodes import ROOT, WEB, Node
from .stores import Postgres, Redis

Topology = Literal["embedded", "scaled"]


@dataclass(frozen=True, slots=True)
class Plan:
    """Which processes, and how long a lease is (seconds; None: the product's own)."""

    topology: Topology = "scaled"
    webs: int = 2
    workers: int = 4
    lease: float | None = 2.0
    tree: Path = ROOT
    variables: tuple[tuple[str, str], ...] = ()

    @property
    def lease_seconds(self) -> float:
        return self.lease if self.lease is not None else 15.0


@dataclass(frozen=True, slots=True)
class Person:
    name: str
    token: str


class Cluster:
    """`async with Cluster(plan, folder, provider_url) as cluster:` everything runs and answers."""

    def __init__(self, plan: Plan, folder: Path, provider_url: str) -> None:
        self.plan, self.folder = plan, folder
        self.failpoints = folder / "failpoints"
        self.effects = folder / "effects.jsonl"
        self.nodes: list[Node] = []
        self.people: list[Person] = []
        self.postgres: Postgres | None = None
        self.redis: Redis | None = None
        self._provider_url = provider_url
        self._coming: set[asyncio.Task[None]] = set()
        self._stack = AsyncExitStack()
        self.inspector: Inspector

    async def __aenter__(self) -> Cluster:
        try:
            await self._begin()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def _begin(self) -> None:
        self.failpoints.mkdir(parents=True, exist_ok=True)
        self.effects.touch()
        if self.plan.topology == "scaled":
            self.postgres = Postgres()
            self._stack.callback(self.postgres.stop)
            await self._stack.enter_async_context(self.postgres.proxy)
            self.redis = Redis()
            self._stack.callback(self.redis.stop)
            await self._stack.enter_async_context(self.redis.proxy)
        self._stack.callback(self._kill_all)
        env = self._environment()
        direct = env | ({"DATABASE_URL": self.postgres.direct} if self.postgres is not None else {})
        direct |= {"REDIS_URL": "", "NEXUS_FAILPOINTS": "", "LOG_LEVEL": "CRITICAL"}
        self.people = await asyncio.to_thread(self._fill, direct)
        self.inspector = await self._stack.enter_async_context(
            Inspector(direct, self.plan.tree, self.folder / "inspector.log")
        )
        if self.plan.topology == "embedded":
            self.nodes = [Node("web1", "daphne", self.folder, env, self.plan.tree)]
        else:
            webs = [
                Node(f"web{n + 1}", WEB[n % 2], self.folder, env, self.plan.tree)
                for n in range(self.plan.webs)
            ]
            workers = [
                Node(f"worker{n + 1}", "worker", self.folder, env, self.plan.tree)
                for n in range(self.plan.workers)
            ]
            self.nodes = [*webs, *workers]
        await self.mend()

    def _environment(self) -> dict[str, str]:
        kept = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV", "PYTHONPATH")
        env = {name: os.environ[name] for name in kept if name in os.environ} | {
            "DJANGO_SETTINGS_MODULE": "chaos.product.settings",
            "DEBUG": "0",
            "SECRET_KEY": secrets.token_urlsafe(48),
            "LOG_JSON": "1",
            "LOG_LEVEL": "INFO",
            "NEXUS_DATA_DIR": str(self.folder / "data"),
            "NEXUS_LIMITS_FACTOR": "100",  # one person stands for many
            "NEXUS_FAILPOINTS": str(self.failpoints),
            "NEXUS_FAILPOINTS_ALLOWED": "1",
            "CHAOS_FOLDER": str(self.folder),
            "CHAOS_EFFECTS": str(self.effects),
            "CHAOS_BASE_URL": f"{self._provider_url}/v1",
            "ANTHROPIC_API_KEY": "chaos",
            "ANTHROPIC_BASE_URL": self._provider_url,
            "PYTHONASYNCIODEBUG": "",
        }
        if self.plan.lease is not None:
            env["NEXUS_LEASE_SECONDS"] = str(self.plan.lease)
        if self.postgres is not None and self.redis is not None:
            env |= {"DATABASE_URL": self.postgres.url, "REDIS_URL": self.redis.url}
        return env | dict(self.plan.variables)

    def _fill(self, env: Mapping[str, str]) -> list[Person]:
        done = subprocess.run(
            [sys.executable, "-m", "chaos.fill"],
            cwd=self.plan.tree,
            env=dict(env),
            capture_output=True,
            timeout=180,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"the database could not be filled:\n{done.stderr.decode()[-4000:]}")
        return [Person(**person) for person in json.loads(done.stdout.splitlines()[-1])]

    def _kill_all(self) -> None:
        for task in self._coming:
            task.cancel()
        for node in self.nodes:
            node.thaw() if node.alive else None
            node.kill()

    # --- while it runs ---

    @property
    def webs(self) -> list[Node]:
        return [node for node in self.nodes if node.kind in WEB]

    @property
    def workers(self) -> list[Node]:
        """Those who execute runs: the web process where it is alone."""
        return [node for node in self.nodes if node.kind == "worker"] or self.webs

    def ports(self) -> Sequence[int]:
        """Of the web processes that live, as a load balancer would know them."""
        return [node.port for node in self.webs if node.alive and node.up]

    def revive(self, node: Node) -> asyncio.Task[None]:
        """Starts it; the task ends when it answers."""
        node.start()
        task = asyncio.create_task(node.ready(), name=f"revive-{node.name}")
        self._coming.add(task)
        task.add_done_callback(self._coming.discard)
        return task

    async def mend(self, *, all_up: bool = True) -> None:
        """Starts what is dead, and waits until all of them answer, or enough for a trial."""
        for node in self.nodes:
            if not node.alive:
                self.revive(node)
        while self._coming and (all_up or not self._enough()):
            done, _ = await asyncio.wait(self._coming, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()

    def _enough(self) -> bool:
        up = [node for node in self.workers if node.up]
        return bool(self.ports()) and len(up) >= min(2, len(self.workers))

    def arm(self, point: str, action: str, *, hit: int = 1, seconds: float = 0.0) -> Path:
        """Arms a fail point, once, for whoever comes there first; the file that tells that it happened."""
        done = self.failpoints / f"{point}.done"
        done.unlink(missing_ok=True)
        order = {"action": action, "hit": hit, "seconds": seconds, "armed": time.time()}
        half = self.failpoints / f".{point}"
        half.write_text(json.dumps(order))
        half.rename(self.failpoints / point)
        return done

    def disarm(self) -> None:
        for path in self.failpoints.iterdir():
            path.unlink(missing_ok=True)

    def node_of(self, pid: int) -> Node | None:
        return next((node for node in self.nodes if node._process is not None and node.pid == pid), None)

    def hints(self, **shares: float) -> None:
        """How doorbells are damaged from now on (`product.hints`); nothing named: not at all."""
        self._tell("hints.json", shares)

    def clocks(self, offsets: Mapping[str, float]) -> None:
        """By how many seconds the clocks of the nodes are off from now on (`product.clock`)."""
        self._tell("clocks.json", offsets)

    def _tell(self, name: str, what: Mapping[str, float]) -> None:
        half = self.folder / f"{name}.half"
        half.write_text(json.dumps(dict(what)))
        half.rename(self.folder / name)
