"""The client guide's commands and code, against a real server."""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.server import ROOT, Server

pytestmark = pytest.mark.slow

GUIDE = (ROOT / "docs/guides/client.md").read_text()
ADDRESS = "127.0.0.1:8000"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", GUIDE, re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = Server(tmp_path_factory.mktemp("client-guide"))
    running.prepare()
    running.start()
    yield running
    running.stop()


def shell(server: Server, script: str) -> str:
    """Runs what the guide says; the address and the interpreter are this test's."""
    script = script.replace(ADDRESS, f"127.0.0.1:{server.port}").replace(".venv/bin/python", sys.executable)
    done = subprocess.run(
        ["sh", "-euc", script],
        cwd=ROOT,
        env=server.env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_it_answers_the_guides_curl(server: Server) -> None:
    make_token, ask, stream = blocks("sh")
    answer = shell(server, make_token + ask)
    assert '"chunks"' in answer
    assert '"status":"complete"' in answer.replace(" ", "")
    events = shell(server, make_token + stream)
    assert events.startswith(": connected\n")
    assert "\nid: 1\ndata: " in events
    assert '"status":"complete"' in events.replace(" ", "")


async def test_it_streams_to_the_guides_socket(server: Server) -> None:
    [code] = blocks("python")
    namespace: dict[str, Any] = {}
    exec(compile(code, "client.md", "exec"), namespace)
    token = (await asyncio.to_thread(server.manage, "create_token", "demo")).splitlines()[-1]
    ask = namespace["ask"]
    answer = await ask(
        f"ws://127.0.0.1:{server.port}/ws/", token, "demo-agent", "Show me token usage statistics"
    )
    assert answer
    with pytest.raises(RuntimeError, match="no-such-agent"):
        await ask(f"ws://127.0.0.1:{server.port}/ws/", token, "no-such-agent", "Hello")


def test_it_describes_every_method_of_the_client() -> None:
    source = (ROOT / "static/nexus/client/client.js").read_text()
    described = Path(ROOT / "static/nexus/client/README.md").read_text()
    for method in ("sendMessage", "cancelStream", "resumeStream", "onChunk", "subscribe", "connect", "close"):
        assert re.search(rf"^  (?:async )?{method}\(", source, re.MULTILINE), f"client.js has no {method}"
        assert f"{method}(" in described
