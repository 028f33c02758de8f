"""Tools that need no data of a conversation: the news, and the profile of the person who asks."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Any, Literal

from agents.models import NewsFeed
from agents.news import newest, read_feeds
from nexus_core.context import ExecutionContext
from nexus_core.errors import ToolError
from nexus_core.tools import tool

MOST_ARTICLES = 20


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
