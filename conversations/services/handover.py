"""What `run_start` has in its hands, for the runner of the same process: it need not be read again.

Such a run was claimed by its start: it is this process's from its first moment, at
epoch 1. A process without an engine of its own keeps nothing.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from uuid import UUID

from workspaces.access import Actor

from ..models import Run


@dataclass(frozen=True, slots=True)
class Handover:
    """The run with its conversation, message, agent, workspace and person set; and whom it works for."""

    run: Run
    actor: Actor


_lock = threading.Lock()
_kept: dict[UUID, Handover] = {}


def keep(handover: Handover) -> None:
    with _lock:
        _kept[handover.run.pk] = handover


def take(run_id: UUID) -> Handover | None:
    with _lock:
        return _kept.pop(run_id, None)
