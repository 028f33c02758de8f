"""The product: conversations, messages, runs, tool calls and the log of chunks."""

from __future__ import annotations

from django.apps import AppConfig


class ConversationsConfig(AppConfig):
    name = "conversations"

    def ready(self) -> None:
        # Registration only: frames of the socket, the log's reader, what private means for presence.
        from . import checks, draft_frames, frames, registrations, reliability  # noqa: F401
