"""What a person sees while the set-up works: steps with their time, and failures that say what to do."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parent.parent


class StepFailed(Exception):
    """A step could not do its work. The message says why and what to do about it."""


def say(text: str) -> None:
    print(text, flush=True)


def fail(text: str, code: int = 1) -> NoReturn:
    print(f"\nNexus: {text}", file=sys.stderr, flush=True)
    raise SystemExit(code)


@contextmanager
def step(name: str) -> Iterator[None]:
    """Announces a piece of work, and how many seconds it took."""
    say(f"==> {name}")
    started = time.monotonic()
    yield
    say(f"    done in {time.monotonic() - started:.1f} s")


def skipped(name: str) -> None:
    say(f"==> {name}: up to date")


def run(
    command: Sequence[str | Path],
    *,
    what: str,
    hint: str = "",
    env: Mapping[str, str] | None = None,
    cwd: Path = ROOT,
    attempts: int = 1,
    quiet: bool = False,
) -> None:
    """Runs a command, in the checkout unless told otherwise; its output is shown as it comes, or with `quiet` only when it fails.

    Raises `StepFailed` with `what` and `hint` after the last attempt.
    """
    text = [str(part) for part in command]
    for attempt in range(1, attempts + 1):
        try:
            done = subprocess.run(
                text,
                cwd=cwd,
                env=dict(env) if env is not None else None,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if quiet else None,
                stderr=subprocess.STDOUT if quiet else None,
                text=True,
                check=False,
            )
        except OSError as fault:
            raise StepFailed(f"{what}: {text[0]}: {fault.strerror}. {hint}".strip()) from fault
        if done.returncode == 0:
            return
        if quiet:
            say(done.stdout)
        if attempt < attempts:
            say(f"    {what}: exit code {done.returncode}, attempt {attempt} of {attempts}; trying again")
            time.sleep(2.0 * attempt)
    raise StepFailed(f"{what} (exit code {done.returncode}). {hint}".strip())


def demand_space(folder: Path, megabytes: int) -> None:
    """Raises `StepFailed` when the disk of `folder` has less room than the next step needs."""
    disk = os.statvfs(folder)
    free = disk.f_bavail * disk.f_frsize // 2**20
    if free < megabytes:
        raise StepFailed(
            f"not enough disk space: {folder} has {free} MB free, this step needs about {megabytes} MB. "
            "Free some space, or move the checkout to a bigger disk."
        )
