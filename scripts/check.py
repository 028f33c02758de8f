"""`make check`: everything that can be said about the code without running the tests. All of it runs, then the verdict."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

from scripts.addresses import committed_files, find_addresses
from scripts.environment import PYTHON
from scripts.terminal import ROOT, say

TYPED = (
    "nexus_site",
    "workspaces",
    "realtime",
    "agents",
    "billing",
    "conversations",
    "scripts",
    "chaos",
    "packages/nexus-core/src",
)
Check = tuple[str, Callable[[], bool]]


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="nexus-check-") as scratch:
        checks: list[Check] = [
            ("format", lambda: _python("ruff", "format", "--check", ".")),
            ("lint", lambda: _python("ruff", "check", ".")),
            ("types", lambda: _python("mypy", *TYPED, env=_production(scratch))),
            ("migrations", lambda: _manage(scratch, "makemigrations", "--check", "--dry-run")),
            ("production settings", lambda: _manage(scratch, "check", "--deploy", "--fail-level", "WARNING")),
            ("no registry addresses", _no_addresses),
        ]
        failed = [name for name, check in checks if not _run(name, check)]
    say(
        f"\n{len(checks) - len(failed)} of {len(checks)} checks passed"
        + (f"; failed: {', '.join(failed)}" if failed else "")
    )
    return 1 if failed else 0


def _run(name: str, check: Callable[[], bool]) -> bool:
    say(f"==> {name}")
    started = time.monotonic()
    good = check()
    say(f"    {'ok' if good else 'FAILED'} in {time.monotonic() - started:.1f} s")
    return good


def _python(module: str, *arguments: str, env: dict[str, str] | None = None) -> bool:
    command = [str(PYTHON), "-m", module, *arguments]
    return subprocess.run(command, cwd=ROOT, env=env, check=False).returncode == 0


def _manage(scratch: str, *arguments: str) -> bool:
    command = [str(PYTHON), "manage.py", *arguments]
    return subprocess.run(command, cwd=ROOT, env=_production(scratch), check=False).returncode == 0


def _production(scratch: str) -> dict[str, str]:
    """The settings that the deployment guide asks for, with nothing of this machine's own."""
    kept = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV")
    return {name: os.environ[name] for name in kept if name in os.environ} | {
        "DEBUG": "0",
        "SECRET_KEY": secrets.token_urlsafe(48),
        "ALLOWED_HOSTS": "nexus.example",
        "CSRF_TRUSTED_ORIGINS": "https://nexus.example",
        "SECURE_COOKIES": "1",
        "SECURE_REDIRECT": "1",
        "HSTS_SECONDS": "31536000",
        "TRUST_PROXY": "1",
        "NEXUS_DATA_DIR": scratch,
        "DJANGO_SETTINGS_MODULE": "nexus_site.settings",
    }


def _no_addresses() -> bool:
    found = find_addresses(ROOT, committed_files(ROOT))
    for line in found:
        say(f"    {line}")
    return not found


if __name__ == "__main__":
    sys.exit(main())
