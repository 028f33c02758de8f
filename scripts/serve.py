"""`make run`: prepares the database, starts Daphne on HOST:PORT, and says where it answers.

One Ctrl-C (or SIGTERM) lets the server finish what it must and ends everything; a second one does not wait.
"""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import environ

from scripts.prepare import prepare
from scripts.services import die_with_parent
from scripts.terminal import ROOT, StepFailed, fail, say

GRACE_SECONDS = 30
READY_SECONDS = 90


@dataclass(frozen=True)
class Place:
    host: str
    port: int

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    @property
    def probe_host(self) -> str:
        return "127.0.0.1" if self.host in ("", "0.0.0.0") else self.host


def main() -> None:
    started = time.monotonic()
    if (ROOT / ".env").exists():
        environ.Env.read_env(ROOT / ".env")  # what is set already wins
    os.environ["DEBUG"] = os.environ.get("DEBUG") or "1"
    place = _place()
    data_dir = Path(os.environ.get("NEXUS_DATA_DIR") or ROOT / "var").expanduser().resolve()
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        said = prepare(data_dir, os.environ.get("DATABASE_URL", ""), _is_true(os.environ["DEBUG"]))
    except StepFailed as fault:
        fail(str(fault))
    except OSError as fault:
        fail(
            f"{fault.filename or data_dir}: {fault.strerror}. Set NEXUS_DATA_DIR to a folder you may write to."
        )
    sys.exit(_serve(place, said.get("login", ""), started))


def _place() -> Place:
    """HOST and PORT, checked before anything else is done."""
    text = os.environ.get("PORT") or "8000"
    if not text.isdigit() or not 0 < int(text) < 65536:
        fail(f"PORT is {text!r}; it must be a number from 1 to 65535, as in: make run PORT=8001")
    place = Place(os.environ.get("HOST") or "127.0.0.1", int(text))
    family = socket.AF_INET6 if ":" in place.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((place.host, place.port))
        except OSError as fault:
            fail(
                f"port {place.port} on {place.host} cannot be used ({fault.strerror}). "
                f"Stop what uses it, or choose another: make run PORT={min(place.port + 1, 65535)}"
            )
    return place


def _serve(place: Place, login: str, started: float) -> int:
    say(f"==> Server on {place.url}")
    server = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "daphne",
            "-v",
            "0",
            "-b",
            place.host,
            "-p",
            str(place.port),
            "nexus_site.asgi:application",
        ],
        cwd=ROOT,
        # Its own session: Ctrl-C reaches only this process, which then asks the server to stop, once.
        start_new_session=True,
        # Even a `kill -9` of this process leaves no server behind (Linux).
        preexec_fn=die_with_parent(signal.SIGTERM),
    )
    stop = _Stop(server)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)
    deadline = time.monotonic() + READY_SECONDS
    while server.poll() is None and not stop.asked and time.monotonic() < deadline:
        if _is_ready(place):
            _announce(place, login, time.monotonic() - started)
            break
        time.sleep(0.05)
    else:
        if server.poll() is None and not stop.asked:
            say(
                f"Nexus: the server does not answer at {place.url}/readyz after {READY_SECONDS} s; its log is above."
            )
    while server.poll() is None:
        stop.enforce()
        try:
            server.wait(0.5)
        except subprocess.TimeoutExpired:
            continue
    if stop.asked:
        say("Nexus has stopped.")
        return 0
    say(f"Nexus: the server ended by itself (exit code {server.returncode}); the lines above say why.")
    return server.returncode if server.returncode > 0 else 1


class _Stop:
    """Passes a signal on to the server as a request to stop, and insists when it takes too long."""

    def __init__(self, server: subprocess.Popen[bytes]) -> None:
        self._server = server
        self.asked = False
        self._deadline = 0.0

    def __call__(self, number: int, frame: object) -> None:
        if self.asked and number == signal.SIGINT:
            self._server.kill()
        elif not self.asked:
            self.asked = True
            self._deadline = time.monotonic() + GRACE_SECONDS
            if self._server.poll() is None:
                self._server.terminate()

    def enforce(self) -> None:
        if self.asked and time.monotonic() > self._deadline:
            self._server.kill()


def _announce(place: Place, login: str, seconds: float) -> None:
    say(f"\n  Nexus is ready: {place.url}")
    if login:
        say(f"  Demo login:     {login}")
    say(f"\n  Started in {seconds:.1f} s. Ctrl-C stops it.\n")


def _is_ready(place: Place) -> bool:
    connection = http.client.HTTPConnection(place.probe_host, place.port, timeout=2)
    try:
        # A Host that is allowed whatever name the server is meant to be reached by.
        connection.request("GET", "/readyz", headers={"Host": "localhost"})
        return connection.getresponse().status < 500
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _is_true(text: str) -> bool:
    return text.strip().lower() in ("1", "true", "yes", "on", "y", "t")


if __name__ == "__main__":
    main()
