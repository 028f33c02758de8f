"""Starting a run: one transaction from the request to the message and the run row.

After the commit the engine is told and the watchers see the message. The same
`client_id` again gives the same run, also when it is sent several times at once.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any, Literal, get_args
from uuid import UUID, uuid4

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from agents.models import Agent
from agents.services import access_agent
from nexus_core.errors import NexusError
from realtime.frames import Frame
from workspaces.access import Actor, NotFound
from workspaces.failpoints import failpoint

from ..access import access_conversation, access_message, as_uuid, readable, require_write
from ..activities import record_asked, record_files_saved
from ..engine import port
from ..engine.recorder import encode
from ..engine.writer import Row, frame_of
from ..events import announce_asked
from ..models import Conversation, Message, Run, Upload
from ..tracing import carry
from . import handover
from .input import BadInput, message_parts
from .run_cancel import cancel_in_transaction
from .run_finish import started_chunk
from .statements import (
    CONVERSATIONS,
    MESSAGES,
    RUNS,
    agent_asked,
    agent_asked_there,
    chunks_insert,
    conversation_count,
)
from .titles import TEMPORARY_TITLE, title_from

Policy = Literal["reject", "enqueue", "interrupt", "rollback"]
POLICIES: tuple[Policy, ...] = get_args(Policy)
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
    temporary: bool = False,
    new_conversation_id: UUID | None = None,
) -> Started:
    """Stores the message and its run, and hands the run to the engine after commit.

    Args:
        agent_id: the agent's slug; empty takes the conversation's own.
        parent_message_id: for an edit: the parent of the edited message (None: the first message).
            Left out: the newest message of the shown branch.
        regenerate_message_id: an answer; a new one is made for the same question.
        temporary: a new conversation is its creator's alone, in no list, and removed after a day.
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
    run_id = uuid4()
    try:
        with transaction.atomic():
            return _start(
                run_id=run_id,
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
                temporary=temporary,
                new_conversation_id=new_conversation_id,
            )
    except BaseException as fault:
        handover.take(run_id)
        if not isinstance(fault, (IntegrityError, NexusError)):
            raise
        # Seen before? A client id is unique, so that the first sending pays no look-up for it.
        if client_id and (earlier := earlier_start(actor, client_id, body)):
            return earlier
        raise


def _start(
    *,
    run_id: UUID,
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
    temporary: bool,
    new_conversation_id: UUID | None,
) -> Started:
    new = conversation_id is None and regenerate_message_id is None
    # What nearly every message is, the next one of its conversation, costs the fewest statements.
    plain = regenerate_message_id is None and parent_message_id is UNSET
    now = timezone.now()
    live: list[Run] = []
    parent_id: UUID | None = None
    if new:
        agent = agent_asked(actor, agent_id) or access_agent(actor, agent_id)
        parts, text, files = message_parts(actor, input_)
        conversation = Conversation(
            id=new_conversation_id or uuid4(),
            workspace_id=actor.workspace_id,
            created_by_id=actor.user_id,
            agent_slug=agent.slug,
            visibility=Conversation.Visibility.PRIVATE if temporary else _visibility(visibility),
            temporary=temporary,
            title=TEMPORARY_TITLE if temporary else title_from(text, files),
            message_count=1,
            created_at=now,
            updated_at=now,
            last_active_at=now,
        )
        CONVERSATIONS.insert(conversation)
    elif plain:
        # The UPDATE's row lock: two starts in one conversation get their numbers and their policy one after the other.
        conversation = found_or_refused(conversation_count(as_uuid(conversation_id or ""), writer=actor))
        slug = agent_id or conversation.agent_slug
        there = agent_asked_there(actor, slug, conversation.pk)
        if there is None:
            access_agent(actor, slug)  # refuses, and says which agents there are
            raise NotFound()
        agent, busy, parent_id = there
        if busy:
            live = _unfinished_locked(conversation, agent)
            _apply_policy(actor, agent, live, policy)
            if policy == "rollback":
                parent_id = _parent_id(actor, conversation, UNSET, live, policy)
        parts, text, files = message_parts(actor, input_)
    else:
        if regenerate_message_id is not None:
            answer = access_message(actor, regenerate_message_id, write=True)
            conversation_id = conversation_id or answer.conversation_id
        conversation = access_conversation(actor, conversation_id or "", write=True)
        conversation = Conversation.objects.select_for_update(no_key=True).get(pk=conversation.pk)
        agent = access_agent(actor, agent_id or conversation.agent_slug)
        live = _unfinished_locked(conversation, agent)
        _apply_policy(actor, agent, live, policy)
        if regenerate_message_id is None:
            parts, text, files = message_parts(actor, input_)
            parent_id = _parent_id(actor, conversation, parent_message_id, live, policy)
            conversation = found_or_refused(conversation_count(conversation.pk))

    if regenerate_message_id is not None:
        message = _question_of(conversation, answer)
    else:
        message = Message(
            conversation=conversation,
            parent_id=parent_id,
            number=conversation.message_count,
            role=Message.Role.USER,
            content=text,
            parts=parts,
            author=actor.user,
            run_id=run_id,
            clears_history=text.strip() == "/clear",
            created_at=now,
        )
        MESSAGES.insert(message)
        for upload in files:
            if not Upload.objects.filter(pk=upload.pk).update(conversation=conversation):
                raise NotFound()  # its owner removed it at this moment
        record_files_saved(conversation, actor.user, len(files))
    waits = bool(live)
    # Where runs are executed right here, and nothing stands before it, its owner is known: the claim is part
    # of the start.
    owner = "" if waits else port.owner_here()
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
        status=Run.Status.RUNNING if owner else Run.Status.QUEUED,
        epoch=1 if owner else 0,
        owner=owner,
        started_at=now if owner else None,
        heartbeat_at=Now() if owner else None,
        last_seq=1 if owner else 0,
    )
    RUNS.insert(run)
    run.heartbeat_at = None  # the database's clock has it
    record_asked(run, conversation)

    first, given = None, None
    if owner:
        carry(run.pk)
        first, given = _taken(run, actor)
    else:
        transaction.on_commit(lambda: carry(run.pk))

    def after_commit() -> None:
        failpoint("after_start_commit")
        announce_asked(conversation, message, run, new=new, started=first)
        if given is not None:
            port.begin(given)
        elif not waits:
            port.enqueue(run.pk)

    transaction.on_commit(after_commit)
    failpoint("before_start_commit")
    return Started(run, conversation, message, True)


