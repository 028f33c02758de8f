"""Processes of their own: servers, started on one core, measured from outside, ended by their id; and modules that tell."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import orjson

from scripts.services import die_with_parent, free_port

__all__ = ["Process", "cores", "free_port", "python", "running", "send_queue"]

ROOT = Path(__file__).resolve().parent.parent
STOP_SECONDS = 15.0


def cores() -> tuple[set[int], set[int]]:
    """Core of the measured server, cores of everyone else; the same where there is but one."""
    every = sorted(os.sched_getaffinity(0))
    return ({every[-1]}, set(every[:-1])) if len(every) > 1 else (set(every), set(every))


def send_queue(local_port: int, remote_port: int) -> int:
    """Bytes that the system holds for a connection on loopback and could not yet deliver; 0 when it is gone."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[1].endswith(f":{local_port:04X}") and fields[2].endswith(f":{remote_port:04X}"):
            return int(fields[4].split(":")[0], 16)
    return 0


class Process:
    """A child process. CPU in seconds over all its threads, memory in bytes."""

    def __init__(self, name: str, popen: subprocess.Popen[bytes], log: Path) -> None:
        self.name, self.log = name, log
        self._popen = popen
        # The kernel's clock of another process's CPU time, see clock_getcpuclockid(3).
        self._clock = (~popen.pid << 3) | 2

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def stdout(self) -> IO[bytes]:
        assert self._popen.stdout is not None
        return self._popen.stdout

    def cpu(self) -> float:
        return time.clock_gettime(self._clock)

    def memory(self) -> int:
        """Resident bytes, without pages of files (libraries, the database's mapping)."""
        text = Path(f"/proc/{self.pid}/status").read_text()
        kib = {line.split(":")[0]: line.split()[1] for line in text.splitlines() if line.startswith("Rss")}
        return int(kib["RssAnon"]) * 1024

    def resident(self) -> int:
        """Resident bytes as `top` shows them."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def handles(self) -> int:
        """Open files and sockets."""
        return sum(1 for _ in Path(f"/proc/{self.pid}/fd").iterdir())

    def alive(self) -> bool:
        return self._popen.poll() is None

    def tail(self, lines: int = 25) -> str:
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-lines:])

    def end(self) -> None:
        """Asks it to stop, then insists."""
        if self._popen.stdin is not None:
            self._popen.stdin.close()
        if self.alive():
            self._popen.send_signal(signal.SIGTERM)
            try:
                self._popen.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._popen.kill()
                self._popen.wait()
        if self._popen.stdout is not None:
            self._popen.stdout.close()


@contextlib.contextmanager
def running(
    name: str,
    command: Sequence[str],
    *,
    folder: Path,
    core: set[int],
    environment: Mapping[str, str | None] | None = None,
    answers: Callable[[], bool] | None = None,
    seconds: float = 60,
    cwd: Path | None = None,
) -> Iterator[Process]:
    """Starts `command` on `core`, in the checkout or in `cwd`, without what is None in `environment`; inside the block it runs (and, with `answers`, answers)."""
    log = folder / f"{name}.log"
    variables = {**os.environ, **(environment or {})}
    with log.open("wb") as out:
        popen = subprocess.Popen(
            command,
            cwd=cwd or Path(__file__).resolve().parent.parent,
            env={key: value for key, value in variables.items() if value is not None},
            stdin=subprocess.PIPE,
            stdout=out if answers else subprocess.PIPE,
            stderr=out,
            # Ctrl-C reaches the benchmark alone, which ends everything; so does its own death (Linux).
            start_new_session=True,
            preexec_fn=die_with_parent(signal.SIGTERM),
        )
    os.sched_setaffinity(popen.pid, core)
    process = Process(name, popen, log)
    try:
        if answers is not None:
            _wait(process, answers, seconds)
        yield process
    finally:
        process.end()


def _wait(process: Process, answers: Callable[[], bool], seconds: float) -> None:
    until = time.monotonic() + seconds
    while not answers():
        if not process.alive() or time.monotonic() > until:
            state = "ended" if not process.alive() else f"did not answer within {seconds:.0f} s"
            raise RuntimeError(f"{process.name} {state}; the end of its log:\n{process.tail()}")
        time.sleep(0.05)


def python(*arguments: str) -> list[str]:
    return [sys.executable, *arguments]


def told_by(module: str, env: Mapping[str, str], *arguments: str, seconds: float | None = None) -> Any:
    """Runs a module to its end: the JSON in the last line it printed. Raises `RuntimeError` with its errors."""
    done = subprocess.run(
        python("-m", module, *arguments), cwd=ROOT, env=env, capture_output=True, timeout=seconds, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{module} failed:\n{done.stderr.decode(errors='replace')[-4000:]}")
    return orjson.loads(done.stdout.splitlines()[-1])
