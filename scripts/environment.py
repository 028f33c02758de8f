"""The Python environment in `.venv`: made with venv, filled by uv from the locks, never from anything else.

Two levels: `base` runs Nexus, `dev` also tests and checks it. `dev` contains `base`.
"""

from __future__ import annotations

import configparser
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from scripts import stamps
from scripts.terminal import ROOT, StepFailed, demand_space, run, say, skipped, step

VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMP = VENV / ".nexus-stamp.json"
LOCKS = ROOT / "requirements"
CORE = ROOT / "packages" / "nexus-core"
MEGABYTES = {"base": 900, "dev": 1500}
OFFLINE = "Is the network reachable? Behind a proxy set HTTPS_PROXY; for a mirror set PIP_INDEX_URL and UV_DEFAULT_INDEX."


def ensure_environment(level: str, *, with_node: bool = False) -> None:
    """Makes `.venv` hold what the lock of `level` says. Raises `StepFailed`.

    `with_node` adds Node from PyPI; once there it stays, as does a fuller level.
    """
    had = stamps.read(STAMP)
    if had.get("level") == "dev":
        level = "dev"
    with_node = with_node or bool(had.get("node"))
    wanted = {"level": level, "node": with_node, "root": str(ROOT), "made_from": _made_from(level, with_node)}
    if had == wanted and _works():
        skipped(f"Python environment ({level})")
        return
    with step(f"Python environment ({level}) in .venv, Python {sys.version.split()[0]}"):
        demand_space(ROOT, MEGABYTES[level])
        if not _usable(had):
            _make_venv()
        STAMP.unlink(missing_ok=True)
        uv = _uv()
        locks = [LOCKS / f"{level}.txt"] + ([LOCKS / "assets.txt"] if with_node else [])
        _fill(uv, locks)
        run(
            [uv, "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--editable", CORE],
            what="packages/nexus-core could not be installed",
            env=uv_environment(),
        )
        stamps.write(STAMP, wanted)


def uv_environment() -> dict[str, str]:
    """The environment for uv: this `.venv`, no Python of its own, the mirror that pip was told about."""
    env = {name: value for name, value in os.environ.items() if name not in ("PYTHONHOME", "PYTHONPATH")}
    env.update(VIRTUAL_ENV=str(VENV), UV_PYTHON_DOWNLOADS="never", UV_NO_PROGRESS="1", UV_LINK_MODE="copy")
    if not ("UV_DEFAULT_INDEX" in env or "UV_INDEX_URL" in env) and (mirror := _pip_mirror()):
        env["UV_DEFAULT_INDEX"] = mirror
    if not _writable_home():
        env["UV_CACHE_DIR"] = str(VENV / ".uv-cache")
    return env


def _made_from(level: str, with_node: bool) -> str:
    locks = [LOCKS / "bootstrap.txt", LOCKS / f"{level}.txt", CORE / "pyproject.toml"]
    if with_node:
        locks.append(LOCKS / "assets.txt")
    return stamps.fingerprint(locks)


def _works() -> bool:
    if not PYTHON.exists():
        return False
    probe = "import sys; sys.exit(sys.version_info[:2] < (3, 11))"
    return subprocess.run([PYTHON, "-c", probe], check=False, capture_output=True).returncode == 0


def _usable(had: dict[str, Any]) -> bool:
    """Whether what is there can be filled up. A moved checkout has scripts that point nowhere: begin anew."""
    installers = [VENV / "bin" / "uv", VENV / "bin" / "pip"]
    return _works() and any(path.exists() for path in installers) and had.get("root", str(ROOT)) == str(ROOT)


def _make_venv() -> None:
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    missing = [name for name in ("venv", "ensurepip") if importlib.util.find_spec(name) is None]
    if "venv" in missing or ("ensurepip" in missing and not shutil.which("uv")):
        raise StepFailed(
            f"this Python cannot make a virtual environment: its module `{missing[0]}` is missing. "
            f"On Debian or Ubuntu install the package python{version}-venv (apt install python{version}-venv), "
            "then run the same command again."
        )
    flags = ["--without-pip"] if "ensurepip" in missing else []
    run([sys.executable, "-m", "venv", "--clear", *flags, str(VENV)], what="`.venv` could not be made")


def _uv() -> Path:
    """uv in the environment; brought there from its lock when it is absent."""
    own = VENV / "bin" / "uv"
    if own.exists():
        return own
    if on_path := shutil.which("uv"):
        return Path(on_path)
    say("    fetching the installer uv")
    _pip_install(LOCKS / "bootstrap.txt")
    return own


def _fill(uv: Path, locks: list[Path]) -> None:
    say(f"    installing {', '.join(str(lock.relative_to(ROOT)) for lock in locks)}")
    command = [str(uv), "pip", "sync", "--quiet", "--require-hashes", *map(str, locks)]
    try:
        run(command, what="uv could not install the locked packages", env=uv_environment(), attempts=2)
    except StepFailed as fault:
        # pip knows mirrors, certificates and wheels that uv was not told about.
        say(f"    {fault}; trying with pip")
        for lock in locks:
            _pip_install(lock)


def _pip_install(lock: Path) -> None:
    flags = ["--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes"]
    run(
        [PYTHON, "-m", "pip", "install", *flags, "--requirement", lock],
        what=f"{lock.relative_to(ROOT)} could not be installed",
        hint=OFFLINE,
        attempts=2,
    )


def _pip_mirror() -> str:
    """The index that pip is configured with; empty for the default."""
    if url := os.environ.get("PIP_INDEX_URL"):
        return url
    home = Path.home()
    for path in (home / ".config/pip/pip.conf", home / ".pip/pip.conf", Path("/etc/pip.conf")):
        parser = configparser.ConfigParser(interpolation=None)
        try:
            parser.read(path)
        except (OSError, configparser.Error):
            continue
        if url := parser.get("global", "index-url", fallback=""):
            return url
    return ""


def _writable_home() -> bool:
    home = Path.home()
    return home.is_dir() and os.access(home, os.W_OK)
