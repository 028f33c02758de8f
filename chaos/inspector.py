"""The database as it is, past every proxy and process of the product: asked by the harness, read in a child."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

ANSWER_SECONDS = 60.0
LINE_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Stored:
    """What the database holds of a run. Rows as dicts of their columns.

    Attributes:
        log: `(seq, type, chunk JSON text)`.
        asked: how many of the person's messages name this run.
    """

    run: dict[str, Any]
    log: list[tuple[int, str, str]]
    steps: list[dict[str, Any]]
    calls: list[dict[str, Any]]
    attempts: list[dict[str, Any]]
    answer: dict[str, Any] | None
    asked: int


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A run that has not ended, on the database's clock. Ages in seconds; `lease_age` None: no lease."""

    id: str
    status: str
    epoch: int
    last_seq: int
    lease_age: float | None
    age: float
    owner: str
    waits_for_another: bool


class Inspector:
    def __init__(self, env: Mapping[str, str], tree: Path, log: Path) -> None:
        self._env, self._tree, self._log = dict(env), tree, log
        self._child: asyncio.subprocess.Process | None = None
        self._lock = asyncio.Lock()
        self._asked = 0

    async def __aenter__(self) -> Inspector:
        with self._log.open("ab") as log:
            self._child = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "chaos.inspecting",
                cwd=self._tree,
                env=self._env,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                limit=LINE_BYTES,
            )
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._child is not None
        assert self._child.stdin is not None
        self._child.stdin.close()
        await self._child.wait()

    async def _ask(self, what: str, **fields: object) -> Any:
        """Raises `ConnectionError` when the database does not answer."""
        assert self._child is not None
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        async with self._lock, asyncio.timeout(ANSWER_SECONDS):
            self._asked += 1
            question = {"what": what, "number": self._asked, **fields}
            self._child.stdin.write(json.dumps(question).encode() + b"\n")
            await self._child.stdin.drain()
            told: dict[str, Any] = {}
            while (
                told.get("number") != self._asked
            ):  # an earlier one's may come first: who asked it was cancelled
                line = await self._child.stdout.readline()
                if not line:
                    raise RuntimeError("the inspector ended")
                told = json.loads(line)
        if "fault" in told:
            raise ConnectionError(told["fault"])
        return told["answer"]

    async def stored(self, run_id: str) -> Stored:
        raw = await self._ask("run", id=run_id)
        return Stored(**{**raw, "log": [tuple(row) for row in raw["log"]]})

    async def unfinished(self) -> list[Unfinished]:
        return [Unfinished(**row) for row in await self._ask("unfinished")]

    async def statuses(self, run_ids: Sequence[str]) -> dict[str, str]:
        return cast("dict[str, str]", await self._ask("statuses", ids=list(run_ids)))

    async def runs_of(self, client_id: str) -> list[str]:
        return cast("list[str]", await self._ask("runs_of", client_id=client_id))

    async def base(self) -> dict[str, int]:
        """What is left over in the database; see `inspecting.base`."""
        return cast("dict[str, int]", await self._ask("base"))
