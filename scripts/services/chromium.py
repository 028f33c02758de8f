"""A Chromium for the tests: NEXUS_CHROMIUM, an installed one, or the one that an npm package brings."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from scripts.assets import MODULES, find_node
from scripts.services import Service, ServiceMissing

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
PACKAGE = MODULES / "@sparticuz" / "chromium"
UNPACKED = MODULES / ".cache" / "nexus-chromium"
# The package unpacks its shared libraries only where it believes to run in a cloud function.
UNPACK = "const c = (await import('@sparticuz/chromium')).default; console.log(await c.executablePath());"
# In a process of its own: Playwright's synchronous form leaves an event loop behind. `--dump-dom` is no
# measure, the headless shell of the package never ends with it.
PROBE = """
import sys
from playwright.sync_api import sync_playwright
with sync_playwright() as p:
    flags = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
    browser = p.chromium.launch(executable_path=sys.argv[1], args=flags, timeout=90_000)
    page = browser.new_page()
    page.set_content("<p>seen</p>")
    print(page.inner_text("p"))
    browser.close()
"""


def find_chromium() -> Service:
    """A Chromium that was seen to render a page. Raises `ServiceMissing`."""
    refused: list[str] = []
    for path, origin in _installed():
        if fault := _fault(path, ""):
            refused.append(f"{path}: {fault}")
        else:
            return Service("Chromium", path, origin)
    if not (PACKAGE / "package.json").exists():
        raise ServiceMissing("; ".join([*refused, "npm package @sparticuz/chromium is not installed"]))
    path = _unpack()
    own = os.pathsep.join(
        str(folder) for folder in (UNPACKED / "al2023" / "lib", UNPACKED) if folder.exists()
    )
    faults = []
    # The machine's own libraries first; the package's only where some are missing.
    for libraries in ("", own):
        if not (fault := _fault(path, libraries)):
            return Service("Chromium", path, "npm package @sparticuz/chromium", libraries=libraries)
        faults.append(fault)
    raise ServiceMissing("; ".join([*refused, f"{path}: {faults[-1]}"]))


def _installed() -> list[tuple[str, str]]:
    if named := os.environ.get("NEXUS_CHROMIUM"):
        return [(named, "NEXUS_CHROMIUM")]
    found = [(path, "installed") for name in NAMES if (path := shutil.which(name))]
    mac = Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")
    return [*found, (str(mac), "installed")] if mac.exists() else found


def _unpack() -> str:
    node = find_node()
    if node is None:
        raise ServiceMissing("Node is needed to unpack @sparticuz/chromium")
    program = UNPACKED / "chromium"
    if program.exists() and (UNPACKED / "complete").exists():
        return str(program)
    shutil.rmtree(UNPACKED, ignore_errors=True)
    UNPACKED.mkdir(parents=True)
    env = node.environment() | {"TMPDIR": str(UNPACKED), "AWS_EXECUTION_ENV": "AWS_Lambda_nodejs22.x"}
    done = subprocess.run(
        [node.program, "--input-type=module", "--eval", UNPACK],
        cwd=MODULES.parent,
        env=env,
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )
    if done.returncode:
        raise ServiceMissing(f"@sparticuz/chromium could not be unpacked: {done.stderr[-400:]}")
    (UNPACKED / "complete").touch()
    return str(program)


def _fault(path: str, libraries: str) -> str:
    """Why this program does not render a page when driven as the tests do; empty when it does."""
    env = dict(os.environ)
    if libraries:
        env["LD_LIBRARY_PATH"] = libraries
    try:
        done = subprocess.run(
            [sys.executable, "-c", PROBE, path],
            env=env,
            capture_output=True,
            text=True,
            check=False,
            timeout=180,
        )
    except (OSError, subprocess.TimeoutExpired) as why:
        return str(why)
    if done.returncode == 0 and "seen" in done.stdout:
        return ""
    telling = [line for line in done.stderr.splitlines() if "error while loading" in line or "Error" in line]
    return (telling or done.stderr.splitlines() or ["no page came"])[-1].strip()[:300]
