"""Tools that need no data of a conversation: the news, and the profile of the person who asks."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Any, Literal
from zoneinfo import available_timezones

from agents.models import NewsFeed
from agents.news import newest, read_feeds
from nexus_core.context import ExecutionContext
from nexus_core.errors import ToolError
from nexus_core.tools import tool
from workspaces.services import profile_update

MOST_ARTICLES = 20
PROFILE = ("name", "title", "timezone", "about")


def _active_feeds(category: str) -> list[tuple[str, str]]:
    return list(NewsFeed.objects.filter(category=category, is_active=True).values_list("title", "url"))


@tool(idempotent=True, timeout=8)
async def fetch_news(
    context: ExecutionContext,
    category: Literal["tech", "business", "sports", "world", "science"],
    limit: int = 10,
) -> dict[str, Any]:
    """Reads current news articles from the RSS and Atom feeds that are set up on this server.

    Use it whenever someone asks for news, headlines or what happened lately in one of the
    categories. Each article has a title, a link, its source, when it was published and a summary.

    Args:
        category: Which news to read.
        limit: How many articles to return at most, 1 to 20.
    """
    run_sync = context.services.get("run_sync", asyncio.to_thread)
    feeds = await run_sync(lambda: _active_feeds(category))
    if not feeds:
        raise ToolError(
            f"No news feed is set up for {category}. An operator can add one in admin, under News feeds."
        )
    results = await read_feeds(feeds)
    articles = newest(results, max(1, min(limit, MOST_ARTICLES)))
    failed = [{"feed": result.title, "error": result.error} for result in results if result.error]
    if not articles:
        reasons = "; ".join(f"{one['feed']}: {one['error']}" for one in failed)
        raise ToolError(f"No news could be read. {reasons}.")
    return {
        "category": category,
        "articles": [asdict(article) for article in articles],
        "failedFeeds": failed,
    }


@tool(idempotent=True)
async def update_profile(
    context: ExecutionContext,
    name: str | None = None,
    title: str | None = None,
    timezone: str | None = None,
    about: str | None = None,
) -> dict[str, Any]:
    """Changes the profile of the person who asks: only what they named, everything else stays.

    Args:
        name: The name that others see.
        title: Their job or role.
        timezone: An IANA time zone such as Europe/Berlin; days and times are shown in it.
        about: A few sentences about them that colleagues may read.
    """
    actor = context.require("actor")
    changes = {"name": name, "title": title, "timezone": timezone, "about": about}
    changes = {field: value for field, value in changes.items() if value is not None}
    if not changes:
        raise ToolError("Nothing to change: say which of name, title, timezone and about.")
    if not actor.can_write:
        raise ToolError("A viewer or a read-only token cannot change the profile.")
    if timezone is not None and timezone not in available_timezones():
        raise ToolError(
            f"{timezone!r} is no time zone. Use a name such as Europe/Berlin or America/New_York."
        )
    run_sync = context.services.get("run_sync", asyncio.to_thread)
    user = await run_sync(lambda: profile_update(actor=actor, **changes))
    return {"changed": sorted(changes), "profile": {field: getattr(user, field) for field in PROFILE}}
