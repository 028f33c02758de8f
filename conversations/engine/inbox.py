"""`nexus_core.ports.Inbox` over the database, for one run and one epoch.

Most runs are never steered, so it looks only when it was rung, and a new owner of a run once at each step.
"""

from __future__ import annotations

from collections.abc import Sequence

from nexus_core.chunks import MetadataChunk
from nexus_core.messages import Message

from ..database import in_database
from ..models import Run
from ..services.hearing import steering_take, steering_taken
from .recorder import Recorder


class DbInbox:
    def __init__(self, run: Run, recorder: Recorder) -> None:
        self._run, self._recorder = run, recorder
        self._rung = run.epoch > 1
        self._told: set[int] = set()

    def ring(self) -> None:
        """Somebody said something. On the loop."""
        self._rung = True

    async def take(self, step: int) -> Sequence[Message]:
        again = self._run.epoch > 1 and step not in self._told
        self._told.add(step)
        if not self._rung and not again:
            return ()
        self._rung = False
        heard = await in_database(lambda: steering_take(self._run, step, again=again))
        for one in heard:
            if one.fresh:
                await self._recorder.add(MetadataChunk("steered", {"messageId": str(one.steering.pk)}))
        return [one.message for one in heard]

    async def taken(self, step: int) -> Sequence[Message]:
        self._told.add(step)
        if self._run.epoch == 1 and self._run.resumed_from_id is None:
            return ()
        return await in_database(steering_taken, self._run, step)
