"""Named places at which a test may kill, stop, delay or fail a process. Off unless `NEXUS_FAILPOINTS` names a folder.

To arm a point, a file of its name is moved into the folder: `{"action": "kill", "hit": 2}`. Whichever process
of those that share the folder comes there for the second time takes the file and acts, once; the
file stays as `NAME.done` with who it was and when. Nothing is armed at other points, and a process
without the variable pays for a comparison with None.
"""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Literal, get_args

FailPoint = Literal[
    "before_start_commit",
    "after_start_commit",
    "in_claim",
    "after_claim",
    "before_reserve",
    "after_reserve",
    "after_chunk",
    "before_commit",
    "after_commit",
    "before_settle",
    "after_settle",
    "before_tool",
    "after_tool_effect",
    "after_tool_record",
    "before_finish",
    "in_finish",
    "after_finish",
    "after_wait",
    "before_release",
    "after_release",
]
"""In the order of a run's life. `after_chunk` is reached by each chunk that a run hands to its recorder,
`before_commit` and `after_commit` by each batch of the log writer, `after_wait` by a run that stopped to wait for people."""

POINTS: tuple[FailPoint, ...] = get_args(FailPoint)
ACTIONS = ("kill", "stop", "delay", "raise")

_folder: Path | None = None


class FailPointReached(RuntimeError):
    """The action `raise`: a fault that nobody expects."""


def arm(folder: str) -> None:
    """From here on the points look into that folder; an empty name switches them off."""
    global _folder
    _folder = Path(folder) if folder else None


def failpoint(name: FailPoint) -> None:
    if _folder is not None:
        _reach(_folder, name)


def _reach(folder: Path, name: FailPoint) -> None:
    armed, mine = folder / name, folder / f"{name}.{os.getpid()}"
    try:
        armed.rename(mine)
    except OSError:  # not armed, or another thread or process has it in its hands
        return
    order = json.loads(mine.read_text())
    if order.get("hit", 1) > 1:
        mine.write_text(json.dumps(order | {"hit": order["hit"] - 1}))
        mine.rename(armed)
        return
    mine.write_text(json.dumps(order | {"pid": os.getpid(), "at": time.time()}))
    mine.rename(folder / f"{name}.done")
    _act(name, order)


def _act(name: FailPoint, order: dict[str, object]) -> None:
    match order["action"]:
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "stop":  # whoever armed it sends the SIGCONT
            os.kill(os.getpid(), signal.SIGSTOP)
        case "delay":
            time.sleep(float(str(order.get("seconds", 1))))
        case "raise":
            raise FailPointReached(f"fail point {name}")
        case other:
            raise ValueError(f"{other!r} is none of the actions {', '.join(ACTIONS)}")
