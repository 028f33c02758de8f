"""With DEBUG off the server refuses a secret that is none [S11]; what it generates is long and its owner's alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from nexus_site import config

GOOD = "Zt7vXq2LmB9cRf4KsWd8HyJn3PgTa6Ue0iOo5rEw1Qx"


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    monkeypatch.setattr(config, "BASE_DIR", tmp_path)  # no .env of the person who runs the tests
    monkeypatch.setenv("NEXUS_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("DEBUG", "0")
    monkeypatch.delenv("SECRET_KEY", raising=False)
    return monkeypatch


@pytest.mark.parametrize(
    "key",
    ["", "k7Qz", GOOD[:31], "ab" * 30, f"django-insecure-{GOOD}", f"changeme-{GOOD}", f"{GOOD}-Default", f"my-secret-{GOOD}"],
)  # fmt: skip
def test_it_does_not_start_with_a_secret_that_is_none(environment: pytest.MonkeyPatch, key: str) -> None:
    environment.setenv("SECRET_KEY", key)
    with pytest.raises(ImproperlyConfigured, match="SECRET_KEY is") as refusal:
        config.load()
    assert not key or key not in str(refusal.value)


def test_it_starts_with_one_of_32_characters(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("SECRET_KEY", GOOD[:32])
    assert config.load().secret_key == GOOD[:32]


def test_a_generated_one_is_long_kept_and_its_owners_alone(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    environment.setenv("DEBUG", "1")
    made = config.load()
    kept = tmp_path / "secret_key"
    assert len(made.secret_key) >= 43 and config.load().secret_key == made.secret_key == kept.read_text()
    assert [path.stat().st_mode & 0o777 for path in (kept, tmp_path / "encryption_key")] == [0o600, 0o600]
    environment.setenv("DEBUG", "0")
    with pytest.raises(ImproperlyConfigured, match="is not set"):
        config.load()
