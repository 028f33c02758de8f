"""A server process of its own for tests of what only a real server shows: Daphne or uvicorn, own data, own port."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.request
from http.client import HTTPException
from pathlib import Path
from typing import Literal

from scripts.services import free_port
from tests.prepared import migrated_copy

__all__ = ["Kind", "LiveServer", "free_port"]

ROOT = Path(__file__).resolve().parents[2]
Kind = Literal["daphne", "uvicorn"]


class LiveServer:
    """One process. `others` share the data and the settings of the first (with Redis there may be several)."""

    application = "nexus_site.asgi:application"

    def __init__(self, kind: Kind, data_dir: Path, **env: str) -> None:
        self.kind, self.data_dir, self.port = kind, data_dir, free_port()
        self.log = data_dir / f"{kind}-{self.port}.log"
        clean = {
            k: v
            for k, v in os.environ.items()
            if k not in ("DATABASE_URL", "REDIS_URL", "DJANGO_SETTINGS_MODULE")
        }
        self.env = clean | {"DEBUG": "1", "NEXUS_DATA_DIR": str(data_dir), "LOG_LEVEL": "INFO", **env}
        self.tokens: dict[str, str] = {}
        self.process: subprocess.Popen[bytes] | None = None

    def manage(self, *args: str) -> str:
        done = subprocess.run(
            [sys.executable, "manage.py", *args],
            cwd=ROOT,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, f"manage.py {' '.join(args)} failed:\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def prepare(self, *names: str, owner: str = "") -> None:
        """A fresh database with these people in the workspace `acme`; their API tokens are in `tokens`."""
        elsewhere = bool(self.env.get("DATABASE_URL"))
        if not elsewhere:
            migrated_copy(self.data_dir / "nexus.sqlite3")
        script = (
            "from django.core.management import call_command as call\n"
            "import io\n"
            f"{elsewhere} and call('migrate', verbosity=0)\n"
            f"for name in {names!r}:\n"
            f"    role = 'owner' if name == {owner!r} else 'member'\n"
            "    call('create_user', name, password='x', workspace='acme', role=role, stdout=io.StringIO())\n"
            "    call('create_token', name, workspace='acme')\n"
        )
        lines = self.manage("shell", "--no-imports", "-c", script).splitlines()
        self.tokens = dict(zip(names, [line for line in lines if line.startswith("nxs_")], strict=True))

    def start(self) -> None:
        bind = {
            "daphne": ["daphne", "-b", "127.0.0.1", "-p", str(self.port)],
            "uvicorn": [
                "uvicorn",
                "--host",
                "127.0.0.1",
                "--port",
                str(self.port),
                "--ws",
                "websockets-sansio",
            ],
        }[self.kind]
        with open(self.log, "ab") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *bind, self.application],
                cwd=ROOT,
                env=self.env,
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + 100
        while time.monotonic() < deadline:
            assert self.process.poll() is None, f"the server ended at once:\n{self.text()}"
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/livez", timeout=2) as answer:
                    if answer.status == 200:
                        return
            except (OSError, HTTPException):
                time.sleep(0.05)
        raise AssertionError(f"the server did not get ready:\n{self.text()}")

    def terminate(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)

    def stop(self) -> None:
        if self.process is None or self.process.poll() is not None:
            return
        self.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def text(self) -> str:
        return self.log.read_text(errors="replace")[-6000:] if self.log.exists() else ""

    def rss(self) -> int:
        """Resident memory in bytes."""
        assert self.process is not None
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    @property
    def address(self) -> str:
        return f"ws://127.0.0.1:{self.port}/ws/"
