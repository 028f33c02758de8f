"""What is written about Nexus is true: generated pages are fresh, links lead somewhere, names exist."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from docs import generate

ROOT = generate.ROOT
PAGES = sorted(
    [*(ROOT / "docs").rglob("*.md"), *ROOT.glob("*.md"), ROOT / "packages/nexus-core/README.md"], key=str
)
_LINK = re.compile(r"\]\(([^)#\s]+)")
_CODE = re.compile(r"`([A-Za-z0-9_./<>-]+/[A-Za-z0-9_./<>-]*)`")


def test_it_has_fresh_generated_pages() -> None:
    # In a process of its own: what other tests imported or defined must not show.
    done = subprocess.run(
        [sys.executable, "-m", "docs.generate", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_it_names_every_variable_that_is_read() -> None:
    tree = ast.parse((ROOT / "nexus_site/config.py").read_text())
    read = {
        node.args[0].value
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "env"
        and node.args
        and isinstance(node.args[0], ast.Constant)
    }
    assert read, "no variable is read any more?"
    assert read - {name for block in generate.variables() for name, _ in block.values} == set()


def test_it_sees_words_without_a_type(monkeypatch: pytest.MonkeyPatch) -> None:
    from docs import wire_words

    monkeypatch.setitem(wire_words.METADATA, "invented", "nothing")
    with pytest.raises(SystemExit, match="invented"):
        list(generate._chunks())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_it_links_only_to_what_exists(page: Path) -> None:
    links = [
        link
        for link in _LINK.findall(page.read_text())
        if not link.startswith(("http:", "https:", "mailto:"))
    ]
    missing = [link for link in links if not (page.parent / link).exists()]
    assert missing == []


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "docs/architecture.md"])
def test_it_names_only_paths_that_exist(page: str) -> None:
    known = [ROOT, ROOT / "packages/nexus-core/src", ROOT / "conversations"]
    named = [
        path
        for path in _CODE.findall((ROOT / page).read_text())
        if "<" not in path and not path.startswith("/")
    ]
    missing = [path for path in named if not any((base / path).exists() for base in known)]
    assert named
    assert missing == []
