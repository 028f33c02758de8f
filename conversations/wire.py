"""How conversations, messages, runs and tool calls look on the wire: one function each, for HTTP and socket alike."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from agents.catalogue import model_window
from nexus_core.usage import Cost, Usage
from workspaces.models import User

from .models import Approval, Conversation, Message, MessageFeedback, Run, Steering, Task, ToolCall, Upload

Wire = dict[str, Any]


def instant(value: datetime | None) -> str | None:
    """ISO 8601 in UTC with milliseconds: `2026-11-20T14:02:05.120Z`."""
    if value is None:
        return None
    return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def person_wire(user: User | None) -> Wire | None:
    return None if user is None else {"id": str(user.pk), "name": user.display_name}


def conversation_wire(conversation: Conversation, *, live: str | None = None) -> Wire:
    """What it is for everybody. `live` is the most pressing status of its runs now (running, waiting, queued) or None."""
    return {
        "id": str(conversation.pk),
        "title": conversation.title or "New conversation",
        "status": conversation.status,
        "visibility": conversation.visibility,
        "agentId": conversation.agent_slug,
        "model": conversation.model or None,
        "messageCount": conversation.message_count,
        "temporary": conversation.temporary,
        "live": live,
        "createdBy": str(conversation.created_by_id) if conversation.created_by_id else None,
        "createdAt": instant(conversation.created_at),
        "updatedAt": instant(conversation.updated_at),
        "lastActiveAt": instant(conversation.last_active_at),
        "deletedAt": instant(conversation.deleted_at),
    }


def author_wire(message: Message) -> Wire | None:
    """A person here (`id`, `name`), one whom an imported file names (`name` alone), or an agent (`agentId`)."""
    if message.author is not None:
        return person_wire(message.author)
    if message.author_name:
        return {"id": None, "name": message.author_name}
    return {"agentId": message.agent_slug} if message.agent_slug else None


def message_wire(message: Message) -> Wire:
    return {
        "id": str(message.pk),
        "conversationId": str(message.conversation_id),
        "parentId": str(message.parent_id) if message.parent_id else None,
        "number": message.number,
        "role": message.role,
        "kinds": message.kinds,
        "content": message.content,
        "parts": message.parts,
        "runId": str(message.run_id) if message.run_id else None,
        "author": author_wire(message),
        "agentId": message.agent_slug or None,
        "superseded": message.superseded,
        "continues": str(message.continues_id) if message.continues_id else None,
        "createdAt": instant(message.created_at),
    }


def feedback_wire(feedback: MessageFeedback) -> Wire:
    return {
        "rating": feedback.rating,
        "comment": feedback.comment,
        "updatedAt": instant(feedback.updated_at),
    }


def run_usage(run: Run) -> Usage:
    return Usage(
        input=run.tokens_input,
        output=run.tokens_output,
        cache_read=run.tokens_cache_read,
        cache_write_5m=run.tokens_cache_write,
        reasoning=run.tokens_reasoning,
        estimated=run.estimated,
    )


def run_wire(run: Run, *, attempts: Iterable[Wire] | None = None) -> Wire:
    duration = (
        int((run.finished_at - run.started_at).total_seconds() * 1000) - run.waited_ms
        if run.finished_at and run.started_at
        else None
    )
    out: Wire = {
        "id": str(run.pk),
        "runId": str(run.pk),
        "conversationId": str(run.conversation_id),
        "agentId": run.agent_slug,
        "status": run.status,
        "messageId": str(run.message_id),
        "answerId": str(run.answer_id),
        "requestedBy": str(run.requested_by_id) if run.requested_by_id else None,
        "resumedFrom": str(run.resumed_from_id) if run.resumed_from_id else None,
        "superseded": run.superseded,
        "cancelledBy": str(run.cancelled_by_id) if run.cancelled_by_id else None,
        "controlledBy": str(run.controlled_by_id) if run.controlled_by_id else None,
        "controlFence": run.control_fence,
        "epoch": run.epoch,
        "lastSeq": run.last_seq,
        "provider": run.provider or None,
        "model": run.model or None,
        "stopReason": run.stop_reason or None,
        "error": {"code": run.error_code, "message": run.error_message} if run.error_code else None,
        "tokenUsage": run_usage(run).to_wire(),
        "cost": Cost(run.cost_input, run.cost_output).to_wire(),
        "contextTokens": run.context_tokens,
        "contextWindow": model_window(run.provider, run.model) if run.context_tokens else None,
        "estimated": run.estimated,
        "confidence": run.confidence,
        "timeToFirstTokenMs": run.first_token_ms,
        "durationMs": duration,
        "createdAt": instant(run.created_at),
        "startedAt": instant(run.started_at),
        "finishedAt": instant(run.finished_at),
    }
    if attempts is not None:
        out["attempts"] = list(attempts)
    return out


def steering_wire(steering: Steering) -> Wire:
    """Words for a running agent that it has not heard yet."""
    return {
        "messageId": str(steering.pk),
        "runId": str(steering.run_id),
        "text": steering.text,
        "author": person_wire(steering.author),
        "createdAt": instant(steering.created_at),
    }


def tool_call_wire(call: ToolCall) -> Wire:
    return {
        "toolId": str(call.pk),
        "toolName": call.tool_name,
        "toolCallId": call.call_id,
        "runId": str(call.run_id),
        "conversationId": str(call.conversation_id),
        "messageId": str(call.message_id),
        "input": call.input,
        "status": call.status,
        "result": call.result,
        "error": call.error or None,
        "durationMs": call.duration_ms,
        "createdAt": instant(call.created_at),
        "completedAt": instant(call.completed_at),
        "approval": approval_wire(call.approval) if hasattr(call, "approval") else None,
    }


def approval_wire(approval: Approval) -> Wire:
    """A call that was put to people: who may decide, who said what, and what came of it."""
    votes = list(approval.votes.all())
    return {
        "toolId": str(approval.pk),
        "toolName": approval.tool_name,
        "runId": str(approval.run_id),
        "conversationId": str(approval.conversation_id),
        "agentId": approval.agent_slug,
        "kind": approval.kind,
        "status": approval.status,
        "role": approval.role,
        "quorum": approval.quorum,
        "votes": [
            {
                "user": person_wire(vote.user),
                "decision": vote.decision,
                "note": vote.note or None,
                "createdAt": instant(vote.created_at),
            }
            for vote in votes
        ],
        "createdAt": instant(approval.created_at),
        "expiresAt": instant(approval.expires_at),
        "decidedAt": instant(approval.decided_at),
        "decidedBy": person_wire(approval.decided_by),
        "note": approval.note or None,
        "answer": approval.answer or None,
    }


def upload_wire(upload: Upload) -> Wire:
    return {
        "id": str(upload.pk),
        "fileId": str(upload.pk),
        "name": upload.name,
        "mediaType": upload.media_type,
        "size": upload.size,
        "url": f"/api/files/{upload.pk}",
    }


def task_wire(task: Task) -> Wire:
    return {
        "id": str(task.pk),
        "title": task.title,
        "detail": task.detail,
        "done": task.done,
        "dueOn": task.due_on.isoformat() if task.due_on else None,
        "createdAt": instant(task.created_at),
    }
