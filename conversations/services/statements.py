"""The statements of a start and of an end, for which the ORM would need many queries.

Each locks what it changes in the order of the house (the conversation's row before any
run's) and says in its WHERE who may: a person's access, or an owner's epoch. Access
comes from the same querysets as everywhere else, compiled once.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

from django.db import connection
from django.db.models import Exists, OuterRef, QuerySet, Subquery

from agents.models import Agent
from agents.selectors import agents_visible
from workspaces.access import Actor
from workspaces.statements import Compiled, Table, as_id, clock, from_id

from ..access import access_conversation, writable
from ..engine.writer import Row
from ..models import Conversation, Message, Run, RunChunk

CONVERSATIONS = Table(Conversation)
MESSAGES = Table(Message)
RUNS = Table(Run)
CHUNKS = Table(RunChunk)


def _standing_in(user_id: UUID, workspace_id: UUID) -> Actor:
    """What the access querysets look at; asked for more, they fail at once and loudly."""
    return cast(Actor, SimpleNamespace(user_id=user_id, workspace_id=workspace_id))


# --- a conversation gets a message ---


def _writable(user_id: UUID, workspace_id: UUID, conversation_id: UUID) -> QuerySet[Any]:
    return writable(_standing_in(user_id, workspace_id)).filter(pk=conversation_id).values("pk")


_WRITABLE = Compiled(_writable, "user", "workspace", "conversation")


def conversation_count(conversation_id: UUID, *, writer: Actor | None = None) -> Conversation | None:
    """Locks the conversation and counts the message that the caller adds to it: its `message_count` is that
    message's number. None when it is not there. `writer` is the person who writes: refused with NotFound where
    they may not read it, with Forbidden where they may only read it."""
    if writer is None:
        where, params = "%s", [as_id(conversation_id)]
    else:
        where, params = _WRITABLE.sql(writer.user_id, writer.workspace_id, conversation_id)
    now, most = clock(), "MAX" if connection.vendor == "sqlite" else "GREATEST"
    # The count is read from the locked row; the messages, as of before a wait for the lock, only mend it.
    last = f"COALESCE((SELECT MAX(number) FROM {MESSAGES.name} WHERE conversation_id = {CONVERSATIONS.name}.id), 0)"  # noqa: S608
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {CONVERSATIONS.name} SET message_count = {most}(message_count, {last}) + 1, "  # noqa: S608
            f"last_active_at = {now}, updated_at = {now} WHERE id IN ({where}) RETURNING {CONVERSATIONS.columns}",
            params,
        )
        row = cursor.fetchone()
    if row is None and writer is not None:
        access_conversation(writer, conversation_id, write=True)
    return CONVERSATIONS.read(row) if row is not None else None


# --- the agent that is asked, and where the message hangs ---


def _agent(user_id: UUID, workspace_id: UUID, slug: str) -> QuerySet[Agent]:
    return agents_visible(_standing_in(user_id, workspace_id)).filter(slug=slug).order_by()


def _agent_there(user_id: UUID, workspace_id: UUID, slug: str, conversation_id: UUID) -> QuerySet[Agent]:
    unfinished = Run.objects.filter(
        conversation_id=conversation_id, agent_slug=OuterRef("slug"), status__in=Run.UNFINISHED
    )
    newest = Message.objects.filter(conversation_id=conversation_id, superseded=False).order_by("-number")
    return _agent(user_id, workspace_id, slug).annotate(
        busy=Exists(unfinished), newest=Subquery(newest.values("pk")[:1])
    )


_AGENT = Compiled(_agent, "user", "workspace", "slug:text")
_AGENT_THERE = Compiled(_agent_there, "user", "workspace", "slug:text", "conversation")


def agent_asked(actor: Actor, slug: str) -> Agent | None:
    """The agent of that id that this person may ask."""
    found = _AGENT.first(actor.user_id, actor.workspace_id, slug)
    return None if found is None else found[0]


def agent_asked_there(
    actor: Actor, slug: str, conversation_id: UUID
) -> tuple[Agent, bool, UUID | None] | None:
    """The agent, whether it has unfinished runs in that conversation, and the newest message of the shown branch.
    Only under the conversation's lock."""
    found = _AGENT_THERE.first(actor.user_id, actor.workspace_id, slug, conversation_id)
    if found is None:
        return None
    agent, (busy, newest) = found
    return agent, busy, newest


# --- a run ---


def chunks_insert(run_id: UUID, *rows: Row) -> None:
    CHUNKS.insert(*[RunChunk(run_id=run_id, seq=row.seq, type=row.type, wire=row.wire) for row in rows])


def run_end(run: Run, *, was: str, epoch: int) -> tuple[bool, UUID | None, int, UUID | None] | None:
    """Writes what `run` says of its end, if it still has that status and epoch: the row's lock is the fence.

    Gives `(superseded, cancelled_by_id, steerings, tail_id)`, which others may have written meanwhile; None: fenced.
    """
    told, params = RUNS.assign(**{name: getattr(run, name) for name in ENDED})
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {RUNS.name} SET {told} WHERE id = %s AND epoch = %s AND status = %s "  # noqa: S608
            "RETURNING superseded, cancelled_by_id, steerings, tail_id",
            [*params, as_id(run.pk), epoch, was],
        )
        row = cursor.fetchone()
    return None if row is None else (bool(row[0]), from_id(row[1]), row[2], from_id(row[3]))


ENDED = (
    "status", "last_seq", "finished_at", "started_at", "epoch", "provider", "model", "stop_reason",
    "error_code", "error_message", "tokens_input", "tokens_output", "tokens_cache_read",
    "tokens_cache_write", "tokens_reasoning", "cost_input", "cost_output", "estimated", "confidence",
    "first_token_ms", "context_tokens", "owner", "heartbeat_at",
)  # fmt: skip


def _waiting(conversation_id: UUID, agent_slug: str) -> QuerySet[Run]:
    return Run.objects.filter(
        conversation_id=conversation_id, agent_slug=agent_slug, status=Run.Status.QUEUED
    ).order_by("created_at")[:1]


_WAITING = Compiled(_waiting, "conversation", "slug:text")


def run_waiting(conversation_id: UUID, agent_slug: str) -> UUID | None:
    """The run of that agent whose turn comes next in that conversation."""
    found = _WAITING.first(conversation_id, agent_slug)
    return None if found is None else found[0].pk
