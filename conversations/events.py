"""What the world is told, after commit. The only place of this app that publishes frames; the feed: `activities`.

Chunk frames are published by the log writer and by `run_finish`; everything else here.
To the whole workspace go only ids, names and numbers, never text of a conversation.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db import transaction

from realtime.bulletin import publish_soon
from realtime.frames import Frame, make_frame
from realtime.presence import waiting_changed
from realtime.publish import publish
from realtime.rooms import conversation_room, member_room, workspace_room
from workspaces.models import User

from .drafts import Splice, draft_closed_wire, draft_wire
from .models import Approval, Conversation, Draft, Message, MessageFeedback, Run, Steering, ToolCall
from .wire import (
    approval_wire,
    conversation_wire,
    feedback_wire,
    message_wire,
    person_wire,
    run_wire,
    steering_wire,
    tool_call_wire,
)

LONG = 4096
"""Characters from which a message is not told twice in one frame."""


def _list_rooms(conversation: Conversation) -> list[str]:
    """Who keeps this conversation in a list: the workspace, or those it is open to."""
    if conversation.visibility == Conversation.Visibility.WORKSPACE:
        return [workspace_room(conversation.workspace_id)]
    people = {conversation.created_by_id}
    if conversation.visibility == Conversation.Visibility.SHARED:
        people |= set(conversation.shares.values_list("user_id", flat=True))
    # Only where they are in this workspace: a token of another one, or who has left, learns no title.
    return [member_room(conversation.workspace_id, person) for person in people if person is not None]


def announce_conversation(conversation: Conversation, *, live: str | None = None) -> None:
    """`conversation.updated`, to everyone in whose list it stands."""
    wire = conversation_wire(conversation, live=live)
    for room in _list_rooms(conversation):
        publish_soon(
            room,
            f"conversation:{conversation.pk}",
            lambda: make_frame("conversation.updated", conversation=wire),
        )


def announce_read(workspace_id: UUID, user_id: UUID, mark: dict[str, Any]) -> None:
    """`conversation.read`, to all tabs and devices of the person whose mark it is."""
    publish(member_room(workspace_id, user_id), make_frame("conversation.read", **mark))


def message_frame(message: Message) -> Frame:
    """A long message that is nothing but text says it once: without `parts`, which would be the same again."""
    wire = message_wire(message)
    if len(message.content) > LONG and wire["parts"] == [{"type": "text", "text": message.content}]:
        del wire["parts"]
    return make_frame("message.created", conversationId=str(message.conversation_id), message=wire)


def announce_feedback(
    workspace_id: UUID, user_id: UUID, message: Message, feedback: MessageFeedback | None
) -> None:
    """To this person's other tabs and devices; what one thinks of an answer is nobody else's."""
    publish(
        member_room(workspace_id, user_id),
        make_frame(
            "message.feedback",
            conversationId=str(message.conversation_id),
            messageId=str(message.pk),
            feedback=feedback_wire(feedback) if feedback is not None else None,
        ),
    )


def ring_watchers(conversation: Conversation) -> None:
    """Who may read it changed: every process asks at once which of its watchers still may."""
    publish(conversation_room(conversation.pk), make_frame("control.recheck"))


def announce_asked(
    conversation: Conversation, message: Message, run: Run, *, new: bool, started: Frame | None = None
) -> None:
    """The question, and what becomes of it: begun already (then with its first chunk), or it waits (for a worker,
    or for its turn)."""
    frames = [message_frame(message)]
    if run.status == Run.Status.RUNNING:
        frames.append(make_frame("run.started", **_run_payload(run)))
    elif run.status == Run.Status.QUEUED and not new:
        frames.append(make_frame("run.queued", **_run_payload(run)))
    if started is not None:
        frames.append(started)
    publish(conversation_room(conversation.pk), *frames)
    if new or run.status == Run.Status.RUNNING:
        announce_conversation(conversation, live=run.status)


def announce_queued(conversation: Conversation, run: Run) -> None:
    publish(conversation_room(conversation.pk), make_frame("run.queued", **_run_payload(run)))


def announce_started(conversation: Conversation, run: Run) -> None:
    publish(conversation_room(conversation.pk), make_frame("run.started", **_run_payload(run)))
    announce_conversation(conversation, live="running")


def announce_finished(conversation: Conversation, run: Run, answer: Message, terminal: Frame) -> None:
    """The terminal chunk, the answer as a message, the end of the run; a little later the new numbers."""
    wire = run_wire(run)
    publish(
        conversation_room(conversation.pk),
        terminal,
        message_frame(answer),
        make_frame(
            "run.finished",
            runId=wire["runId"],
            conversationId=wire["conversationId"],
            status=run.status,
            tokenUsage=wire["tokenUsage"],
            cost=wire["cost"],
            run=wire,
        ),
    )
    announce_conversation(conversation)
    if run.requested_by_id is not None:
        publish(member_room(run.workspace_id, run.requested_by_id), ended_frame(run, wire["durationMs"]))
    used = {
        "runId": wire["runId"],
        "agentId": run.agent_slug,
        "userId": wire["requestedBy"],
        "tokenUsage": wire["tokenUsage"],
        "cost": wire["cost"],
    }
    publish_soon(
        workspace_room(run.workspace_id), f"usage:{run.pk}", lambda: make_frame("usage.updated", **used)
    )


def announce_waiting(conversation: Conversation, run: Run) -> None:
    """The run was put aside until people decide."""
    publish(conversation_room(conversation.pk), make_frame("run.waiting", **_run_payload(run)))
    announce_conversation(conversation, live="waiting")
    waiting_changed(run.workspace_id)


def announce_waited(run: Run) -> None:
    """The run waits no more: it goes on, or was stopped."""
    waiting_changed(run.workspace_id)


def announce_approval(conversation: Conversation, approval: Approval) -> None:
    """All of it to those who watch the conversation; to everyone in whose list it stands that there is (or was)
    something to decide, without a word of it."""
    approval = Approval.objects.select_related("decided_by").get(pk=approval.pk)
    wire = approval_wire(approval)
    publish(conversation_room(conversation.pk), make_frame("approval.updated", approval=wire))
    told = ("toolId", "toolName", "runId", "conversationId", "agentId", "kind", "status", "role", "expiresAt")
    by = approval.decided_by_id
    notice = make_frame(
        "approval.notice", **{name: wire[name] for name in told}, decidedBy=str(by) if by else None
    )
    for room in _list_rooms(conversation):
        publish(room, notice)


def announce_settled(call: ToolCall) -> None:
    """A call of unknown outcome was settled by a person; the run's log stays as it is."""
    publish(
        conversation_room(call.conversation_id),
        make_frame("tool_call.settled", conversationId=str(call.conversation_id), call=tool_call_wire(call)),
    )


