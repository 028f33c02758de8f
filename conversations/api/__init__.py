"""HTTP of conversations, runs, messages, tool calls, files and search: parse, call one service, answer."""

from __future__ import annotations

from ninja import Router

from . import (
    approvals,
    conversations,
    files,
    find,
    imports,
    invoke,
    progress,
    runs,
    shares,
    threads,
    tool_calls,
)
from .guard import guard

router = Router()
for part in (
    invoke,
    runs,
    progress,
    conversations,
    shares,
    imports,
    threads,
    tool_calls,
    approvals,
    find,
    files,
):
    router.add_router("", part.router)

__all__ = ["guard", "router"]
