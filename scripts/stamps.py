"""Remembers what a step was made from, so that it is skipped while nothing changed."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from scripts.terminal import ROOT, say


def files_under(folder: Path, *suffixes: str) -> list[Path]:
    """Every file of the folder with one of the suffixes (all files without), sorted."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and (not suffixes or path.suffix in suffixes)
    )


def fingerprint(paths: Iterable[Path], *words: str) -> str:
    """A hash over names and contents of the files, and over the words."""
    total = hashlib.sha256()
    for path in paths:
        total.update(str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path).encode())
        total.update(hashlib.sha256(path.read_bytes()).digest() if path.exists() else b"absent")
    for word in words:
        total.update(b"\0" + word.encode())
    return total.hexdigest()


def read(stamp: Path) -> dict[str, Any]:
    """The stamp's content; empty when there is none, or when it cannot be read."""
    try:
        content = json.loads(stamp.read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def write(stamp: Path, content: dict[str, Any]) -> None:
    stamp.parent.mkdir(parents=True, exist_ok=True)
    new = stamp.with_name(stamp.name + ".new")
    new.write_text(json.dumps(content, indent=1) + "\n")
    new.replace(stamp)


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Lets one set-up work on this checkout at a time; a second one waits and says so."""
    handle = os.open(ROOT / "requirements", os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("==> Waiting for another set-up of this checkout to finish")
            fcntl.flock(handle, fcntl.LOCK_EX)
        except OSError:
            pass  # a file system without locks: go on alone
        yield
    finally:
        os.close(handle)
