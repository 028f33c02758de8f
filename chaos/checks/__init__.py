"""What must hold after every trial; the letters are those of the design's invariants.

`log` I1, I2, I3 · `promises` I4 · `effects` I5 · `ledger` I6, I11 · `leases` I9 · `health`, `base` I10. Each check gives a
list of sentences, empty when all is well.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..scene import Scene
from . import effects, ledger, log, promises


def check_all(scene: Scene) -> list[str]:
    """Those that look at what was stored; the others watch while it goes, and after it."""
    found: list[str] = []
    for check in (log.check, promises.check, effects.check, ledger.check):
        found += check(scene)
    return found


def told(run_key: str, faults: Sequence[str], name: str) -> list[str]:
    """Each with the invariant's name and the run's."""
    return [f"{name} [{run_key}] {fault}" for fault in faults]
