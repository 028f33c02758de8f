"""`make test`: every test, with real servers, in both topologies.

1. the browser's modules, under Node;
2. everything in Python, embedded (SQLite, no Redis), in three processes; beside it the short form of `make chaos`,
   which mostly waits, and has the right of way, because it kills by the clock;
3. the browser tests;
4. the Django apps again, scaled (PostgreSQL and Redis), but for tests that start all their servers themselves.

A service that cannot be had is told at the start and at the end; with CI=true that is a failure.
With arguments (`make test ARGS="tests/core -k retry"`) only pytest runs, once, with them.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

from scripts.assets import find_node
from scripts.services import Service, ServiceMissing, end
from scripts.services.chromium import UNPACKED, find_chromium
from scripts.services.postgres import start_postgres
from scripts.services.redis import start_redis
from scripts.terminal import ROOT, say

SCALED = ("conversations", "realtime", "workspaces", "agents", "billing")
WORKERS = "3"
GIVES_WAY = 10
"""The niceness of what runs beside chaos."""


@dataclass
class Part:
    """What became of one run of a test tool."""

    name: str
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: float = 0.0
    note: str = ""

    def take(self, report: Path, code: int) -> None:
        """Counts from the report that the tool wrote; `code` is how it ended."""
        cases = ElementTree.parse(report).getroot().iter("testcase") if report.exists() else ()
        for case in cases:
            results = {child.tag for child in case}
            if results & {"failure", "error"}:
                self.failed += 1
            elif "skipped" in results:
                self.skipped += 1
            else:
                self.passed += 1
        if code and not self.failed:
            self.failed, self.note = 1, f"ended with exit code {code}"

    def line(self) -> str:
        counts = f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"
        return f"  {self.name:<34} {counts} in {self.seconds:.0f} s{'  ' + self.note if self.note else ''}"


@dataclass
class Services:
    """The servers that came up, and why the others did not."""

    running: list[Service] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)
    shared: str = ""
    """A folder that all test processes share (tests/prepared.py)."""

    def start(self) -> None:
        starters: dict[str, Callable[[], Service]] = {
            "PostgreSQL": start_postgres,
            "Redis": start_redis,
            "Chromium": find_chromium,
        }
        for name, starter in starters.items():
            try:
                self.running.append(starter())
            except ServiceMissing as why:
                self.missing[name] = str(why)

    def get(self, name: str) -> Service | None:
        return next((service for service in self.running if service.name == name), None)

    def report(self) -> None:
        for service in self.running:
            say(f"  {service.name:<11} {service.origin}")
        for name, why in self.missing.items():
            say(f"  {name:<11} MISSING, its tests do not run: {why}")

    def environment(self) -> dict[str, str]:
        """For the tests: embedded by default, the servers on offer by name."""
        env = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "REDIS_URL")}
        env.pop("DJANGO_SETTINGS_MODULE", None)
        # Some machines forbid it: then each of a hundred processes compiles all of Nexus, or of the tests, anew.
        env.pop("PYTHONDONTWRITEBYTECODE", None)
        if self.shared:
            env["NEXUS_TEST_SHARED"] = self.shared
        if postgres := self.get("PostgreSQL"):
            env["NEXUS_TEST_POSTGRES_URL"] = postgres.value
        if redis := self.get("Redis"):
            env["NEXUS_TEST_REDIS_URL"] = redis.value
        if chromium := self.get("Chromium"):
            env["NEXUS_TEST_CHROMIUM"] = chromium.value
            env["NEXUS_TEST_CHROMIUM_LIBS"] = chromium.libraries
            if not any(Path(place).exists() for place in ("/usr/share/fonts", "/System/Library/Fonts")):
                env["FONTCONFIG_PATH"] = str(UNPACKED / "fonts")
        return env

    def stop(self) -> None:
        for service in reversed(self.running):
            service.stop()


def run_pytest(name: str, env: dict[str, str], *arguments: str, nice: int = 0) -> Part:
    first = ["nice", "-n", str(nice)] if nice else []
    return _run(name, [*first, sys.executable, "-m", "pytest", *arguments], "--junitxml={report}", env)


@contextmanager
def beside(name: str, env: dict[str, str], *arguments: str) -> Iterator[Part]:
    """Runs pytest while the block does something else; then waits for it, shows what it said, fills in the part."""
    part, started = Part(name), time.time()
    with tempfile.TemporaryDirectory() as folder:
        report, output = Path(folder) / "report.xml", Path(folder) / "output"
        command = [sys.executable, "-m", "pytest", *arguments, f"--junitxml={report}"]
        with output.open("wb") as out:
            process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=out, stderr=subprocess.STDOUT)
        try:
            yield part
            code = process.wait()
        finally:
            end(process, signal.SIGINT)
        say(f"\n==> {name}\n{output.read_text(errors='replace')}")
        part.take(report, code)
        ended = report.stat().st_mtime if report.exists() else time.time()
    part.seconds, part.note = ended - started, part.note or "beside the embedded tests"


def run_javascript(env: dict[str, str]) -> Part:
    node = find_node()
    files = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "tests" / "js").glob("*.test.js"))
    if node is None or not files:
        return Part("browser modules (Node)", failed=1, note="no Node" if node is None else "no tests found")
    reporters = ["--test-reporter=dot", "--test-reporter-destination=stdout", "--test-reporter=junit"]
    command = [str(node.program), "--test", *reporters, "--test-reporter-destination={report}", *files]
    return _run("browser modules (Node)", command, "", node.environment() | env)


def _run(name: str, command: Sequence[str], report_flag: str, env: dict[str, str]) -> Part:
    """Runs a test tool, shows what it says, and counts from the report that it writes."""
    say(f"\n==> {name}")
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        parts = [
            part.replace("{report}", str(report))
            for part in [*command, *([report_flag] if report_flag else [])]
        ]
        code = subprocess.run(parts, cwd=ROOT, env=env, check=False).returncode
        part = Part(name)
        part.take(report, code)
    part.seconds = time.monotonic() - started
    return part


def run_all(services: Services) -> list[Part]:
    env = services.environment()
    parts = [run_javascript(env)]
    quick = ("-n", WORKERS, "--dist", "loadfile", "--no-loadscope-reorder", "-q")
    with beside("chaos, short form", env, "-q", "-m", "chaos", "tests/chaos") as chaos:
        parts.append(
            run_pytest(
                "Python, embedded", env, *quick, "-m", "not e2e and not chaos", "tests", nice=GIVES_WAY
            )
        )
    parts.append(chaos)
    parts.append(run_pytest("whole product, in a browser", env, *quick, "tests/e2e"))
    postgres, redis = services.get("PostgreSQL"), services.get("Redis")
    if postgres and redis:
        scaled = env | {"DATABASE_URL": postgres.value, "REDIS_URL": redis.value}
        folders = [f"tests/{name}" for name in SCALED if (ROOT / "tests" / name).is_dir()]
        parts.append(
            run_pytest(
                "Django apps, PostgreSQL and Redis",
                scaled,
                *quick,
                "-m",
                "not e2e and not chaos and not once",
                *folders,
            )
        )
    else:
        parts.append(Part("Django apps, PostgreSQL and Redis", note="NOT RUN, see the missing services"))
    return parts


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def main(arguments: Sequence[str]) -> int:
    started = time.monotonic()
    strict = os.environ.get("CI", "").lower() in ("1", "true")
    folder = tempfile.TemporaryDirectory(prefix="nexus-test-shared-")
    services = Services(shared=folder.name)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        say("==> Services for the tests")
        services.start()
        services.report()
        parts = [run_pytest("pytest", services.environment(), *arguments)] if arguments else run_all(services)
    except KeyboardInterrupt:
        say("\nstopped")
        return 130
    finally:
        services.stop()
        folder.cleanup()
    say("\n==> All parts")
    services.report()
    for part in parts:
        say(part.line())
    failed = sum(part.failed for part in parts)
    if services.missing and strict:
        failed += len(services.missing)
        say("  With CI=true a missing service counts as a failure.")
    passed, skipped = sum(part.passed for part in parts), sum(part.skipped for part in parts)
    say(f"\n{passed} passed, {failed} failed, {skipped} skipped in {time.monotonic() - started:.0f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
