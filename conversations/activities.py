"""What goes into the workspace's feed of activities: ids, names and numbers. A temporary chat leaves no trace there.

Each is written inside the transaction that does what it tells; the world hears of it after the commit.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from nexus_core.ports import ToolRecord
from realtime.activity import activity_record
from workspaces.models import User

from .models import Approval, Conversation, Run
from .wire import run_wire


def record_asked(run: Run, conversation: Conversation) -> None:
    _record(conversation, "asked", _of_run(run), agent_slug=run.agent_slug, user=run.requested_by)


def record_finished(run: Run, conversation: Conversation) -> None:
    if conversation.temporary:
        return
    wire = run_wire(run)
    numbers = {
        "cost": wire["cost"]["total"],
        "tokens": wire["tokenUsage"]["total"],
        "durationMs": wire["durationMs"],
    }
    _record(
        conversation,
        {"complete": "answered", "cancelled": "stopped", "failed": "failed"}[run.status],
        _of_run(run) | numbers,
        agent_slug=run.agent_slug,
        user_id=run.cancelled_by_id if run.status == "cancelled" else None,
    )


def record_steered(conversation: Conversation, run: Run, user_id: UUID) -> None:
    _record(conversation, "steered", _of_run(run), agent_slug=run.agent_slug, user_id=user_id)


def record_control(run: Run, by: UUID, user: User) -> None:
    kind = "took-control" if by == user.pk else "gave-control"
    _record(run.conversation, kind, _of_run(run), agent_slug=run.agent_slug, user_id=by)


def record_tool_ran(run: Run, call: ToolRecord) -> None:
    """That the tool ran, never what it was given or gave."""
    told = {
        "toolId": call.tool_id,
        "toolName": call.name[:128],
        "status": call.status,
        "durationMs": call.duration_ms,
    }
    # Who may read it is looked up when it is told: a run may outlast a change of that.
    _record(run.conversation, "tool-ran", _of_run(run) | told, agent_slug=run.agent_slug, as_loaded=False)


def record_approval_asked(run: Run, approval: Approval) -> None:
    _record_approval(run.conversation, approval, "waiting", None)


def record_approval_decided(conversation: Conversation, approval: Approval) -> None:
    _record_approval(conversation, approval, f"tool-{approval.status}", approval.decided_by_id)


def _record_approval(conversation: Conversation, approval: Approval, kind: str, user_id: UUID | None) -> None:
    told = {
        "agentId": approval.agent_slug,
        "runId": str(approval.run_id),
        "toolId": str(approval.pk),
        "toolName": approval.tool_name,
    }
    _record(conversation, kind, told, agent_slug=approval.agent_slug, user_id=user_id)


def record_files_saved(conversation: Conversation, user: User, files: int) -> None:
    """How many were put into the conversation, never their names."""
    if files:
        _record(conversation, "file-saved", {"files": files}, user=user)


def _of_run(run: Run) -> dict[str, Any]:
    return {"agentId": run.agent_slug, "runId": str(run.pk)}


def _record(
    conversation: Conversation,
    kind: str,
    metadata: dict[str, Any],
    *,
    agent_slug: str = "",
    user: User | None = None,
    user_id: UUID | None = None,
    as_loaded: bool = True,
) -> None:
    """`as_loaded`: who may read the conversation is what the caller's row says."""
    if conversation.temporary:
        return
    open_to_all = (
        conversation.visibility == Conversation.Visibility.WORKSPACE and conversation.deleted_at is None
    )
    activity_record(
        workspace_id=conversation.workspace_id,
        user=user,
        user_id=user_id,
        activity_type=kind,
        agent_slug=agent_slug,
        conversation_id=conversation.pk,
        open_to_all=open_to_all if as_loaded else None,
        at_leisure=True,
        metadata=metadata,
    )
