"""`make lock`: pins every dependency with its hashes, in files that name no package registry.

The dependencies are listed in pyproject.toml, packages/nexus-core/pyproject.toml and package.json.
What is pinned stays as it is unless its line no longer allows it; `UPGRADE=1` moves everything forward.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from scripts import assets
from scripts.addresses import find_addresses
from scripts.environment import LOCKS, VENV, uv_environment
from scripts.terminal import ROOT, StepFailed, fail, run, step

PROJECTS = ("pyproject.toml", "packages/nexus-core/pyproject.toml")
# Each lock is held to the one it names, so that what is tested is what runs.
PLAN: tuple[tuple[str, bool, tuple[str, ...], str | None], ...] = (
    ("base", True, ("bootstrap",), None),
    ("dev", True, ("bootstrap", "dev"), "base"),
    ("bootstrap", False, ("bootstrap",), "base"),
    ("assets", False, ("assets",), None),
    ("peer-chainlit", False, ("peer-chainlit",), None),
    ("peer-litellm", False, ("peer-litellm",), None),
    ("peer-open-webui", False, ("peer-open-webui",), None),
)


def lock_python(uv: Path, upgrade: bool) -> None:
    for name, with_projects, groups, held_to in PLAN:
        command: list[str | Path] = [uv, "pip", "compile", "--quiet", "--universal", "--generate-hashes"]
        command += ["--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links"]
        if with_projects:
            command += [*PROJECTS, "--all-extras"]
        for group in groups:
            command += ["--group", f"pyproject.toml:{group}"]
        if held_to:
            command += ["--constraints", LOCKS / f"{held_to}.txt"]
        if upgrade:
            command.append("--upgrade")
        with step(f"requirements/{name}.txt"):
            run([*command, "--output-file", LOCKS / f"{name}.txt"], what="not resolved", env=uv_environment())


def lock_browser(upgrade: bool) -> None:
    """In an empty folder: beside a node_modules npm forgets the packages of other platforms."""
    node = assets.ensure_node("dev")
    with step("package-lock.json"), tempfile.TemporaryDirectory() as empty:
        for name in ("package.json", "package-lock.json", ".npmrc"):
            if (ROOT / name).exists():
                shutil.copy(ROOT / name, empty)
        action = ["update"] if upgrade else ["install"]
        flags = [
            "--package-lock-only",
            "--ignore-scripts",
            "--loglevel=error",
            "--omit-lockfile-registry-resolved",
        ]
        run(
            [str(node.program), *node.npm, *action, "--prefix", empty, *flags],
            what="npm could not resolve package.json",
            env=node.environment(),
            cwd=Path(empty),
        )
        shutil.copy(Path(empty) / "package-lock.json", ROOT / "package-lock.json")


def main() -> None:
    own = VENV / "bin" / "uv"
    uv = own if own.exists() else Path(shutil.which("uv") or "uv")
    try:
        lock_python(uv, bool(os.environ.get("UPGRADE")))
        lock_browser(bool(os.environ.get("UPGRADE")))
    except StepFailed as fault:
        fail(str(fault))
    if found := find_addresses(ROOT, [*LOCKS.glob("*.txt"), ROOT / "package-lock.json"]):
        fail("a lock names a package registry:\n" + "\n".join(found))


if __name__ == "__main__":
    main()
