"""`.env.example`: copying it changes nothing."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest

from nexus_site import config
from scripts.terminal import ROOT

EXAMPLE = ROOT / ".env.example"
NAMES = [line.partition("=")[0] for line in EXAMPLE.read_text().splitlines() if line[:1].isupper()]


@pytest.fixture
def empty_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No variable of ours is set, and the checkout is elsewhere."""
    monkeypatch.setattr(os, "environ", {k: v for k, v in os.environ.items() if k not in NAMES})
    monkeypatch.setattr(config.environ.Env, "ENVIRON", os.environ)
    monkeypatch.setattr(config, "BASE_DIR", tmp_path)
    return tmp_path


def test_it_means_the_defaults(empty_environment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "DEBUG", "1")
    before = dataclasses.asdict(config.load())
    (empty_environment / ".env").write_text(EXAMPLE.read_text())
    assert dataclasses.asdict(config.load()) == before


def test_it_names_each_variable_once() -> None:
    assert len(NAMES) > 20
    assert sorted(NAMES) == sorted(set(NAMES))
