"""Numbers about sessions (the documents' word for conversations), over what a person may read.

A range is the same as for usage: the person's own days, `today` since midnight, `week`
with the six days before, `month` since its first day.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, Literal

from django.db.models import Avg, Count, DurationField, ExpressionWrapper, F, Q, QuerySet
from django.db.models.functions import ExtractHour, TruncDate

from billing.selectors import range_start, zone_of
from workspaces.access import Actor

from .access import readable
from .models import Conversation, Message
from .wire import instant

TimeRange = Literal["today", "week", "month", "all"]

SPOKEN = Q(superseded=False, role__in=["user", "assistant"])
MOST_SHOWN = 10


def sessions_in(actor: Actor, time_range: TimeRange) -> QuerySet[Conversation]:
    """The sessions begun in the range."""
    start = range_start(time_range, zone_of(actor.user))
    found = readable(actor)
    return found if start is None else found.filter(created_at__gte=start)


def session_metrics(actor: Actor, time_range: TimeRange) -> dict[str, Any]:
    """`{totalSessions, activeSessions, averageSessionLength, totalMessages, userEngagement}`.

    Length is from a session's beginning to its last activity, the average in seconds.
    Engagement is the share (0 to 1) of sessions in which people wrote more than once.
    """
    sessions = sessions_in(actor, time_range)
    length = ExpressionWrapper(F("last_active_at") - F("created_at"), output_field=DurationField())
    numbers = sessions.aggregate(
        total=Count("id"), active=Count("id", filter=Q(status=Conversation.Status.ACTIVE)), length=Avg(length)
    )
    messages = Message.objects.filter(SPOKEN, conversation__in=sessions)
    returned = (
        messages.filter(role=Message.Role.USER)
        .order_by()
        .values("conversation_id")
        .annotate(asked=Count("id"))
        .filter(asked__gt=1)
        .count()
    )
    total = numbers["total"]
    return {
        "totalSessions": total,
        "activeSessions": numbers["active"],
        "averageSessionLength": round(max(numbers["length"].total_seconds(), 0), 1)
        if numbers["length"]
        else 0,
        "totalMessages": messages.count(),
        "userEngagement": round(returned / total, 4) if total else 0,
    }


def session_activity(actor: Actor, time_range: TimeRange) -> dict[str, Any]:
    """Messages by day, by hour of the day and by agent, and the sessions with the most of them."""
    zone = zone_of(actor.user)
    start = range_start(time_range, zone)
    messages = Message.objects.filter(SPOKEN, conversation__in=readable(actor)).order_by()
    if start is not None:
        messages = messages.filter(created_at__gte=start)
    days = (
        messages.annotate(day=TruncDate("created_at", tzinfo=zone))
        .values("day")
        .annotate(messages=Count("id"), sessions=Count("conversation_id", distinct=True))
        .order_by("day")
    )
    hours: Counter[int] = Counter(
        dict(
            messages.annotate(hour=ExtractHour("created_at", tzinfo=zone))
            .values("hour")
            .annotate(n=Count("id"))
            .values_list("hour", "n")
        )
    )
    agents = (
        messages.filter(role=Message.Role.ASSISTANT)
        .values("agent_slug")
        .annotate(answers=Count("id"))
        .order_by("-answers", "agent_slug")
    )
    busiest = (
        messages.values("conversation_id", "conversation__title", "conversation__last_active_at")
        .annotate(n=Count("id"))
        .order_by("-n", "-conversation__last_active_at")[:MOST_SHOWN]
    )
    return {
        "timeZone": str(zone),
        "totalMessages": messages.count(),
        "days": [
            {"day": row["day"].isoformat(), "messages": row["messages"], "sessions": row["sessions"]}
            for row in days
        ],
        "busiestHours": [{"hour": hour, "messages": n} for hour, n in hours.most_common(3)],
        "agents": [{"agentId": row["agent_slug"], "answers": row["answers"]} for row in agents[:MOST_SHOWN]],
        "mostActiveSessions": [
            {
                "sessionId": str(row["conversation_id"]),
                "title": row["conversation__title"] or "New conversation",
                "messages": row["n"],
                "lastActiveAt": instant(row["conversation__last_active_at"]),
            }
            for row in busiest
        ],
    }