def announce_message_later(message: Message) -> None:
    """`message.created`, after the commit."""
    transaction.on_commit(lambda: publish(conversation_room(message.conversation_id), message_frame(message)))


def announce_steering(steering: Steering, conversation_id: UUID) -> None:
    """Somebody said something to a running agent; `message.created` follows when it was heard."""
    wire = steering_wire(Steering.objects.select_related("author").get(pk=steering.pk))
    publish(
        conversation_room(conversation_id),
        make_frame("run.steering", conversationId=str(conversation_id), **wire),
    )


def queue_follow_up(conversation: Conversation, run: Run) -> None:
    """Words that nobody heard in time became a question of their own."""
    transaction.on_commit(lambda: announce_queued(conversation, run))


def announce_draft_opened(draft: Draft) -> None:
    """Somebody began a draft that all may write; to those who watch the conversation, as all that becomes of it."""
    publish(
        conversation_room(draft.conversation_id),
        make_frame("draft.opened", conversationId=str(draft.conversation_id), draft=draft_wire(draft)),
    )


def announce_draft_changed(draft: Draft, version: int, splice: Splice, user_id: UUID, client_id: str) -> None:
    publish(
        conversation_room(draft.conversation_id),
        make_frame(
            "draft.changed",
            conversationId=str(draft.conversation_id),
            draftId=str(draft.pk),
            version=version,
            at=splice.at,
            removed=splice.removed,
            inserted=splice.inserted,
            userId=str(user_id),
            clientId=client_id,
        ),
    )


def announce_draft_closed(draft: Draft, by: User, sent: bool) -> None:
    publish(
        conversation_room(draft.conversation_id),
        make_frame("draft.closed", **draft_closed_wire(draft, by, sent=sent)),
    )


def announce_control(run: Run, user: User) -> None:
    publish(
        conversation_room(run.conversation_id),
        make_frame(
            "run.control",
            runId=str(run.pk),
            conversationId=str(run.conversation_id),
            controlledBy=person_wire(user),
            controlFence=run.control_fence,
        ),
    )


def announce_control_wanted(run: Run, user: User) -> None:
    publish(
        conversation_room(run.conversation_id),
        make_frame(
            "run.control_wanted",
            runId=str(run.pk),
            conversationId=str(run.conversation_id),
            by=person_wire(user),
            controlFence=run.control_fence,
        ),
    )


def ended_frame(run: Run, duration_ms: int | None) -> Frame:
    """`run.ended`, to the person who asked, wherever they are in the workspace: ids and numbers, no words."""
    return make_frame(
        "run.ended",
        runId=str(run.pk),
        conversationId=str(run.conversation_id),
        workspaceId=str(run.workspace_id),
        agentId=run.agent_slug,
        status=run.status,
        durationMs=duration_ms,
    )


def _run_payload(run: Run) -> dict[str, object]:
    wire = run_wire(run)
    return {
        "runId": wire["runId"],
        "conversationId": wire["conversationId"],
        "agentId": run.agent_slug,
        "messageId": wire["messageId"],
        "answerId": wire["answerId"],
        "status": run.status,
        "run": wire,
    }
