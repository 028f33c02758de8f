"""One small-model child per host: found or started under a lock, shared by all processes.

In `<data dir>/local-model/` stand `lock` (held while someone starts a child),
`server.json` (address, key, pid; readable by the owner alone) and `server.log`.
Whoever starts the child owns it by the pipe to its standard input; when that
process is gone the child exits, and the next request of another process starts a new one.
Everything here blocks and is called in a thread.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import json
import os
import secrets
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from .local_server import PACKAGES_MISSING

START_SECONDS = 60.0
_HEALTH_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Child:
    """A running child: where it listens and the key it asks for."""

    address: str
    key: str
    pid: int


class PackagesMissing(RuntimeError):
    """The packages of the local model are not installed."""


class DidNotStart(RuntimeError):
    """The child ended, or said nothing, before it served."""


_owned: dict[Path, subprocess.Popen[str]] = {}
_here = threading.Lock()
# Loopback needs no proxy, and a proxy of the environment must not see the key.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def default_folder() -> Path:
    """Where the child's files are when the host names no data directory."""
    return Path(tempfile.gettempdir()) / f"nexus-core-{os.getuid()}"


def ensure(data_dir: Path) -> Child:
    """The child of this host, started if there is none. Raises `PackagesMissing`, `DidNotStart`."""
    folder = data_dir / "local-model"
    child = _recorded(folder)
    if child is not None and answers(child):
        return child
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _here, _locked(folder / "lock"):
        child = _recorded(folder)
        if child is not None and answers(child):
            return child
        stop_owned(data_dir)
        return _start(folder)


def answers(child: Child) -> bool:
    """Whether the child is up and is ours."""
    headers = {"Authorization": f"Bearer {child.key}"}
    request = urllib.request.Request(f"{child.address}/health", headers=headers)  # noqa: S310  written by us
    try:
        with _opener.open(request, timeout=_HEALTH_SECONDS) as answer:
            return bool(json.load(answer).get("status") == "ok")
    except (OSError, ValueError, urllib.error.URLError):
        return False


def stop_owned(data_dir: Path) -> None:
    """Ends the child that this process started for `data_dir`, if it did."""
    process = _owned.pop(data_dir / "local-model", None)
    if process is None:
        return
    assert process.stdin is not None
    with contextlib.suppress(OSError):
        process.stdin.close()
    try:
        process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@atexit.register
def _stop_all() -> None:
    for folder in list(_owned):
        stop_owned(folder.parent)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("a") as file:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise DidNotStart(f"another process holds {path}") from None
                time.sleep(0.05)
        yield


def _recorded(folder: Path) -> Child | None:
    try:
        return Child(**json.loads((folder / "server.json").read_text()))
    except (OSError, ValueError, TypeError):
        return None


def _start(folder: Path) -> Child:
    key = secrets.token_urlsafe(32)
    log = folder / "server.log"
    with log.open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "nexus_core.providers.local_server"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,  # an interrupt at the terminal is for the host, which then lets go
        )
    assert process.stdin is not None
    assert process.stdout is not None
    timer = threading.Timer(START_SECONDS, process.kill)
    timer.start()
    try:
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(key + "\n")
            process.stdin.flush()
        line = process.stdout.readline()
    finally:
        timer.cancel()
        process.stdout.close()
    if not line:
        status = process.wait()
        if status == PACKAGES_MISSING:
            raise PackagesMissing
        raise DidNotStart(f"the child ended with status {status}; see {log}")
    child = Child(json.loads(line)["address"], key, process.pid)
    _owned[folder] = process
    _record(folder, child)
    return child


def _record(folder: Path, child: Child) -> None:
    """Written beside and moved into place, so that a reader never sees half of it."""
    draft = folder / f"server.json.{os.getpid()}"
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(asdict(child), file)
    draft.replace(folder / "server.json")
