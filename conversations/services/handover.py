"""What `run_start` has in its hands, for the runner of the same process: it need not be read again.

Such a run was claimed by its start: it is this process's from its first moment, at
epoch 1. It is kept from before the commit until the runner takes it, so that whoever
asks it to stop meanwhile finds it here. A process without an engine keeps nothing.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from nexus_core.chunks import Chunk
from workspaces.access import Actor

from ..models import Run


@dataclass(slots=True)
class Handover:
    """The run with its conversation, message, agent, workspace and person set; and whom it works for.

    Attributes:
        started: its first chunk, which the start stored.
        prepared: what the runner made of it already (a `runner.Prepared`).
        cancelled: somebody asked it to stop before it began.
    """

    run: Run
    actor: Actor
    started: Chunk
    prepared: Any = None
    cancelled: bool = False


_lock = threading.Lock()
_kept: dict[UUID, Handover] = {}


def keep(handover: Handover) -> None:
    with _lock:
        _kept[handover.run.pk] = handover


def take(run_id: UUID) -> Handover | None:
    with _lock:
        return _kept.pop(run_id, None)


def cancel(run_id: UUID) -> bool:
    """Notes the wish on a run that is kept here; False where there is none."""
    with _lock:
        given = _kept.get(run_id)
        if given is None:
            return False
        given.cancelled = True
        return True
