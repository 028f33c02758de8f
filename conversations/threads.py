"""Reads of one conversation as its readers see it: the newest part first, earlier parts when they are asked for.

Pages, the `subscribed` frame and `GET /api/conversations/{id}/thread` read the same parts, so that
each can go on from any other. Their size is bounded, however long the conversation is.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db.models import F, Sum
from django.utils import timezone

from nexus_core.errors import NexusError
from nexus_core.usage import pico_to_usd
from workspaces.access import Actor

from .access import access_conversation, as_uuid, readable
from .approvals import approvals_of_runs, steerings_of
from .branches import Node, Window, shown_line, window
from .drafts import draft_of
from .models import Conversation, Message, MessageFeedback, Run
from .selectors import (
    annotated,
    conversation_annotated_wire,
    members_of,
    messages_of,
    runs_of_messages,
    unfinished_runs,
)
from .sharing import rights_wire
from .wire import feedback_wire, instant, message_wire, run_wire

THREAD_LENGTH = 60
LONGEST_THREAD = 200
FREE_PROVIDERS = ("local", "scripted", "ollama")

Wire = dict[str, Any]


class NotInThread(NexusError):
    """The message that a part of a thread was asked from is not in this conversation."""

    code = "not_found"
    http_status = 404

    def __init__(self) -> None:
        super().__init__("There is no such message in this conversation.")


def snapshot(actor: Actor, conversation_id: UUID | str, *, before: UUID | str | None = None) -> Wire:
    """What a watcher starts from: the `subscribed` frame's conversation, and the newest part of its messages.

    `runs` has the unfinished runs and those of the answers, so that tokens and cost stand beside each.
    `earlier` is `{before, count}` where there is more above, else null. Raises NotFound.
    """
    conversation = access_conversation(actor, conversation_id)
    row = annotated(actor).select_related("draft__opened_by").get(pk=conversation.pk)
    return {
        "conversation": conversation_annotated_wire(row)
        | {"forkedFrom": origin_of(actor, conversation)}
        | rights_wire(actor, conversation),
        **thread_part(actor, conversation, before=before),
        "totals": totals_of(conversation.pk),
        "members": members_of(actor, conversation),
        "draft": draft_of(row),
    }


def thread_part(
    actor: Actor,
    conversation: Conversation,
    *,
    before: UUID | str | None = None,
    through: UUID | str | None = None,
    limit: int = THREAD_LENGTH,
) -> Wire:
    """`{messages, runs, line, earlier, unloaded}`: the newest part of the shown branch, or what stands before a message.

    `through` takes the branch in which that message is. `messages` has the other versions at the
    forks too, `line` the ids of what is shown in reading order. Raises NotInThread.
    """
    nodes = nodes_of(conversation.pk)
    seen = window_of(nodes, before=before, through=through, limit=limit)
    messages = list(messages_of(conversation.pk).filter(pk__in=seen.ids))
    runs = runs_of_messages(messages)
    if before is None:
        for run in unfinished_runs(conversation.pk):
            runs[run.pk] = run
    return {
        "messages": messages_wire(actor, messages),
        "runs": [run_wire(run) for run in sorted(runs.values(), key=lambda run: run.created_at)],
        "approvals": approvals_of_runs(runs),
        "steerings": steerings_of(run for run in runs.values() if run.status in Run.UNFINISHED),
        "line": [str(message_id) for message_id in seen.line],
        "earlier": {"before": str(seen.before), "count": seen.earlier_count} if seen.before else None,
        "unloaded": [str(message_id) for message_id in seen.unloaded],
    }


def nodes_of(conversation_id: UUID) -> list[Node]:
    """The places of all its messages, without their text; one query."""
    rows = Message.objects.filter(conversation_id=conversation_id).order_by("number")
    return [Node(*row) for row in rows.values_list("pk", "parent_id", "number", "role", "superseded")]


def window_of(
    nodes: list[Node],
    *,
    before: UUID | str | None = None,
    through: UUID | str | None = None,
    limit: int = THREAD_LENGTH,
) -> Window:
    first = as_uuid(before) if before else None
    by = as_uuid(through) if through else first
    if not {one for one in (first, by) if one is not None} <= {node.id for node in nodes}:
        raise NotInThread()
    return window(shown_line(nodes, through=by), limit=limit, before=first)


def messages_wire(actor: Actor, messages: Iterable[Message]) -> list[Wire]:
    """The messages, each answer with what this person thinks of it; one query more."""
    messages = list(messages)
    answers = [message.pk for message in messages if message.role == Message.Role.ASSISTANT]
    marks = MessageFeedback.objects.filter(user_id=actor.user_id, message_id__in=answers)
    mine = {mark.message_id: feedback_wire(mark) for mark in marks}
    return [message_wire(message) | {"feedback": mine.get(message.pk)} for message in messages]


def totals_of(conversation_id: UUID) -> Wire:
    """What its ended runs took together, at this moment: `{tokens, cost, free, at}`; cost null where nothing is priced."""
    ended = Run.objects.filter(conversation_id=conversation_id, superseded=False).exclude(
        status__in=Run.UNFINISHED
    )
    rows = ended.values("provider").annotate(
        tokens=Sum(
            F("tokens_input")
            + F("tokens_output")
            + F("tokens_cache_read")
            + F("tokens_cache_write")
            + F("tokens_reasoning")
        ),
        cost=Sum(F("cost_input") + F("cost_output")),
    )
    used = [row for row in rows if row["tokens"]]
    costs = [Decimal(row["cost"]) for row in used if row["cost"] is not None]
    return {
        "tokens": sum(int(row["tokens"]) for row in used),
        "cost": pico_to_usd(int(sum(costs))) if costs else None,
        "free": all(row["provider"] in FREE_PROVIDERS for row in used),
        "at": instant(timezone.now()),
    }


def origin_of(actor: Actor, conversation: Conversation) -> Wire | None:
    """The conversation that this one was forked from, if this person may read it: `{id, title}`."""
    if conversation.forked_from_id is None:
        return None
    found = readable(actor).filter(pk=conversation.forked_from_id).first()
    return {"id": str(found.pk), "title": str(found)} if found is not None else None
