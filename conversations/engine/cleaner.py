"""The cleaner: removes, now and then, what nobody keeps. Every process with an engine runs it."""

from __future__ import annotations

import asyncio
import logging

from ..database import in_database
from ..services.leftovers import leftovers_remove

log = logging.getLogger(__name__)

EVERY_SECONDS = 600.0


async def clean_forever() -> None:
    while True:
        try:
            removed = await in_database(leftovers_remove)
            if removed:
                log.info("removed %s temporary chats and forgotten uploads", removed)
        except asyncio.CancelledError:
            raise
        except Exception as fault:  # the database is away: next time
            log.warning("cleaner: %s: %s", type(fault).__name__, fault)
        await asyncio.sleep(EVERY_SECONDS)
