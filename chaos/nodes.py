"""The product's processes: started, killed, frozen, asked to stop; each with a log of its own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping
from http.client import HTTPException
from pathlib import Path
from typing import Any, Literal

from scripts.services import die_with_parent, free_port

ROOT = Path(__file__).resolve().parent.parent
READY_SECONDS = 180.0
STOP_SECONDS = 20.0
Kind = Literal["daphne", "uvicorn", "worker"]
WEB: tuple[Kind, ...] = ("daphne", "uvicorn")


class Node:
    """One process at a time; after its end the same node may be started again, at the same port.

    Args:
        tree: the checkout it runs from; with `env` it may change before the next start.
    """

    def __init__(
        self, name: str, kind: Kind, folder: Path, env: Mapping[str, str], tree: Path = ROOT
    ) -> None:
        self.name, self.kind = name, kind
        self.port = free_port() if kind in WEB else 0
        self.log = folder / f"{name}.log"
        self._folder, self.tree = folder, tree
        self.env = {**env, "CHAOS_NODE": name}
        self._process: subprocess.Popen[bytes] | None = None
        self.started_at = 0.0
        self._log_from = 0
        self.ended_on_purpose = True
        self.up = False
        """Answers, as far as a load balancer knows."""

    # --- life ---

    def start(self) -> None:
        """From the main thread: a process dies with the thread that made it."""
        self._log_from = self.log.stat().st_size if self.log.exists() else 0
        self.started_at = time.time()
        self.ended_on_purpose = self.up = False
        with self.log.open("ab") as out:
            self._process = subprocess.Popen(
                [sys.executable, *self._command()],
                cwd=self.tree,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                preexec_fn=die_with_parent(signal.SIGKILL),
            )

    def _command(self) -> list[str]:
        application = "nexus_site.asgi:application"
        if self.kind == "daphne":
            return ["-m", "daphne", "-b", "127.0.0.1", "-p", str(self.port), application]
        if self.kind == "uvicorn":
            flags = ["--ws", "websockets-sansio", "--no-access-log", "--timeout-graceful-shutdown", "10"]
            return ["-m", "uvicorn", application, "--host", "127.0.0.1", "--port", str(self.port), *flags]
        return ["manage.py", "worker"]

    async def ready(self) -> None:
        """Raises `RuntimeError` with the end of the log when it ends, or is not ready in time."""
        until = time.monotonic() + READY_SECONDS
        while not await asyncio.to_thread(self._answers):
            if not self.alive or time.monotonic() > until:
                raise RuntimeError(f"{self.name} did not get ready; the end of its log:\n{self.tail()}")
            await asyncio.sleep(0.05)
        self.up = True

    def _answers(self) -> bool:
        if self.kind == "worker":
            with self.log.open("rb") as log:
                log.seek(self._log_from)
                return b"worker ready" in log.read()
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=5) as answer:
                return bool(answer.status == 200)
        except (OSError, HTTPException):
            return False

    @property
    def alive(self) -> bool:
        if self._process is None or self._process.poll() is not None:
            self.up = False
            return False
        return True

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        return None if self._process is None else self._process.poll()

    def kill(self) -> None:
        self.ended_on_purpose, self.up = True, False
        if self.alive:
            os.kill(self.pid, signal.SIGKILL)
            assert self._process is not None
            self._process.wait()

    def freeze(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGCONT)

    def ask_to_stop(self) -> None:
        """SIGTERM, and no waiting."""
        self.ended_on_purpose, self.up = True, False
        os.kill(self.pid, signal.SIGTERM)

    async def terminate(self) -> float:
        """SIGTERM; seconds until it ended. Raises `RuntimeError` when it does not."""
        self.ended_on_purpose, self.up = True, False
        began = time.monotonic()
        if self.alive:
            os.kill(self.pid, signal.SIGTERM)
        while self.alive:
            if time.monotonic() - began > STOP_SECONDS:
                self.kill()
                raise RuntimeError(f"{self.name} did not end within {STOP_SECONDS:.0f} s of SIGTERM")
            await asyncio.sleep(0.02)
        return time.monotonic() - began

    # --- what can be seen ---

    def tail(self, lines: int = 30) -> str:
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-lines:])

    def memory(self) -> int:
        """Resident bytes."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    async def pulse(self) -> dict[str, Any]:
        """Its tasks, threads and file handles now (`product.pulse`). Raises `TimeoutError`."""
        out = self._folder / f"pulse.{self.pid}"
        out.unlink(missing_ok=True)
        os.kill(self.pid, signal.SIGUSR2)
        async with asyncio.timeout(30):
            while not out.exists():
                await asyncio.sleep(0.02)
        told: dict[str, Any] = json.loads(out.read_text())
        return told
