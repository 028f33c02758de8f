"""The bulletin: what lists and feeds of a whole workspace show, told a moment later and only as it is then.

A message that starts and ends changes the lists of everyone in the workspace several
times. Nobody waits for that, and whoever waits for the first word should not pay for it:
such news is kept for `PAUSE_SECONDS`, newer of the same key takes the place of older,
and a room gets what is left in one piece. Callable from any thread, after the commit.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable

from .frames import Frame
from .hub import Hub, existing_hub
from .publish import publish

PAUSE_SECONDS = 0.1

MakeFrame = Callable[[], Frame]

_lock = threading.Lock()
_kept: dict[str, dict[str, MakeFrame]] = {}
"""By room and key, in the order in which they came."""
_waiting_on: Hub | None = None
"""The hub whose loop will tell what is kept."""


def publish_soon(room: str, key: str, make: MakeFrame) -> None:
    """Tells a room soon. `make` is called once, on the hub's loop, if nothing newer of that key comes before it."""
    global _waiting_on
    hub = existing_hub()
    if hub is None:  # a command beside the server: nobody here waits for a first word
        publish(room, make())
        return
    with _lock:
        news = _kept.setdefault(room, {})
        news.pop(key, None)
        news[key] = make
        if _waiting_on is hub:
            return
        _waiting_on = hub
    with contextlib.suppress(RuntimeError):  # the loop ended meanwhile: nobody listens
        hub.loop.call_soon_threadsafe(hub.loop.call_later, PAUSE_SECONDS, _tell, hub)


def _tell(hub: Hub) -> None:
    global _waiting_on
    with _lock:
        kept = dict(_kept)
        _kept.clear()
        if _waiting_on is hub:
            _waiting_on = None
    for room, news in kept.items():
        hub.publish(room, [make() for make in news.values()])
