"""Brings the database up to date before the server starts: migrations, seed, and without DEBUG the static files.

`prepare()` is skipped while nothing changed: for SQLite that is cheap to know, any other database is asked each time.
Run as a program it does the work, in a process of its own with Django in it.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import sys
from pathlib import Path
from typing import Any

from scripts import stamps
from scripts.terminal import ROOT, demand_space, run, skipped, step

APPS = (
    "nexus_site",
    "workspaces",
    "realtime",
    "agents",
    "billing",
    "conversations",
    "packages/nexus-core/src",
)


def prepare(data_dir: Path, database_url: str, debug: bool) -> dict[str, Any]:
    """What the last preparation said: `{"login": "demo / demo"}` where there is a demo login. Raises `StepFailed`."""
    stamp = data_dir / "prepared.json"
    made_from = _made_from(database_url, debug)
    had = stamps.read(stamp)
    file = _sqlite_file(data_dir, database_url)
    if had.get("made_from") == made_from and file is not None and had.get("rows") == _migrations_in(file):
        skipped("Database")
        return had
    with step("Database: migrations and seed" + ("" if debug else ", static files")):
        demand_space(data_dir, 50)
        run(
            [sys.executable, "-m", "scripts.prepare", str(stamp)],
            what="the database could not be prepared",
            hint="The message above says why. Nothing was started.",
        )
        said = stamps.read(stamp) | {"made_from": made_from, "rows": _migrations_in(file) if file else None}
        stamps.write(stamp, said)
        return said


def _made_from(database_url: str, debug: bool) -> str:
    sources = [path for app in APPS for path in stamps.files_under(ROOT / app, ".py")]
    locks = [ROOT / "requirements" / "base.txt"]
    if not debug:
        sources += stamps.files_under(ROOT / "static")
    # The address may hold a password: only its hash is kept.
    return stamps.fingerprint(
        [*sources, *locks], hashlib.sha256(database_url.encode()).hexdigest(), str(debug)
    )


def _sqlite_file(data_dir: Path, database_url: str) -> Path | None:
    if not database_url:
        return data_dir / "nexus.sqlite3"
    if database_url.startswith("sqlite:///"):
        return Path(database_url.removeprefix("sqlite:///"))
    return None


def _migrations_in(file: Path) -> int | None:
    """How many migrations the database says it has; None when there is none to ask."""
    if not file.exists():
        return None
    try:
        with sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=2) as connection:
            return int(connection.execute("SELECT count(*) FROM django_migrations").fetchone()[0])
    except sqlite3.Error:
        return None


def main(stamp: Path) -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nexus_site.settings")
    import django

    django.setup()
    from django.conf import settings
    from django.contrib.auth import get_user_model
    from django.core.management import call_command

    call_command("migrate", verbosity=0, interactive=False)
    call_command("seed")
    if not settings.DEBUG:
        call_command("collectstatic", verbosity=0, interactive=False)
    demo = get_user_model().objects.filter(username="demo", is_active=True).first()
    stamps.write(
        stamp, {"login": "demo / demo"} if settings.DEBUG and demo and demo.check_password("demo") else {}
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
