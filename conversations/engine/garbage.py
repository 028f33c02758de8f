"""The garbage collector of a server process: it looks through what is young, not through all that was imported.

A full collection visits every object there is, and a quarter of a million of them are Django's and the SDKs', which never go.
That took 150-250 ms in which no stream moved, every few seconds under load, and a tenth of all CPU.
"""

from __future__ import annotations

import gc

YOUNG = 10_000
"""Objects made and not freed until the young ones are looked through; Python's own 700 is for small programs."""

_settled: set[str] = set()


def settle(moment: str) -> None:
    """What lives now stays for good and is looked at no more. Once per process for each `moment`."""
    if moment in _settled:
        return
    _settled.add(moment)
    gc.set_threshold(YOUNG, 10, 10)
    gc.collect(1)
    gc.freeze()
