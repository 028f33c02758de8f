"""Reads: lists and pages of conversations, messages and runs, each in few queries."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.db.models import Case, Count, Exists, IntegerField, OuterRef, Q, QuerySet, Subquery, Value, When

from workspaces.access import Actor

from .access import access_conversation, readable
from .models import Conversation, ConversationMark, Message, Run
from .wire import conversation_wire, message_wire, run_wire


def conversations_of(
    actor: Actor, *, status: str = "", agent: str = "", search: str = ""
) -> QuerySet[Conversation]:
    """What this person may read, newest activity first, annotated with `pinned` and `live` (a status or "")."""
    mine = ConversationMark.objects.filter(conversation=OuterRef("pk"), user_id=actor.user_id)
    pressing = (
        Run.objects.filter(conversation=OuterRef("pk"), status__in=Run.UNFINISHED)
        .annotate(
            rank=Case(
                When(status="waiting", then=Value(0)),
                When(status="running", then=Value(1)),
                default=Value(2),
                output_field=IntegerField(),
            )
        )
        .order_by("rank")
    )
    last = Run.objects.filter(conversation=OuterRef("pk")).order_by("-created_at")
    query = (
        readable(actor)
        .annotate(
            pinned=Exists(mine.filter(pinned=True)),
            live=Subquery(pressing.values("status")[:1]),
            last_status=Subquery(last.values("status")[:1]),
        )
        .order_by("-last_active_at", "-id")
    )
    if status:
        query = query.filter(status=status)
    if agent:
        query = query.filter(agent_slug=agent)
    if search:
        query = query.filter(title__icontains=search)
    return query


def conversation_annotated_wire(conversation: Conversation) -> dict[str, Any]:
    """The wire form of one row of `conversations_of`."""
    wire = conversation_wire(
        conversation,
        pinned=bool(getattr(conversation, "pinned", False)),
        live=getattr(conversation, "live", None),
    )
    wire["lastStatus"] = getattr(conversation, "last_status", None)
    return wire


def messages_of(conversation_id: UUID) -> QuerySet[Message]:
    return Message.objects.filter(conversation_id=conversation_id).select_related("author").order_by("number")


def unfinished_runs(conversation_id: UUID) -> list[Run]:
    return list(
        Run.objects.filter(conversation_id=conversation_id, status__in=Run.UNFINISHED).order_by("created_at")
    )


def runs_of_messages(messages: Iterable[Message]) -> dict[UUID, Run]:
    """Runs by id, for the answers among these messages; one query."""
    ids = {message.run_id for message in messages if message.run_id}
    return {run.pk: run for run in Run.objects.filter(pk__in=ids)}


def snapshot(actor: Actor, conversation_id: UUID | str) -> dict[str, Any]:
    """What a watcher starts from: the `subscribed` frame's conversation, messages and runs.

    `runs` has the unfinished runs and those of the answers, so that tokens and cost stand beside each.
    Raises NotFound.
    """
    conversation = access_conversation(actor, conversation_id)
    annotated = conversations_of(actor).get(pk=conversation.pk)
    messages = list(messages_of(conversation.pk))
    runs = runs_of_messages(messages)
    for run in unfinished_runs(conversation.pk):
        runs[run.pk] = run
    return {
        "conversation": conversation_annotated_wire(annotated),
        "messages": [message_wire(message) for message in messages],
        "runs": [run_wire(run) for run in sorted(runs.values(), key=lambda run: run.created_at)],
        "members": members_of(actor, conversation),
    }


def members_of(actor: Actor, conversation: Conversation) -> list[dict[str, Any]]:
    """Who may read this conversation, by name."""
    from workspaces.models import Membership

    memberships = Membership.objects.filter(workspace_id=actor.workspace_id).select_related("user")
    if conversation.visibility != Conversation.Visibility.WORKSPACE:
        shared = conversation.shares.values_list("user_id", flat=True)
        memberships = memberships.filter(Q(user_id=conversation.created_by_id) | Q(user_id__in=shared))
    return [
        {"userId": str(m.user_id), "name": m.user.display_name, "role": m.role}
        for m in memberships.order_by("user__username")
    ]


def conversation_counts(actor: Actor) -> dict[str, int]:
    rows = readable(actor).values("status").annotate(n=Count("id"))
    return {row["status"]: row["n"] for row in rows}
