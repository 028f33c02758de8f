"""Copies of the whole tree: one without a guard, one of the next version."""

from __future__ import annotations

import shutil
from pathlib import Path

from .nodes import ROOT

LEFT_OUT = (
    ".git",
    ".venv",
    "node_modules",
    "var",
    "__pycache__",
    ".mypy_cache",
    ".ruff_cache",
    ".pytest_cache",
)


def copy_of_the_tree(to: Path, source: Path = ROOT) -> Path:
    """`to`/tree, with the browser's packages by a link; what is built or kept elsewhere is left out."""
    tree = to / "tree"
    shutil.copytree(source, tree, ignore=shutil.ignore_patterns(*LEFT_OUT), symlinks=True)
    modules = ROOT / "node_modules"
    if modules.exists():
        (tree / "node_modules").symlink_to(modules)
    return tree
