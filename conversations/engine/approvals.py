"""`nexus_core.ports.Approvals` over the database, for one run and one epoch: it never waits itself."""

from __future__ import annotations

from nexus_core.ports import Decision, ToolRecord

from ..database import in_database
from ..models import Run
from ..services.asking import approval_ask, decision_known


class DbApprovals:
    def __init__(self, run: Run) -> None:
        self._run = run

    async def known(self, call: ToolRecord) -> Decision | None:
        return await in_database(decision_known, self._run, call)

    async def decide(self, call: ToolRecord) -> Decision | None:
        """Puts the call to people; `None`, so that the run is put aside until they have decided."""
        return await in_database(approval_ask, self._run, call)
