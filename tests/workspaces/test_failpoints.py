"""Fail points: off by default, refused in production, once per arming over all processes."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from workspaces import failpoints
from workspaces.failpoints import FailPointReached, failpoint


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    failpoints.arm(str(tmp_path))
    yield tmp_path
    failpoints.arm("")


def put(folder: Path, name: str, **order: object) -> None:
    (folder / name).write_text(json.dumps(order))


def test_it_does_nothing_where_nothing_is_armed(folder: Path) -> None:
    put(folder, "after_claim", action="raise")
    failpoint("after_chunk")
    failpoints.arm("")
    failpoint("after_claim")
    assert sorted(path.name for path in folder.iterdir()) == ["after_claim"]


def test_it_acts_at_the_hit_that_was_asked_for_and_only_then(folder: Path) -> None:
    put(folder, "after_chunk", action="raise", hit=3)
    failpoint("after_chunk")
    failpoint("after_chunk")
    with pytest.raises(FailPointReached, match="after_chunk"):
        failpoint("after_chunk")
    failpoint("after_chunk")
    done = json.loads((folder / "after_chunk.done").read_text())
    assert done["pid"] == os.getpid() and not (folder / "after_chunk").exists()


def test_it_kills_the_process_without_a_word(tmp_path: Path) -> None:
    put(tmp_path, "in_finish", action="kill")
    code = "import sys; from workspaces import failpoints as f; f.arm(sys.argv[1]); f.failpoint('in_finish')"
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert done.returncode == -signal.SIGKILL


@pytest.mark.parametrize(
    ("debug", "allowed", "starts"), [("1", "", True), ("0", "", False), ("0", "1", True)]
)
def test_it_is_refused_in_production_unless_allowed(
    tmp_path: Path, debug: str, allowed: str, starts: bool
) -> None:
    env = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "nexus_site.settings",
        "DEBUG": debug,
        "SECRET_KEY": secrets.token_urlsafe(48),
        "NEXUS_DATA_DIR": str(tmp_path),
        "NEXUS_FAILPOINTS": str(tmp_path),
        "NEXUS_FAILPOINTS_ALLOWED": allowed,
    }
    code = "import nexus_site.settings as s; print(s.NEXUS_FAILPOINTS)"
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode == 0) is starts
    if not starts:
        assert "NEXUS_FAILPOINTS lets a test kill this server" in done.stderr
