"""The base of frames: the same as for everything else that crosses the wire."""

from __future__ import annotations

from workspaces.wire import Wire

__all__ = ["Wire"]
