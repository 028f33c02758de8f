"""The one way to tell the world: `publish(room, *frames)`, after commit, from any thread.

In a process with a hub the frames go to its rooms (and through Redis to the other
processes). A command beside the server has no hub: with Redis it sends straight to
the layer, without it nobody can hear and nothing is done.
"""

from __future__ import annotations

import asyncio
import logging
import threading

from django.conf import settings
from django.db import transaction

from .frames import Frame
from .hub import existing_hub

log = logging.getLogger(__name__)


def publish(room: str, *frames: Frame) -> None:
    """Tells a room. Cheap, never blocks, never raises; call it only after the commit."""
    if not frames:
        return
    hub = existing_hub()
    if hub is None:
        if settings.NEXUS_REDIS_URL:
            _send_without_hub(room, frames)
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


def _send_without_hub(room: str, frames: tuple[Frame, ...]) -> None:
    from asgiref.sync import async_to_sync
    from channels.layers import get_channel_layer

    message = {
        "type": "hub",
        "from": "",
        "room": room,
        "frames": [(f.text, f.type, f.run_id, f.seq) for f in frames],
    }

    def send() -> None:
        try:
            async_to_sync(get_channel_layer().group_send)(room, message)
        except Exception as fault:
            log.warning("publishing without a hub failed (%s)", type(fault).__name__)

    # In a thread: the caller may stand inside an event loop that is not ours to wait in.
    threading.Thread(target=send, name="publish", daemon=True).start()
