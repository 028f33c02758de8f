"""The shipped unit files and proxy configurations, as far as they can be read without the programs they are for."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from configparser import RawConfigParser
from pathlib import Path

import pytest

from conversations.api.sse import PING_SECONDS
from nexus_core.client.link import PING_SECONDS as SOCKET_PING_SECONDS
from scripts.terminal import ROOT

DEPLOY = ROOT / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("nexus*.*e*"))
SERVICES = [path for path in UNITS if path.suffix == ".service"]
MOST_SECONDS_TO_STOP = 10


def unit(path: Path) -> RawConfigParser:
    class Parser(RawConfigParser):
        def optionxform(self, optionstr: str) -> str:
            return optionstr

    parser = Parser(strict=False)
    parser.read(path)
    return parser


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not on this machine")
def test_systemd_finds_nothing_wrong_with_the_units(tmp_path: Path) -> None:
    for path in UNITS:
        text = path.read_text().replace("/opt/nexus/.venv/bin/python", sys.executable)
        (tmp_path / path.name).write_text(text.replace("/opt/nexus", str(ROOT)))
    named = ["nexus-web@8001.service", "nexus-worker@1.service", "nexus-migrate.service", "nexus.target"]
    done = subprocess.run(
        ["systemd-analyze", "verify", *(f"./{name}" for name in named)],
        cwd=tmp_path, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    ours = [line for line in (done.stdout + done.stderr).splitlines() if "nexus" in line]
    assert (done.returncode, ours) == (0, [])


@pytest.mark.parametrize("name", ["nexus-web@.service", "nexus-worker@.service"])
def test_they_stop_as_the_program_does(name: str) -> None:
    service = unit(DEPLOY / "systemd" / name)["Service"]
    assert service["KillSignal"] == "SIGTERM"
    assert service["KillMode"] == "mixed"  # the program ends its own children
    assert int(service["TimeoutStopSec"]) > MOST_SECONDS_TO_STOP
    assert service["Restart"] == "always"


def test_a_web_process_waits_less_for_its_answers_than_it_is_given() -> None:
    service = unit(DEPLOY / "systemd" / "nexus-web@.service")["Service"]
    for text in (service["ExecStart"], (ROOT / "scripts" / "container").read_text()):
        (seconds,) = re.findall(r"--timeout-graceful-shutdown (\d+)", text)
        assert int(seconds) < MOST_SECONDS_TO_STOP
    assert "scripts/healthcheck.py" in service["ExecStartPost"]  # started means ready


@pytest.mark.parametrize("path", SERVICES, ids=lambda path: path.name)
def test_they_run_as_nobody_special_on_the_same_settings(path: Path) -> None:
    service = unit(path)["Service"]
    assert service["User"] == "nexus"
    assert service["EnvironmentFile"] == "/etc/nexus/nexus.env"
    assert service["NoNewPrivileges"] == "yes"
    assert service["ProtectSystem"] == "strict"
    assert service["StateDirectory"] == "nexus"


def test_the_settings_are_ones_that_nexus_reads() -> None:
    given = re.findall(r"^([A-Z_]+)=", (DEPLOY / "systemd" / "nexus.env").read_text(), re.MULTILINE)
    known = re.findall(r"^([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE)
    assert set(given) <= set(known)
    assert "SECRET_KEY" in given


def test_a_proxy_outwaits_the_pings() -> None:
    """R15: a proxy ends a stream that is silent; ours is never as silent as that."""
    seconds = [
        int(s) for s in re.findall(r"proxy_read_timeout\s+(\d+)s", (DEPLOY / "nginx/nexus.conf").read_text())
    ]
    seconds += [int(s) for s in re.findall(r"read_timeout (\d+)s", (DEPLOY / "caddy/Caddyfile").read_text())]
    assert len(seconds) == 2
    assert min(seconds) >= 3 * max(PING_SECONDS, SOCKET_PING_SECONDS)
