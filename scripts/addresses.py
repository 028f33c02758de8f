"""Finds package registries' addresses in files: locks must work with any mirror, and nothing else needs one."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path

# Written in pieces, so that this file does not find itself.
_HOSTS = [
    r"py" + r"pi\.org",
    r"py" + r"thonhosted\.org",
    r"registry\.np" + r"mjs\.org",
    r"registry\.ya" + r"rnpkg\.com",
]
_REGISTRY = re.compile("|".join(_HOSTS), re.IGNORECASE)
_IN_LOCK = re.compile(r"\w+://|--(?:extra-)?index-url|--find-links")


def find_addresses(root: Path, paths: Iterable[Path]) -> list[str]:
    """`file:line: text` for each registry address; a Python lock may hold no address at all."""
    found: list[str] = []
    for path in paths:
        name = path.relative_to(root)
        if path.name == "package-lock.json":
            found += [f"{name}: {where}" for where in _npm_addresses(path)]
            continue
        pattern = _IN_LOCK if path.parent.name == "requirements" else _REGISTRY
        try:
            text = path.read_text()
        except (UnicodeDecodeError, FileNotFoundError, IsADirectoryError):
            continue
        found += [
            f"{name}:{number}: {line.strip()[:120]}"
            for number, line in enumerate(text.splitlines(), 1)
            if pattern.search(line)
        ]
    return found


def committed_files(root: Path) -> list[Path]:
    """What git tracks, and what it would add."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    )
    return [root / name for name in listed.stdout.split("\0") if name]


def _npm_addresses(path: Path) -> list[str]:
    packages = json.loads(path.read_text()).get("packages", {})
    return [f"{name}: {entry['resolved']}" for name, entry in packages.items() if "resolved" in entry]
