"""The steps of the set-up: skipped when nothing changed, and clear about what is missing."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from scripts import assets, environment, prepare, stamps
from scripts.terminal import ROOT, StepFailed, demand_space, run


def test_it_sees_that_a_file_changed_came_or_went(tmp_path: Path) -> None:
    source = tmp_path / "a.py"
    source.write_text("one")
    before = stamps.fingerprint([source])
    assert stamps.fingerprint([source]) == before
    source.write_text("two")
    changed = stamps.fingerprint([source])
    source.unlink()
    assert len({before, changed, stamps.fingerprint([source]), stamps.fingerprint([])}) == 4


@pytest.mark.parametrize("content", [None, "", "{", "[]"])
def test_it_takes_a_broken_stamp_for_none(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "stamp").write_text(content)
    assert stamps.read(tmp_path / "stamp") == {}


def test_it_says_how_much_space_is_missing(tmp_path: Path) -> None:
    demand_space(tmp_path, 1)
    with pytest.raises(
        StepFailed, match=r"not enough disk space: .* MB free, this step needs about 900000000 MB"
    ):
        demand_space(tmp_path, 900_000_000)


def test_it_shows_what_a_failing_command_said(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(StepFailed, match=r"It broke \(exit code 3\)\. Mend it\."):
        run([sys.executable, "-c", "print('because'); exit(3)"], what="It broke", hint="Mend it.", quiet=True)
    assert "because" in capfd.readouterr().out


def test_it_names_the_package_that_a_python_without_venv_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "ensurepip" else find(name))
    monkeypatch.setattr(shutil, "which", lambda name: None)
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    with pytest.raises(StepFailed, match=rf"apt install python{version}-venv"):
        environment._make_venv()


@pytest.mark.parametrize("said", ["Python 3.9.18", ""])
def test_it_says_that_python_is_too_old_or_absent(tmp_path: Path, said: str) -> None:
    sh = shutil.which("sh")
    assert sh is not None
    if said:
        old = tmp_path / "python3"
        old.write_text(f'#!{sh}\n[ "$1" = --version ] && echo "{said}" && exit 0\nexit 1\n')
        old.chmod(0o755)
    done = subprocess.run(
        [sh, str(ROOT / "scripts" / "python"), "-c", "print(1)"],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "needs Python 3.11 or newer" in done.stderr
    assert (said or "no python3 at all") in done.stderr


def test_it_takes_a_mirror_from_pips_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PIP_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".config" / "pip").mkdir(parents=True)
    (tmp_path / ".config" / "pip" / "pip.conf").write_text(
        "[global]\nindex-url = https://mirror.example/simple\n"
    )
    env = environment.uv_environment()
    assert env["UV_DEFAULT_INDEX"] == "https://mirror.example/simple"
    assert env["UV_PYTHON_DOWNLOADS"] == "never"


def test_it_takes_no_node_that_is_too_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sh = shutil.which("sh")
    for name, says in (("node", "v18.20.0"), ("npm", "10.0.0")):
        (tmp_path / name).write_text(f"#!{sh}\necho {says}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert assets._installed_node() is None
    (tmp_path / "node").write_text(f"#!{sh}\necho v22.1.0\n")
    found = assets._installed_node()
    assert found is not None
    assert found.version == "22.1.0"


def test_it_prepares_a_database_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And again when the file is gone, whatever the stamp says."""
    env = {"NEXUS_DATA_DIR": str(tmp_path), "DEBUG": "1", "DJANGO_SETTINGS_MODULE": "nexus_site.settings"}
    for name in ("DATABASE_URL", "REDIS_URL", "SECRET_KEY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    calls: list[str] = []
    real = prepare.run

    def counted(*args: object, **options: object) -> None:
        calls.append("run")
        real(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(prepare, "run", counted)
    assert prepare.prepare(tmp_path, "", debug=True)["login"] == "demo / demo"
    assert prepare.prepare(tmp_path, "", debug=True)["login"] == "demo / demo"
    assert len(calls) == 1
    for file in tmp_path.glob("nexus.sqlite3*"):
        file.unlink()
    prepare.prepare(tmp_path, "", debug=True)
    assert len(calls) == 2


def test_it_builds_what_the_pages_load() -> None:
    dist = ROOT / "static" / "dist"
    if not (dist / "app.js").exists():
        pytest.skip("the bundles are not built: make install")
    assert os.path.getsize(dist / "app.css") > 10_000
    assert "<symbol id=" in (dist / "icons.svg").read_text()
