"""Real servers for the tests, as any user: what the environment names, what is installed, what packages bring."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path


class ServiceMissing(Exception):
    """The service could not be had; the message says what was tried."""


@dataclass
class Service:
    """A server that is ready: `value` is its address (or the program), `origin` says where it came from."""

    name: str
    value: str
    origin: str
    libraries: str = ""
    on_stop: list[Callable[[], None]] = field(default_factory=list)

    def stop(self) -> None:
        """Ends what was started for it; a server of somebody else stays."""
        while self.on_stop:
            self.on_stop.pop()()


_kept: list[socket.socket] = []


def scratch(prefix: str) -> Path:
    """A folder that every user may pass through, short enough for socket paths."""
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir="/tmp" if Path("/tmp").is_dir() else None))
    folder.chmod(0o755)
    return folder


def free_port() -> int:
    """A port at which nobody listens, and which nobody else is given for as long as this process lives.

    It stays bound here, without listening: whoever connects is refused, whoever binds it by its number and with
    SO_REUSEADDR, as every server does, gets it, again and again. (Only Linux tells these two apart.)
    """
    probe = socket.socket()
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    probe.bind(("127.0.0.1", 0))
    port = int(probe.getsockname()[1])
    if sys.platform == "linux":
        _kept.append(probe)
    else:
        probe.close()
    return port


def answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


def wait_until(
    ready: Callable[[], bool], process: subprocess.Popen[bytes], log: Path, *, seconds: float = 90
) -> None:
    """Raises `ServiceMissing` with the end of the log when the server ends or is not ready in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise ServiceMissing(f"ended at once: {tail(log)}")
        if ready():
            return
        time.sleep(0.05)
    end(process)
    raise ServiceMissing(f"not ready after {seconds:.0f} s: {tail(log)}")


def tail(log: Path, size: int = 600) -> str:
    return log.read_text(errors="replace")[-size:].strip() if log.exists() else "(no log)"


def end(process: subprocess.Popen[bytes], how: signal.Signals = signal.SIGTERM) -> None:
    if process.poll() is not None:
        return
    process.send_signal(how)
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def die_with_parent(number: signal.Signals) -> Callable[[], None] | None:
    """For `preexec_fn`: has a server get this signal when its parent dies, however it dies (Linux)."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl
    return lambda: prctl(1, int(number))


def remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)


def is_root() -> bool:
    return os.geteuid() == 0
