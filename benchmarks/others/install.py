"""A peer's own virtual environment, filled from its lock (requirements/peer-*.txt), beside the data."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from scripts import stamps
from scripts.environment import LOCKS, VENV, uv_environment
from scripts.services import ServiceMissing
from scripts.terminal import ROOT

SIZES_MIB = {"chainlit": 200, "litellm": 700, "open-webui": 7500}


def programs(name: str) -> Path:
    """The folder with the peer's programs; installs what is missing. Raises `ServiceMissing`."""
    lock = LOCKS / f"peer-{name}.txt"
    data = Path(os.environ.get("NEXUS_DATA_DIR") or ROOT / "var").expanduser().resolve()
    home = data / "peers" / name
    stamp, wanted = home / ".stamp.json", {"made_from": stamps.fingerprint([lock]), "python": sys.version}
    if stamps.read(stamp) == wanted:
        return home / "bin"
    home.parent.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(home.parent).free // 2**20
    if free < SIZES_MIB[name] * 2:
        raise ServiceMissing(
            f"{name} takes about {SIZES_MIB[name]:,} MiB; {free:,} MiB are free in {home.parent}"
        )
    print(f"installing {name} into {home}, about {SIZES_MIB[name]:,} MiB …", flush=True)
    uv = VENV / "bin" / "uv"
    tool = str(uv if uv.exists() else shutil.which("uv") or uv)
    environment = uv_environment() | {"VIRTUAL_ENV": str(home)}
    _run([tool, "venv", "--quiet", "--clear", "--python", sys.executable, str(home)], environment)
    _run([tool, "pip", "sync", "--quiet", "--require-hashes", str(lock)], environment)
    if not any((home / "bin").glob(f"{name}*")):
        raise ServiceMissing(f"{name} does not exist for Python {sys.version.split()[0]}")
    stamps.write(stamp, wanted)
    return home / "bin"


def _run(command: list[str], environment: dict[str, str]) -> None:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ServiceMissing(f"{' '.join(command[1:4])} failed: {done.stderr[-400:].strip()}")
