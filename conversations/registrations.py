"""What the floors below ask of conversations, registered at start."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from billing.selectors import register_conversation_names
from realtime.consumer import register_log_reader
from realtime.lookout import register_run_lister
from realtime.presence import register_conversation_filter
from workspaces.access import Actor
from workspaces.tenancy import on_workspace_deleted

from .access import open_ids, readable, readable_ids
from .follow import read_frames
from .run_states import run_states
from .services.run_cancel import runs_end_with_workspace


def _readable(actor: Actor, conversation_ids: Iterable[UUID]) -> set[UUID]:
    return readable_ids(actor, conversation_ids)


def _open_to_all(conversation_ids: Iterable[UUID]) -> set[UUID]:
    return open_ids(conversation_ids)


def _names(actor: Actor, conversation_ids: Iterable[UUID]) -> dict[UUID, str]:
    return dict(readable(actor).filter(pk__in=list(conversation_ids)).values_list("pk", "title"))


register_conversation_names(_names)
register_log_reader(read_frames)
register_run_lister(run_states)
register_conversation_filter(_readable, _open_to_all)
on_workspace_deleted(runs_end_with_workspace)
