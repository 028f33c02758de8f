"""`make run`, as a person meets it: the address and the login, one Ctrl-C, and a port that is taken."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.healthcheck import accepted_host, ready
from scripts.services import free_port
from scripts.terminal import ROOT

pytestmark = pytest.mark.slow


class Running:
    """`python -m scripts.serve` with its own data folder and port; what it prints is read as it comes."""

    def __init__(self, data_dir: Path) -> None:
        self.port = free_port()
        dropped = ("DATABASE_URL", "REDIS_URL", "DEBUG", "SECRET_KEY", "HOST", "DJANGO_SETTINGS_MODULE")
        self.env = {name: value for name, value in os.environ.items() if name not in dropped}
        self.env |= {"NEXUS_DATA_DIR": str(data_dir), "PORT": str(self.port), "PYTHONUNBUFFERED": "1"}
        self.lines: list[str] = []
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "scripts.serve"],
            cwd=ROOT,
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def read_until(self, words: str, seconds: float = 90) -> str:
        """What was printed up to the line with these words, and that line."""
        assert self.process is not None
        assert self.process.stdout is not None
        guard = threading.Timer(seconds, self.process.kill)
        guard.start()
        try:
            for line in self.process.stdout:
                self.lines.append(line)
                if words in line:
                    return "".join(self.lines)
        finally:
            guard.cancel()
        raise AssertionError(f"{words!r} was not printed:\n{''.join(self.lines)}")

    def end(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    it = Running(tmp_path / "data")
    yield it
    it.end()


def children(pid: int) -> set[int]:
    found = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False
    )
    return {int(word) for word in found.stdout.split()}


def test_it_serves_says_where_and_ends_whole(running: Running) -> None:
    running.start()
    said = running.read_until("Ctrl-C")
    assert f"Nexus is ready: http://127.0.0.1:{running.port}" in said
    assert re.search(r"Demo login: +demo / demo", said)
    with urllib.request.urlopen(f"http://127.0.0.1:{running.port}/accounts/login/") as answer:
        assert answer.status == 200
    assert running.process is not None
    server = children(running.process.pid)
    running.process.send_signal(signal.SIGINT)
    assert "Nexus has stopped." in running.read_until("stopped")
    assert running.process.wait(60) == 0
    assert [pid for pid in server if Path(f"/proc/{pid}").exists()] == []

    running.lines.clear()
    running.start()
    assert "==> Database: up to date" in running.read_until("Ctrl-C")
    running.process.send_signal(signal.SIGTERM)
    running.read_until("stopped")
    assert running.process.wait(60) == 0


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent died")
def test_it_leaves_no_server_behind_when_it_is_killed(running: Running) -> None:
    running.start()
    running.read_until("Ctrl-C")
    assert running.process is not None
    running.process.kill()
    running.process.wait()
    assert running.process.stdout is not None
    running.process.stdout.read()  # ends when the last process that writes to it is gone
    assert not ready(running.port, "localhost")


def test_it_says_which_variable_to_set_when_the_port_is_taken(running: Running) -> None:
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # `free_port` keeps it
        other.bind(("127.0.0.1", running.port))
        other.listen()
        running.start()
        said = running.read_until("choose another")
    assert running.process is not None
    assert running.process.wait(60) == 1
    assert f"port {running.port} on 127.0.0.1 cannot be used" in said
    assert f"make run PORT={running.port + 1}" in said


@pytest.mark.parametrize("port", ["http", "0", "70000"])
def test_it_refuses_a_port_that_is_none(running: Running, port: str) -> None:
    running.env["PORT"] = port
    running.start()
    assert f"PORT is '{port}'" in running.read_until("PORT is")


@pytest.mark.parametrize(
    ("allowed", "host"),
    [
        ("", "localhost"),
        ("*", "localhost"),
        (".example.org,x", "example.org"),
        ("nexus.example, b", "nexus.example"),
    ],
)
def test_its_container_asks_itself_under_a_name_it_answers_to(
    monkeypatch: pytest.MonkeyPatch, allowed: str, host: str
) -> None:
    monkeypatch.setenv("ALLOWED_HOSTS", allowed)
    assert accepted_host() == host
