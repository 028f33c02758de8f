"""The one way to tell the world: `publish(room, *frames)`, after commit, from any thread.

In a process with a hub the frames go to its rooms (and through Redis to the other
processes). A command beside the server has no hub: with Redis it sends the message
itself, without it nobody can hear and nothing is done.
"""

from __future__ import annotations

import asyncio
import logging

from django.conf import settings
from django.db import transaction

from .bridge import publish_from_outside
from .frames import Frame
from .hub import existing_hub

log = logging.getLogger(__name__)


def publish(room: str, *frames: Frame) -> None:
    """Tells a room. Cheap where there is a hub, never raises; call it only after the commit."""
    if not frames:
        return
    hub = existing_hub()
    if hub is None:
        if settings.NEXUS_REDIS_URL:
            publish_from_outside(settings.NEXUS_REDIS_URL, room, frames)
        return
    try:
        running: asyncio.AbstractEventLoop | None = asyncio.get_running_loop()
    except RuntimeError:
        running = None
    if running is hub.loop:
        hub.publish(room, frames)
        return
    try:
        hub.loop.call_soon_threadsafe(hub.publish, room, frames)
    except RuntimeError:
        log.debug("the hub's loop is closed; nobody listens to %s", room)


def publish_after_commit(room: str, *frames: Frame) -> None:
    """The same when the current transaction is committed (at once outside of one)."""
    transaction.on_commit(lambda: publish(room, *frames))
