"""A real Nexus for end-to-end tests: own data folder, own port, real Daphne, as `make run` starts it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.request
from http.client import HTTPException
from pathlib import Path

from scripts.services import free_port
from tests.prepared import migrated_copy

ROOT = Path(__file__).resolve().parents[2]
PROVIDER_VARIABLES = ("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "GOOGLE_API_KEY", "GOOGLE_GENERATIVE_AI_API_KEY")


class Server:
    """Start, stop, kill and restart it; `manage()` runs a command beside it."""

    def __init__(self, data_dir: Path, **env: str) -> None:
        self.data_dir = data_dir
        data_dir.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.log = data_dir / "server.log"
        clean = {
            k: v for k, v in os.environ.items() if k not in (*PROVIDER_VARIABLES, "DATABASE_URL", "REDIS_URL")
        }
        self.env = clean | {
            "DEBUG": "1",
            "DJANGO_SETTINGS_MODULE": "nexus_site.settings",
            "NEXUS_DATA_DIR": str(data_dir),
            "OLLAMA_HOST": "http://127.0.0.1:9",
            "PYTHONWARNINGS": "default",
            "PYTHONUNBUFFERED": "1",
            **env,
        }
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def manage(self, *args: str, stdin: str | None = None) -> str:
        done = subprocess.run(
            [sys.executable, "manage.py", *args],
            cwd=ROOT, env=self.env, capture_output=True, text=True, timeout=240, input=stdin,
        )  # fmt: skip
        assert done.returncode == 0, f"manage.py {' '.join(args)} failed:\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def prepare(self, *commands: tuple[str, ...]) -> None:
        """A migrated database, seeded; carries these out, all in one process: on a slow machine each takes long to begin."""
        migrated_copy(self.data_dir / "nexus.sqlite3")
        calls = [("seed",), *commands]
        self.manage(
            "shell", "-v0", "-c",
            f"from django.core.management import call_command\nfor call in {calls!r}: call_command(*call)",
        )  # fmt: skip

    def start(self) -> None:
        out = open(self.log, "ab")  # noqa: SIM115  (the child owns it)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "daphne", "-b", "127.0.0.1", "-p", str(self.port), "nexus_site.asgi:application"],
            cwd=ROOT, env=self.env, stdout=out, stderr=subprocess.STDOUT,
        )  # fmt: skip
        out.close()
        deadline = time.monotonic() + 180
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise AssertionError(f"the server ended at once:\n{self.log.read_text()[-4000:]}")
            try:
                with urllib.request.urlopen(self.url + "/readyz", timeout=2) as answer:
                    if answer.status == 200:
                        return
            except (OSError, HTTPException):
                time.sleep(0.05)
        raise AssertionError(f"the server did not get ready:\n{self.log.read_text()[-4000:]}")

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(how)
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def tracebacks(self) -> list[str]:
        """Unhandled exceptions in the log, each with the lines around it; invariant I10 wants none."""
        lines = self.log.read_text(errors="replace").splitlines()
        return [
            "\n".join(lines[max(0, at - 3) : at + 60])
            for at, line in enumerate(lines)
            if line.startswith("Traceback")
        ]
