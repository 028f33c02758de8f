"""The package as others get it: a wheel, alone in a clean environment, without Django."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import venv
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

PACKAGE = Path(__file__).parents[2] / "packages" / "nexus-core"

NO_DJANGO = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("django", "channels", "ninja"):
            raise ImportError(f"{name} must not be imported by nexus_core")

sys.meta_path.insert(0, Refuse())
"""

IMPORT_ALL = """
import importlib, pkgutil, nexus_core
for module in pkgutil.walk_packages(nexus_core.__path__, "nexus_core."):
    importlib.import_module(module.name)
assert not any(name.split(".")[0] in ("django", "channels") for name in sys.modules)
"""


def readme_script() -> str:
    """The first Python block of the package's README, as it stands."""
    found = re.search(r"```python\n(.*?)```", (PACKAGE / "README.md").read_text(), re.DOTALL)
    assert found
    return found[1]


def run(python: Path | str, code: str) -> str:
    done = subprocess.run(
        [str(python), "-I", "-c", code], capture_output=True, text=True, timeout=110, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_its_readme_has_a_script_of_about_ten_lines():
    lines = [line for line in readme_script().splitlines() if line.strip()]
    assert len(lines) <= 11


def test_it_runs_the_readme_script_where_django_cannot_be_imported():
    out = run(sys.executable, NO_DJANGO + readme_script())
    assert out == "### Add\n\n5\n"


def test_it_imports_whole_where_django_cannot_be_imported():
    run(sys.executable, NO_DJANGO + IMPORT_ALL)


def test_it_starts_without_loading_any_sdk():
    heavy = ["anthropic", "openai", "google.genai", "ollama", "bpe_openai", "xllamacpp"]
    code = f"import sys, nexus_core, nexus_core.loop\nprint([m for m in {heavy!r} if m in sys.modules])"
    assert run(sys.executable, code) == "[]\n"


def needed(name: str, seen: set[str]) -> set[str]:
    """Names of the distributions that one needs, itself included, without extras."""
    key = re.sub(r"[-_.]+", "-", name).lower()
    if key not in seen:
        seen.add(key)
        for text in distribution(name).requires or []:
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                needed(requirement.name, seen)
    return seen


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """The Python of a clean environment that has the wheel and copies of what the wheel names."""
    where = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(where), str(PACKAGE)]
    done = subprocess.run(build, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = where.glob("nexus_core-*.whl")
    venv.create(where / "env", with_pip=False)
    (site,) = (where / "env" / "lib").glob("python*/site-packages")
    shutil.unpack_archive(wheel, site, "zip")
    (info,) = site.glob("nexus_core-*.dist-info")
    requires = re.findall(r"^Requires-Dist: (.+)$", (info / "METADATA").read_text(), re.MULTILINE)
    names: set[str] = set()
    for text in requires:
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            needed(requirement.name, names)
    assert not names & {"django", "channels", "anthropic", "openai"}
    for name in names:
        for file in distribution(name).files or []:
            source = Path(str(file.locate()))
            if ".." not in file.parts and source.is_file():
                target = site / file
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target)
    return where / "env" / "bin" / "python"


@pytest.mark.slow
def test_its_wheel_works_alone_in_a_clean_environment(installed):
    out = run(installed, "import nexus_core, sys; print(nexus_core.__file__)")
    assert str(installed.parents[1]) in out
    assert run(installed, NO_DJANGO + readme_script()) == "### Add\n\n5\n"
    run(installed, NO_DJANGO + IMPORT_ALL)


ASK_A_SERVER = """
import asyncio, json, threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from nexus_core.client import NexusClient, SocketBlocked, Unauthorized

CHUNKS = [
    {"type": "metadata", "data": {"status": "started"}, "timestamp": 1},
    {"type": "content", "data": "Hello.", "timestamp": 2},
    {"type": "metadata", "data": {"status": "complete"}, "timestamp": 3},
]

class Nexus(BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def say(self, status, kind, body):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.headers["Authorization"] != "Bearer nxs_good":
            error = {"error": {"code": "unauthorized", "message": "No.", "requestId": "1"}}
            self.say(401, "application/json", json.dumps(error).encode())
        elif self.path.startswith("/api/runs/r/stream"):
            rows = [f"id: {n}\\ndata: {json.dumps(c)}\\n\\n" for n, c in enumerate(CHUNKS, 1)]
            self.say(200, "text/event-stream", "".join([": connected\\n\\n", *rows]).encode())
        else:
            self.say(200, "application/json", b"{}")

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        told = {"runId": "r", "conversationId": "k", "messageId": "q", "status": "queued"}
        self.say(202, "application/json", json.dumps(told).encode())

server = ThreadingHTTPServer(("127.0.0.1", 0), Nexus)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}"

async def main():
    async with NexusClient(url, "nxs_good") as nexus:
        print((await nexus.answer("claude", "Hi")).text)
    async with NexusClient(url, "nxs_good", watch="socket") as nexus:
        try:
            await nexus.answer("claude", "Hi")
        except SocketBlocked as blocked:
            print(blocked.code)
    async with NexusClient(url, "nxs_bad") as nexus:
        try:
            await nexus.me()
        except Unauthorized as refusal:
            print(refusal.code)

asyncio.run(main())
"""


@pytest.mark.slow
def test_its_client_works_alone_and_without_a_websocket_library(installed):
    """`websockets` is an extra: here it is not installed, and runs are watched by events."""
    out = run(installed, NO_DJANGO + ASK_A_SERVER)
    assert out == "Hello.\nsocket_blocked\nunauthorized\n"


@pytest.mark.slow
def test_its_wheel_carries_types_and_says_what_it_needs(installed):
    code = (
        "import nexus_core, pathlib; print((pathlib.Path(nexus_core.__file__).parent / 'py.typed').exists())"
    )
    assert run(installed, code) == "True\n"
    with pytest.raises(AssertionError, match="No module named 'django'"):
        run(installed, "import django")
