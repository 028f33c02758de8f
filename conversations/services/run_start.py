"""Starting a run: one transaction from the request to the message and the run row.

After the commit the engine is told and the watchers see the message. The same
`client_id` again gives the same run, also when it is sent several times at once.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID, uuid4

from django.db import IntegrityError, transaction
from django.db.models import Max
from django.db.models.functions import Now
from django.utils import timezone

from agents.models import Agent
from agents.services import access_agent
from nexus_core.errors import NexusError
from workspaces.access import Actor
from workspaces.failpoints import failpoint

from ..access import access_conversation, access_message, require_write
from ..engine import port
from ..events import announce_message, announce_new_conversation, announce_queued, record_asked
from ..models import Conversation, Message, Run
from . import handover
from .input import BadInput, message_parts
from .run_cancel import cancel_in_transaction
from .titles import title_from

Policy = Literal["reject", "enqueue", "interrupt", "rollback"]
POLICIES: tuple[Policy, ...] = ("reject", "enqueue", "interrupt", "rollback")
UNSET: Any = object()


class RunInProgress(NexusError):
    code = "run_in_progress"
    http_status = 409


class IdempotencyConflict(NexusError):
    code = "idempotency_conflict"
    http_status = 409


@dataclass(frozen=True, slots=True)
class Started:
    """`created` is False when the client id was seen before: then it is the earlier run."""

    run: Run
    conversation: Conversation
    message: Message
    created: bool


def run_start(
    *,
    actor: Actor,
    agent_id: str,
    input_: str | list[Any] = "",
    conversation_id: UUID | str | None = None,
    client_id: str = "",
    policy: str = "reject",
    model: str = "",
    parent_message_id: UUID | str | None = UNSET,
    regenerate_message_id: UUID | str | None = None,
    visibility: str = "",
    new_conversation_id: UUID | None = None,
) -> Started:
    """Stores the message and its run, and hands the run to the engine after commit.

    Args:
        agent_id: the agent's slug; empty takes the conversation's own.
        parent_message_id: for an edit: the parent of the edited message (None: the first message).
            Left out: the newest message of the shown branch.
        regenerate_message_id: an answer; a new one is made for the same question.
        new_conversation_id: the id a new conversation gets, for who wants to watch it before it begins.
    Raises: NotFound, Forbidden, AgentNotFound, BadInput, RunInProgress, IdempotencyConflict.
    """
    require_write(actor)
    if policy not in POLICIES:
        raise BadInput(f"policy is one of {', '.join(POLICIES)}, not {policy!r}.")
    if len(client_id) > 128:
        raise BadInput("clientId has more than 128 characters.")
    body = fingerprint(
        agent_id, input_, conversation_id, policy, model, parent_message_id, regenerate_message_id
    )
    try:
        with transaction.atomic():
            return _start(
                actor=actor,
                agent_id=agent_id,
                input_=input_,
                conversation_id=conversation_id,
                client_id=client_id,
                body=body,
                policy=policy,
                model=model,
                parent_message_id=parent_message_id,
                regenerate_message_id=regenerate_message_id,
                visibility=visibility,
                new_conversation_id=new_conversation_id,
            )
    except (IntegrityError, NexusError):
        # Seen before? A client id is unique, so that the first sending pays no look-up for it.
        if client_id and (earlier := earlier_start(actor, client_id, body)):
            return earlier
        raise


def _start(
    *,
    actor: Actor,
    agent_id: str,
    input_: str | list[Any],
    conversation_id: UUID | str | None,
    client_id: str,
    body: str,
    policy: str,
    model: str,
    parent_message_id: UUID | str | None,
    regenerate_message_id: UUID | str | None,
    visibility: str,
    new_conversation_id: UUID | None,
) -> Started:
    new = conversation_id is None and regenerate_message_id is None
    now = timezone.now()
    run_id = uuid4()
    if new:
        agent = access_agent(actor, agent_id)
        conversation = Conversation(
            id=new_conversation_id or uuid4(),
            workspace_id=actor.workspace_id,
            created_by_id=actor.user_id,
            agent_slug=agent.slug,
            visibility=_visibility(visibility),
            message_count=1,
            created_at=now,
            updated_at=now,
            last_active_at=now,
        )
    else:
        if regenerate_message_id is not None:
            answer = access_message(actor, regenerate_message_id, write=True)
            conversation_id = conversation_id or answer.conversation_id
        conversation = access_conversation(actor, conversation_id or "", write=True)
        # Row lock: two starts in one conversation get their numbers and their policy one after the other.
        conversation = Conversation.objects.select_for_update(no_key=True).get(pk=conversation.pk)
        agent = access_agent(actor, agent_id or conversation.agent_slug)

    if new:
        parts, text, files = message_parts(actor, input_)
        conversation.title = title_from(text, files)
        conversation.save(force_insert=True)
        parent: Message | None = None
        live: list[Run] = []
    else:
        live = list(
            Run.objects.select_for_update(no_key=True)
            .filter(conversation=conversation, agent_slug=agent.slug, status__in=Run.UNFINISHED)
            .order_by("created_at")
        )
        _apply_policy(actor, agent, live, policy)
        parts, text, files = (
            ([], "", []) if regenerate_message_id is not None else message_parts(actor, input_)
        )
        parent = _parent(actor, conversation, parent_message_id, live, policy)

    if regenerate_message_id is not None:
        message = _question_of(conversation, answer)
    else:
        message = Message(
            conversation=conversation,
            parent=parent,
            number=1 if new else next_number(conversation),
            role=Message.Role.USER,
            content=text,
            parts=parts,
            author=actor.user,
            run_id=run_id,
            clears_history=text.strip() == "/clear",
            created_at=now,
        )
        message.save(force_insert=True)
        if not new:
            _count_message(conversation, message)
        for upload in files:
            upload.conversation = conversation
            upload.save(update_fields=["conversation"])
    run = Run(
        id=run_id,
        workspace=actor.workspace,
        conversation=conversation,
        agent=agent,
        agent_slug=agent.slug,
        message=message,
        requested_by=actor.user,
        token_id=actor.token_id,
        client_id=client_id,
        body_hash=body,
        policy=policy,
        model_override=model or conversation.model,
        created_at=now,
    )
    run.save(force_insert=True)
    waits = bool(live)

    def after_commit() -> None:
        failpoint("after_start_commit")
        if new:
            announce_new_conversation(conversation)
        announce_message(conversation, message)
        if waits:
            announce_queued(conversation, run)
        else:
            if port.executes_here():
                handover.keep(handover.Handover(run, actor))
            port.enqueue(run.pk)
        record_asked(run)

    transaction.on_commit(after_commit)
    failpoint("before_start_commit")
    return Started(run, conversation, message, True)


def _visibility(value: str) -> str:
    if value and value not in Conversation.Visibility.values:
        raise BadInput(f"visibility is one of {', '.join(Conversation.Visibility.values)}, not {value!r}.")
    return value or Conversation.Visibility.WORKSPACE


def _apply_policy(actor: Actor, agent: Agent, live: list[Run], policy: str) -> None:
    if not live or policy == "enqueue":
        return
    if policy == "reject":
        raise RunInProgress(
            f"{agent.name} is still answering here. Wait, stop it, or send with policy enqueue, interrupt or rollback."
        )
    for run in live:
        if policy == "rollback":
            run.superseded = True
            run.save(update_fields=["superseded"])
            Message.objects.filter(pk=run.message_id).update(superseded=True)
        cancel_in_transaction(run, by=actor.user_id)


def _parent(
    actor: Actor, conversation: Conversation, parent_id: UUID | str | None, live: list[Run], policy: str
) -> Message | None:
    if parent_id is None:
        return None
    if parent_id is not UNSET:
        parent = access_message(actor, parent_id)
        if parent.conversation_id != conversation.pk:
            raise BadInput("parentMessageId is a message of another conversation.")
        return parent
    messages = Message.objects.filter(conversation=conversation, superseded=False)
    if live and policy == "rollback":
        messages = messages.exclude(pk__in=[run.message_id for run in live])
    return messages.order_by("-number").first()


def _question_of(conversation: Conversation, answer: Message) -> Message:
    """The user's message that this answer (or the answer's branch) replies to."""
    if answer.conversation_id != conversation.pk:
        raise BadInput("regenerateMessageId is a message of another conversation.")
    question = answer if answer.role == Message.Role.USER else answer.parent
    if question is None or question.role != Message.Role.USER:
        raise BadInput("regenerateMessageId must be an answer to a person's message.")
    return question


def _count_message(conversation: Conversation, message: Message) -> None:
    Conversation.objects.filter(pk=conversation.pk).update(
        message_count=message.number, last_active_at=Now(), updated_at=Now()
    )
    conversation.message_count = message.number


def next_number(conversation: Conversation) -> int:
    """The next message's number; only under the conversation's row lock."""
    last = Message.objects.filter(conversation=conversation).aggregate(last=Max("number"))["last"]
    return (last or 0) + 1


def fingerprint(*body: Any) -> str:
    plain = [None if part is UNSET else part for part in body]
    return hashlib.sha256(json.dumps(plain, default=str, sort_keys=True).encode()).hexdigest()


def earlier_start(actor: Actor, client_id: str, body: str) -> Started | None:
    run = (
        Run.objects.select_related("conversation", "message__author")
        .filter(workspace_id=actor.workspace_id, requested_by_id=actor.user_id, client_id=client_id)
        .first()
    )
    if run is None:
        return None
    if run.body_hash != body:
        raise IdempotencyConflict(
            "This clientId was used for another message. Use a new one for each message."
        )
    return Started(run, run.conversation, run.message, False)
