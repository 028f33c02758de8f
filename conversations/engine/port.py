"""The engine as the services see it: enqueue, cancel, close.

Two forms: `local` (asyncio tasks of the one web process; the run table is the
queue) and `docket` (Redis Streams, any number of workers). Which one runs is
decided in `start`. A process without one (a management command) leaves its runs
to the sweeper of a process that has one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol
from uuid import UUID

if TYPE_CHECKING:
    from ..services.handover import Handover


class Engine(Protocol):
    owner: str
    """Who owns the runs that this process executes; empty where it executes none."""

    def enqueue(self, run_id: UUID) -> None:
        """Have this run executed soon; from any thread. Told twice is told once."""
        ...

    def prepare(self, given: Handover) -> None:
        """Make ready what this run needs, inside the transaction of its start, which claimed it for `owner`.
        Raises what the database raises."""
        ...

    def begin(self, given: Handover) -> None:
        """Execute that run; from any thread, after the commit."""
        ...

    def cancel(self, run_id: UUID) -> None:
        """Tell the run's owner that it should stop; from any thread."""
        ...

    def steer(self, run_id: UUID) -> None:
        """Tell the run's owner that somebody said something to it; from any thread. A hint: what is lost
        is heard later, or becomes a question behind the answer."""
        ...

    async def close(self) -> None:
        """Hand over what is running and stop."""
        ...


_engine: Engine | None = None


def use(engine: Engine | None) -> None:
    global _engine
    _engine = engine


def current() -> Engine | None:
    return _engine


def owner_here() -> str:
    """Who may own a run from its first moment: this process, or nobody (empty)."""
    return _engine.owner if _engine is not None else ""


def enqueue(run_id: UUID) -> None:
    if _engine is not None:
        _engine.enqueue(run_id)


def prepare(given: Handover) -> None:
    if _engine is not None:
        _engine.prepare(given)


def begin(given: Handover) -> None:
    if _engine is not None:
        _engine.begin(given)


def cancel(run_id: UUID) -> None:
    if _engine is not None:
        _engine.cancel(run_id)


def steer(run_id: UUID) -> None:
    if _engine is not None:
        _engine.steer(run_id)
