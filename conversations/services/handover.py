"""What `run_start` has in its hands, for the runner of the same process: it need not be read again.

Only a run that nobody claimed before is taken from here, by the claim that moves its
epoch from 0 to 1. A process without an engine of its own keeps nothing.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from uuid import UUID

from workspaces.access import Actor

from ..models import Run

MOST = 1000


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
        while len(_kept) > MOST:
            _kept.pop(next(iter(_kept)))


def take(run_id: UUID) -> Handover | None:
    with _lock:
        return _kept.pop(run_id, None)