def _taken(run: Run, actor: Actor) -> tuple[Frame, handover.Handover]:
    """The run is this process's from its first moment: its runner finds its first chunk written, its agent made and its
    first request reserved."""
    started = started_chunk(run)
    row = Row(1, started.type, encode(started))
    chunks_insert(run.pk, row)
    given = handover.Handover(run, actor, started)
    handover.keep(given)
    port.prepare(given)
    return frame_of(str(run.pk), str(run.conversation_id), row), given


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
            said = Q(run_id=run.pk, role=Message.Role.USER)  # what people steered it with goes too
            Message.objects.filter(Q(pk=run.message_id) | said).update(superseded=True)
        cancel_in_transaction(run, by=actor.user_id)


def _parent_id(
    actor: Actor, conversation: Conversation, parent_id: UUID | str | None, live: list[Run], policy: str
) -> UUID | None:
    if parent_id is None:
        return None
    if parent_id is not UNSET:
        parent = access_message(actor, parent_id)
        if parent.conversation_id != conversation.pk:
            raise BadInput("parentMessageId is a message of another conversation.")
        return parent.pk
    messages = Message.objects.filter(conversation=conversation, superseded=False)
    if live and policy == "rollback":
        messages = messages.exclude(pk__in=[run.message_id for run in live])
    return messages.order_by("-number").values_list("pk", flat=True).first()


def _question_of(conversation: Conversation, answer: Message) -> Message:
    """The user's message that this answer (or the answer's branch) replies to."""
    if answer.conversation_id != conversation.pk:
        raise BadInput("regenerateMessageId is a message of another conversation.")
    question = answer if answer.role == Message.Role.USER else answer.parent
    if question is None or question.role != Message.Role.USER:
        raise BadInput("regenerateMessageId must be an answer to a person's message.")
    return question


def _unfinished_locked(conversation: Conversation, agent: Agent) -> list[Run]:
    """The runs that a new one of this agent meets there, oldest first; under the conversation's lock."""
    return list(
        Run.objects.select_for_update(no_key=True)
        .filter(conversation=conversation, agent_slug=agent.slug, status__in=Run.UNFINISHED)
        .order_by("created_at")
    )


def found_or_refused(conversation: Conversation | None) -> Conversation:
    if conversation is None:
        raise NotFound()
    return conversation


def fingerprint(*body: Any) -> str:
    plain = [None if part is UNSET else part for part in body]
    return hashlib.sha256(json.dumps(plain, default=str, sort_keys=True).encode()).hexdigest()


def earlier_start(actor: Actor, client_id: str, body: str) -> Started | None:
    run = (
        Run.objects.select_related("conversation", "message__author")
        .filter(workspace_id=actor.workspace_id, requested_by_id=actor.user_id, client_id=client_id)
        .first()
    )
    if run is None or not readable(actor).filter(pk=run.conversation_id).exists():
        return None  # also one that was closed to this person since
    if run.body_hash != body:
        raise IdempotencyConflict(
            "This clientId was used for another message. Use a new one for each message."
        )
    return Started(run, run.conversation, run.message, False)
