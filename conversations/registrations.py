"""What the floors below ask of conversations, registered at start."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from billing.selectors import register_conversation_names
from realtime.gate import register_log_reader
from realtime.lookout import register_run_lister
from realtime.presence import register_conversation_filter, register_waiting_agents
from realtime.presence_board import Entry
from realtime.waiting import WAITING
from workspaces.access import Actor
from workspaces.tenancy import on_workspace_deleted

from . import members
from .access import open_ids, readable, readable_ids
from .follow import read_frames
from .models import Run
from .run_states import run_states
from .services.run_cancel import runs_end_with_workspace
from .wire import instant


def _readable(actor: Actor, conversation_ids: Iterable[UUID]) -> set[UUID]:
    return readable_ids(actor, conversation_ids)


def _open_to_all(conversation_ids: Iterable[UUID]) -> set[UUID]:
    return open_ids(conversation_ids)


def _names(actor: Actor, conversation_ids: Iterable[UUID]) -> dict[UUID, str]:
    return dict(readable(actor).filter(pk__in=list(conversation_ids)).values_list("pk", "title"))


MOST_WAITING = 200


def _waiting(workspace_id: UUID, conversation_id: UUID | None) -> list[Entry]:
    """The agents whose runs wait for people."""
    runs = Run.objects.filter(
        workspace_id=workspace_id,
        waiting_since__isnull=False,  # as the index says it
        status=Run.Status.WAITING,
        conversation__deleted_at=None,
    )
    if conversation_id is not None:
        runs = runs.filter(conversation_id=conversation_id)
    return [
        Entry(
            run.workspace_id,
            run.agent_slug,
            run.agent.name if run.agent is not None else run.agent_slug,
            "agent",
            WAITING,
            instant(run.waiting_since) or "",
            run.conversation_id,
            icon=run.agent.icon if run.agent is not None else "",
            touched=run.waiting_since.timestamp() if run.waiting_since is not None else 0.0,
        )
        for run in runs.select_related("agent").order_by("-created_at")[:MOST_WAITING]
    ]


register_conversation_names(_names)
register_waiting_agents(_waiting)
register_log_reader(read_frames)
register_run_lister(run_states)
register_conversation_filter(_readable, _open_to_all)
on_workspace_deleted(runs_end_with_workspace)
members.connect()
