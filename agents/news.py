"""Reading news feeds: RSS and Atom addresses into a short list of articles, newest first."""

from __future__ import annotations

import asyncio
import html
import io
import re
from calendar import timegm
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import feedparser

from agents.fetching import FetchFailed, fetch

LONGEST_SUMMARY = 400

_CODE = re.compile(r"<(script|style)\b.*?</\1\s*>", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"<[^>]*>")
_BLANKS = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class Article:
    """`published` is ISO 8601 in UTC, or empty where the feed does not say."""

    title: str
    link: str
    source: str
    published: str
    summary: str


@dataclass(frozen=True, slots=True)
class FeedResult:
    """What one feed gave: articles, or the reason why not."""

    title: str
    articles: tuple[Article, ...] = ()
    error: str = ""


async def read_feeds(feeds: Sequence[tuple[str, str]]) -> list[FeedResult]:
    """Reads (title, address) pairs side by side; a feed that fails says so in its result."""
    return list(await asyncio.gather(*(_read(title, url) for title, url in feeds)))


def newest(results: Sequence[FeedResult], limit: int) -> list[Article]:
    """The newest articles of all feeds; without a date last; the same link once."""
    found: dict[str, Article] = {}
    for result in results:
        for article in result.articles:
            found.setdefault(article.link or article.title, article)
    return sorted(found.values(), key=lambda article: article.published, reverse=True)[:limit]


async def _read(title: str, url: str) -> FeedResult:
    try:
        fetched = await fetch(url)
    except FetchFailed as fault:
        return FeedResult(title, error=str(fault))
    parsed = await asyncio.to_thread(feedparser.parse, io.BytesIO(fetched.body))
    articles = tuple(article for entry in parsed.entries if (article := _article(entry, title)).title)
    if not articles:
        return FeedResult(
            title, error="it holds no articles" if parsed.version else "it is not an RSS or Atom feed"
        )
    return FeedResult(title, articles)


def _article(entry: Any, source: str) -> Article:
    link = str(entry.get("link") or "")
    stamp = entry.get("published_parsed") or entry.get("updated_parsed")
    return Article(
        title=_plain(entry.get("title") or ""),
        link=link if link.startswith(("http://", "https://")) else "",
        source=source,
        published=datetime.fromtimestamp(timegm(stamp), UTC).isoformat().replace("+00:00", "Z")
        if stamp
        else "",
        summary=_plain(entry.get("summary") or "", LONGEST_SUMMARY),
    )


def _plain(text: str, longest: int = 200) -> str:
    """Without markup, on one line, cut at a word."""
    plain = _BLANKS.sub(" ", html.unescape(_TAG.sub(" ", _CODE.sub(" ", text)))).strip()
    return plain if len(plain) <= longest else plain[:longest].rsplit(" ", 1)[0] + " …"
