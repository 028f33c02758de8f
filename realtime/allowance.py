"""How many frames a client may send: its socket by itself, and all of its person, its token and its workspace together."""

from __future__ import annotations

import time

from workspaces.access import Actor, TooManyRequests
from workspaces.database import in_database
from workspaces.limits import limit_hit

FRAMES_AT_ONCE = 400
FRAMES_PER_SECOND = 40
FRAMES_COUNTED = 20
"""So many frames of a socket are counted at once towards its person's, its token's and its workspace's."""


class Allowance:
    """One socket's."""

    __slots__ = ("_left", "_left_at", "_uncounted")

    def __init__(self) -> None:
        self._left, self._left_at = float(FRAMES_AT_ONCE), time.monotonic()
        self._uncounted = 0

    def take(self) -> bool:
        """This socket's own bucket of frames: so many at once, then so many a second. False: it is empty."""
        now = time.monotonic()
        self._left = min(FRAMES_AT_ONCE, self._left + (now - self._left_at) * FRAMES_PER_SECOND)
        self._left_at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True

    async def count(self, actor: Actor) -> bool:
        """Counts with the frames of all other sockets of the token, the person and the workspace; in lots,
        since with Redis a count is a request. False: together they were too many."""
        self._uncounted += 1
        if self._uncounted < FRAMES_COUNTED:
            return True
        self._uncounted = 0
        try:
            await in_database(limit_hit, "frames", actor, cost=FRAMES_COUNTED)
        except TooManyRequests:
            return False
        return True
