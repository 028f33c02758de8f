"""The packer: packs the logs of ended runs, in the processes that execute runs, when there is time."""

from __future__ import annotations

import asyncio
import logging
import random

from ..database import in_database
from ..instruments import log_rows_packed, logs_packed
from ..services.packing import logs_pack

log = logging.getLogger(__name__)

EVERY_SECONDS = 15.0
BREATH_SECONDS = 0.3
"""Between two batches, so that packing a backlog leaves most of a core to the runs that go on."""


async def pack_forever() -> None:
    while True:
        # Processes that began together do not pack together.
        await asyncio.sleep(EVERY_SECONDS * random.uniform(0.7, 1.3))  # noqa: S311
        try:
            while True:
                batch = await in_database(logs_pack)
                logs_packed.inc(batch.runs)
                log_rows_packed.inc(batch.rows)
                if not batch.more:
                    break
                await asyncio.sleep(BREATH_SECONDS)
        except asyncio.CancelledError:
            raise
        except Exception as fault:  # the database is away: next time
            log.warning("packer: %s: %s", type(fault).__name__, fault)
