"""Reads: lists and pages of conversations, messages and runs, each in few queries."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.db.models import Case, Count, Exists, IntegerField, OuterRef, Q, QuerySet, Subquery, Value, When
from django.db.models.functions import Coalesce

from workspaces.access import Actor

from .access import readable
from .models import Conversation, ConversationMark, Message, Run
from .wire import conversation_wire, instant


def conversations_of(
    actor: Actor, *, status: str = "", agent: str = "", search: str = ""
) -> QuerySet[Conversation]:
    """What stands in this person's lists, newest activity first; rows as `annotated` gives them."""
    query = annotated(actor).filter(temporary=False)
    if status:
        query = query.filter(status=status)
    if agent:
        query = query.filter(agent_slug=agent)
    if search:
        query = query.filter(title__icontains=search)
    return query


def annotated(actor: Actor) -> QuerySet[Conversation]:
    """What this person may read, temporary ones too, with `live` and `last_status` (statuses of runs) and their
    own `pinned`, `read_at` and `unread` (a number of messages)."""
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
    return (
        readable(actor)
        .annotate(
            pinned=Exists(mine.filter(pinned=True)),
            live=Subquery(pressing.values("status")[:1]),
            last_status=Subquery(last.values("status")[:1]),
            read_at=Subquery(mine.values("read_at")[:1]),
            read_number=Coalesce(Subquery(mine.values("read_number")[:1]), 0),
        )
        .annotate(unread=unread_of(actor, mine))
        .order_by("-last_active_at", "-id")
    )


def unread_of(actor: Actor, mine: QuerySet[ConversationMark]) -> Case:
    """How many messages of others came since this person looked; annotate `read_number` first.

    A conversation speaks to a person who began it, opened it once, or is one of the few it was shared with:
    what colleagues write in all the others is not news.
    """
    news = (
        Message.objects.filter(
            conversation=OuterRef("pk"),
            number__gt=OuterRef("read_number"),
            superseded=False,
            role__in=[Message.Role.USER, Message.Role.ASSISTANT],
        )
        .exclude(author_id=actor.user_id)
        .order_by()
        .values("conversation")
        .annotate(number_of=Count("pk"))
        .values("number_of")
    )
    concerned = Q(created_by_id=actor.user_id) | Q(visibility=Conversation.Visibility.SHARED) | Exists(mine)
    return Case(
        When(concerned, then=Coalesce(Subquery(news), 0)), default=Value(0), output_field=IntegerField()
    )


def conversation_annotated_wire(conversation: Conversation) -> dict[str, Any]:
    """The wire form of one row of `conversations_of`."""
    wire = conversation_wire(conversation, live=getattr(conversation, "live", None))
    wire["lastStatus"] = getattr(conversation, "last_status", None)
    wire["pinned"] = bool(getattr(conversation, "pinned", False))
    wire["unread"] = getattr(conversation, "unread", None) or 0
    wire["lastReadAt"] = instant(getattr(conversation, "read_at", None))
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
    rows = readable(actor).filter(temporary=False).values("status").annotate(n=Count("id"))
    return {row["status"]: row["n"] for row in rows}
