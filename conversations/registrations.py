"""What the floors below ask of conversations, registered at start."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from realtime.consumer import register_log_reader
from realtime.presence import register_conversation_filter
from workspaces.access import Actor

from .access import readable_ids
from .follow import read_frames


def _readable(actor: Actor, conversation_ids: Iterable[UUID]) -> set[UUID]:
    return readable_ids(actor, conversation_ids)


register_log_reader(read_frames)
register_conversation_filter(_readable)
