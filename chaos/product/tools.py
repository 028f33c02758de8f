"""Two tools whose effect is a line in a file that no crash of the product takes back."""

from __future__ import annotations

import asyncio
import json
import os
import time
from typing import Any

from nexus_core.context import ExecutionContext
from nexus_core.tools import tool


def _effect(name: str, key: str, run_id: str) -> None:
    line = json.dumps({"tool": name, "key": key, "run": run_id, "pid": os.getpid(), "at": time.time()})
    handle = os.open(os.environ["CHAOS_EFFECTS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(handle, (line + "\n").encode())
    finally:
        os.close(handle)


@tool(timeout=30)
async def chaos_append(
    key: str, context: ExecutionContext, before_ms: int = 0, after_ms: int = 0
) -> dict[str, Any]:
    """Writes a line that nothing takes back; not to be repeated.

    Args:
        key: what is written.
        before_ms: milliseconds before the effect.
        after_ms: milliseconds after it.
    """
    await asyncio.sleep(before_ms / 1000)
    _effect("chaos_append", key, context.run_id)
    await asyncio.sleep(after_ms / 1000)
    return {"appended": key}


@tool(idempotent=True, timeout=30)
async def chaos_put(
    key: str, context: ExecutionContext, before_ms: int = 0, after_ms: int = 0
) -> dict[str, Any]:
    """Notes that a key is set; to be repeated without harm.

    Args:
        key: what is set.
        before_ms: milliseconds before the effect.
        after_ms: milliseconds after it.
    """
    await asyncio.sleep(before_ms / 1000)
    _effect("chaos_put", key, context.run_id)
    await asyncio.sleep(after_ms / 1000)
    return {"put": key}
