"""The client guide's commands and code, against a real server."""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import nexus_core.client as client
from nexus_core.client.view import is_terminal
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
        timeout=200,
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


def test_it_answers_the_guides_python(server: Server) -> None:
    whole = blocks("python")[0]
    token = server.manage("create_token", "demo").splitlines()[-1]
    code = whole.replace(ADDRESS, f"127.0.0.1:{server.port}").replace("nxs_…", token)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout) > 20


async def test_it_watches_the_guides_conversation(server: Server) -> None:
    """The second block, in a function, with what it takes for granted; it ends with the run."""
    part = blocks("python")[1]
    token = (await asyncio.to_thread(server.manage, "create_token", "demo")).splitlines()[-1]
    namespace: dict[str, Any] = dict(vars(client))
    code = part.replace(
        "case ChunkAdded(run_id, seq, chunk):\n                ...",
        "case ChunkAdded(run_id, seq, chunk):\n                seen.append(seq)\n                if is_terminal(chunk): return",
    )
    assert code != part
    code = "async def watch(nexus, conversation_id, seen, is_terminal):\n" + textwrap.indent(code, "    ")
    exec(compile(code, "client.md", "exec"), namespace)
    seen: list[int] = []
    async with client.NexusClient(f"http://127.0.0.1:{server.port}", token) as nexus, asyncio.timeout(200):
        made = await nexus.conversations.create(agent_id="demo-agent")
        await namespace["watch"](nexus, made.id, seen, is_terminal)
    assert seen == list(range(1, len(seen) + 1))
    assert len(seen) > 2


def test_its_python_table_names_what_there_is() -> None:
    (table,) = re.findall(r"^\| `answer = await.*?(?=\n\n)", GUIDE, re.DOTALL | re.MULTILINE)
    nexus = client.NexusClient("http://127.0.0.1:9", "nxs_x")
    for name in re.findall(r"nexus\.(\w+)", table):
        assert hasattr(nexus, name), name
    for name in re.findall(r"run\.(\w+)", table):
        assert hasattr(client.RunHandle, name) or name == "view", name


def test_it_describes_every_method_of_the_client() -> None:
    source = (ROOT / "static/nexus/client/client.js").read_text()
    described = Path(ROOT / "static/nexus/client/README.md").read_text()
    for method in ("sendMessage", "cancelStream", "resumeStream", "onChunk", "subscribe", "connect", "close"):
        assert re.search(rf"^  (?:async )?{method}\(", source, re.MULTILINE), f"client.js has no {method}"
        assert f"{method}(" in described
