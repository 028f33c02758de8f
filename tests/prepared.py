"""A migrated SQLite database, made once: test processes, and servers that tests start, begin with a copy.

`make test` names a folder that all its processes share; a file that is run by hand makes one for itself.
"""

from __future__ import annotations

import atexit
import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

from scripts.terminal import ROOT


def migrated_copy(to: Path) -> None:
    """Puts the database at `to`, as `migrate` leaves it: no rows but content types and permissions."""
    made = _folder() / "migrated.sqlite3"
    with (_folder() / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            _migrate(made)
    shutil.copyfile(made, to)


@cache
def _folder() -> Path:
    if shared := os.environ.get("NEXUS_TEST_SHARED"):
        return Path(shared)
    own = tempfile.mkdtemp(prefix="nexus-test-shared-")
    atexit.register(shutil.rmtree, own, ignore_errors=True)
    return Path(own)


def _migrate(to: Path) -> None:
    half = to.with_suffix(".half")
    with tempfile.TemporaryDirectory(prefix="nexus-test-migrate-") as data:
        env = os.environ | {
            "DJANGO_SETTINGS_MODULE": "nexus_site.settings",
            "DEBUG": "1",
            "NEXUS_DATA_DIR": data,
            "DATABASE_URL": f"sqlite:///{half}",
            "REDIS_URL": "",
            "SQLITE_SYNCHRONOUS": "OFF",
        }
        done = subprocess.run(
            [sys.executable, "manage.py", "migrate", "--verbosity", "0"],
            cwd=ROOT,
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, f"manage.py migrate failed:\n{done.stdout}\n{done.stderr}"
    half.rename(to)
