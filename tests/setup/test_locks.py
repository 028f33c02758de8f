"""What is committed pins everything, and works with any mirror."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from scripts.addresses import committed_files, find_addresses
from scripts.terminal import ROOT

LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
_PIN = re.compile(r"^(?P<name>[a-z0-9][a-z0-9._-]*)==(?P<version>\S+)", re.IGNORECASE)


def pins(lock: Path) -> dict[str, set[str]]:
    """Name to versions; a universal lock may hold several, one per platform or Python."""
    found: dict[str, set[str]] = {}
    for line in lock.read_text().splitlines():
        if match := _PIN.match(line):
            found.setdefault(match["name"], set()).add(match["version"])
    return found


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_it_pins_every_python_package_with_hashes(lock: Path) -> None:
    entries = re.split(r"\n(?=\S)", lock.read_text().strip())
    assert len(entries) >= 1
    for entry in entries:
        assert _PIN.match(entry), entry.splitlines()[0]
        assert re.search(r"--hash=sha256:[0-9a-f]{64}\b", entry), entry.splitlines()[0]


def test_it_tests_what_it_runs() -> None:
    base, dev = pins(ROOT / "requirements" / "base.txt"), pins(ROOT / "requirements" / "dev.txt")
    assert {name: versions for name, versions in base.items() if dev.get(name) != versions} == {}


def test_it_pins_every_browser_package_by_its_hash() -> None:
    packages = json.loads((ROOT / "package-lock.json").read_text())["packages"]
    # A bundled one comes inside another package, whose hash covers it.
    entries = {name: entry for name, entry in packages.items() if name and not entry.get("inBundle")}
    assert len(entries) > 50
    assert [name for name, entry in entries.items() if not entry.get("integrity")] == []


def test_it_pins_the_browser_packages_of_every_platform() -> None:
    packages = json.loads((ROOT / "package-lock.json").read_text())["packages"]
    named = {name.rpartition("node_modules/")[2] for name in packages}
    wanted = {other for entry in packages.values() for other in entry.get("optionalDependencies", {})}
    assert wanted - named == set()


def test_it_names_no_registry_anywhere() -> None:
    assert find_addresses(ROOT, committed_files(ROOT)) == []


def test_it_finds_a_registry_when_there_is_one(tmp_path: Path) -> None:
    lock = tmp_path / "requirements" / "x.txt"
    lock.parent.mkdir()
    lock.write_text("a==1 \\\n    --hash=sha256:0\nb @ https://mirror.example/b.whl\n")
    page = tmp_path / "page.md"
    page.write_text("See https://" + "pypi" + ".org/simple/x\n")
    npm = tmp_path / "package-lock.json"
    npm.write_text('{"packages": {"node_modules/a": {"resolved": "https://mirror.example/a.tgz"}}}')
    found = find_addresses(tmp_path, [lock, page, npm])
    assert [line.split(":")[0] for line in found] == ["requirements/x.txt", "page.md", "package-lock.json"]
