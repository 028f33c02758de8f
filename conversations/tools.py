"""Tools over conversations, for models and for people (slash commands).

Each asks for the person the run works for (`context.require("actor")`) and sees what
that person may read, by typed queries only. The handlers are thin: the work is in
selectors, services and `search`.
"""

from __future__ import annotations

from datetime import date
from typing import Any

from billing.usage import usage_sums
from nexus_core.context import ExecutionContext
from nexus_core.tools import tool
from workspaces.access import Actor

from . import slash
from .access import access_conversation
from .database import in_database
from .metrics import TimeRange
from .metrics import session_activity as activity
from .metrics import session_metrics as metrics
from .search import plain
from .search import search_messages as find
from .services.tasks import task_create
from .wire import task_wire

MOST_HITS = 50


def _actor(context: ExecutionContext) -> Actor:
    actor: Actor = context.require("actor")
    return actor


@tool(idempotent=True)
async def analyze_session_metrics(context: ExecutionContext, time_range: TimeRange) -> dict[str, Any]:
    """Get comprehensive session metrics including total sessions, active sessions, average duration, and user
    engagement patterns for a specified time range.

    A session is a conversation. averageSessionLength is in seconds, from a session's beginning to its last
    activity. userEngagement is the share (0 to 1) of sessions in which people wrote more than once.

    Args:
        time_range: Time range for metrics analysis
    """
    return await in_database(metrics, _actor(context), time_range)


@tool(idempotent=True)
async def get_token_usage(
    context: ExecutionContext, time_range: TimeRange = "month", session_id: str | None = None
) -> dict[str, Any]:
    """Get how many tokens were used and what they cost in US dollars, in a time range, in total or for one session.

    totalCost is null where a model has no known price. Money is exact: quote it as it stands.

    Args:
        time_range: In the person's own days: today, the last seven, this month, or all.
        session_id: Only this session (conversation). Leave it out for all of them.
    """
    return await in_database(_token_usage, _actor(context), time_range, session_id)


def _token_usage(actor: Actor, time_range: TimeRange, session_id: str | None) -> dict[str, Any]:
    session = None if session_id is None else access_conversation(actor, session_id).pk
    line = usage_sums(actor, time_range, session)
    return {
        "timeRange": time_range,
        "sessionId": session_id,
        "requests": line["requests"],
        "totalTokens": line["tokenUsage"]["total"],
        "totalCost": line["cost"],
        "currency": "USD",
        "tokenUsage": line["tokenUsage"],
        "unpricedRequests": line["unpriced"],
    }


@tool(idempotent=True)
async def get_session_activity(context: ExecutionContext, time_range: TimeRange = "week") -> dict[str, Any]:
    """Get when and where there was activity: messages and sessions per day, the busiest hours of the day, answers
    per agent, and the most active sessions.

    Args:
        time_range: In the person's own days: today, the last seven, this month, or all.
    """
    return await in_database(activity, _actor(context), time_range)


@tool(kind="hybrid", command="search", idempotent=True)
async def search_messages(context: ExecutionContext, query: str, limit: int = 10) -> dict[str, Any]:
    """Search the messages of all conversations the person may read, newest first.

    All words must be there; words "in quotes" must stand in a row; the last word may be the beginning of one.

    Args:
        query: The words to look for.
        limit: How many messages to return at most, 1 to 50.
    """
    wanted = max(1, min(limit, MOST_HITS))
    hits = await in_database(find, _actor(context), query, wanted)
    return {"query": query, "hits": [hit | {"snippet": plain(hit["snippet"])} for hit in hits]}


@tool(kind="hybrid", command="task")
async def create_task(
    context: ExecutionContext, title: str, detail: str = "", due_on: date | None = None
) -> dict[str, Any]:
    """Note a task that someone in the workspace should do.

    Args:
        title: What is to be done, in one line.
        detail: Whatever else is worth knowing.
        due_on: The day it should be done by.
    """
    task = await in_database(
        task_create,
        actor=_actor(context),
        title=title,
        detail=detail,
        due_on=due_on,
        conversation_id=context.conversation_id,
    )
    return task_wire(task)


@tool(kind="command", name="help", idempotent=True)
async def help_(context: ExecutionContext) -> dict[str, Any]:
    """Lists the commands."""
    return slash.help_text()


@tool(kind="command", idempotent=True)
async def clear(context: ExecutionContext) -> dict[str, Any]:
    """Earlier messages are no longer sent to the model; they stay here to be read."""
    return slash.clear_text()


@tool(kind="command", idempotent=True)
async def settings(context: ExecutionContext) -> dict[str, Any]:
    """Shows what is set for you here, and where to change it."""
    return await in_database(slash.settings_text, _actor(context), context.conversation_id)


@tool(kind="command", idempotent=True)
async def model(context: ExecutionContext, name: str = "") -> dict[str, Any]:
    """Shows the model of this conversation, or sets it.

    Args:
        name: provider/model to use from now on, or "default" for the agent's own. Empty: only show it.
    """
    return await in_database(slash.model_text, _actor(context), context.conversation_id, name)
