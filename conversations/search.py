"""Full-text search over messages: what a person may read, newest first.

SQLite has an FTS5 table that triggers keep, PostgreSQL an index on the text's words
(both made by the migration 0002_message_search). A query means the same on both: all words
must be there, a "quoted phrase" as it stands, and the last word may be a beginning.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import reduce
from operator import and_
from typing import Any

from django.db import connection
from django.db.models import Q
from django.db.models.expressions import RawSQL

from workspaces.access import Actor

from .access import readable
from .models import Message
from .wire import instant

MARK, UNMARK = "\x02", "\x03"
MOST_TERMS = 20
# The expression that the index is on, letter for letter: another one would read every message.
POSTGRES_WORDS = "to_tsvector('simple', regexp_replace(left(content, 200000), '[!-/:-@[-`{-~]+', ' ', 'g'))"
BEFORE, AFTER = 60, 140
SEARCH = "/search "

_TERM = re.compile(r'"([^"]+)"|(\S+)')
_WORD = re.compile(r"[^\W_]+")
# Markdown's own marks where they stand alone: tables, headings, quotes, lists, fences.
_MARKS = re.compile(r"(?:^|(?<=\s))(?:#{1,6}|[|:-]+|>+|[*+]|```\w*)(?=\s|$)")
# Written without spaces between words: there is nothing to index them by, so they are looked for as they stand.
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff]"
)


@dataclass(frozen=True, slots=True)
class Term:
    """One thing that must be there: words in a row. `open` is true where the last word may go on."""

    words: tuple[str, ...]
    open: bool


def terms_of(query: str) -> list[Term]:
    """`plan "to do" bud` → plan · to do · bud…"""
    found: list[Term] = []
    for match in list(_TERM.finditer(query))[:MOST_TERMS]:
        quoted, bare = match.groups()
        words = tuple(_WORD.findall(quoted if quoted is not None else bare.replace('"', " ")))
        if words:
            found.append(Term(words, quoted is None and match.end() == len(query.rstrip())))
    return found


def search_messages(actor: Actor, query: str, limit: int = 50, offset: int = 0) -> list[dict[str, Any]]:
    """Hits `{conversationId, conversationTitle, messageId, role, agentId, author, snippet, createdAt}`.

    In `snippet` what matched stands between U+0002 and U+0003 (`plain`, `fragments_of`).
    Without a word in the query there are no hits.
    """
    terms = terms_of(query)
    if not terms:
        return []
    rows = (
        Message.objects.filter(
            _matching(terms),
            conversation__in=readable(actor).filter(temporary=False),
            superseded=False,
            role__in=[Message.Role.USER, Message.Role.ASSISTANT],
        )
        # A search is not its own result.
        .exclude(role=Message.Role.USER, content__startswith=SEARCH)
        .exclude(parent__content__startswith=SEARCH)
        .select_related("conversation", "author")
        .order_by("-created_at", "-number")
    )
    return [
        {
            "conversationId": str(row.conversation_id),
            "conversationTitle": row.conversation.title or "New conversation",
            "messageId": str(row.pk),
            "role": row.role,
            "agentId": row.agent_slug or None,
            "author": row.author.display_name if row.author else row.author_name,
            "snippet": snippet_of(row.content, terms),
            "createdAt": instant(row.created_at),
        }
        for row in rows[offset : offset + limit]
    ]


def _matching(terms: list[Term]) -> Q:
    unspaced = [term for term in terms if any(_UNSPACED.search(word) for word in term.words)]
    indexed = [term for term in terms if term not in unspaced]
    parts = [Q(content__icontains=" ".join(term.words)) for term in unspaced]
    if indexed:
        parts.append(Q(pk__in=_ids(indexed)))
    return reduce(and_, parts)


def _ids(terms: list[Term]) -> RawSQL:
    """Ids of matching messages, of whomever; the caller asks for those that may be read."""
    if connection.vendor == "sqlite":
        words = " AND ".join(f'"{" ".join(term.words)}"{" *" if term.open else ""}' for term in terms)
        return RawSQL(
            "SELECT m.message_id FROM conversations_searchtext t JOIN conversations_searchmap m ON m.id = t.rowid "
            "WHERE conversations_searchtext MATCH %s",
            [words],
        )
    words = " & ".join(_postgres_term(term) for term in terms)
    return RawSQL(  # noqa: S611
        f"SELECT id FROM conversations_message WHERE {POSTGRES_WORDS} @@ to_tsquery('simple', %s)",  # noqa: S608
        [words],
    )


def _postgres_term(term: Term) -> str:
    # Words are letters and digits only, so they stand in quotes as they are.
    words = [f"'{word}'" for word in term.words]
    return "(" + " <-> ".join(words) + (":*" if term.open else "") + ")"


def snippet_of(content: str, terms: list[Term]) -> str:
    """The text around the first match, in one line, with every match marked."""
    text = " ".join(_MARKS.sub(" ", content.replace(MARK, "").replace(UNMARK, "")).split())
    pattern = re.compile(
        "|".join(r"(?<![^\W_])" + r"[\W_]+".join(map(re.escape, term.words)) for term in terms)
        + "|"
        + "|".join(re.escape(" ".join(term.words)) for term in terms),
        re.IGNORECASE,
    )
    first = pattern.search(text)
    start = max(first.start() - BEFORE, 0) if first else 0
    end = min(start + BEFORE + AFTER, len(text))
    if start:
        start = text.find(" ", start, start + 20) + 1 or start
    cut = text[start:end]
    marked = pattern.sub(lambda found: f"{MARK}{found[0]}{UNMARK}", cut)
    return ("… " if start else "") + marked + (" …" if end < len(text) else "")


def plain(snippet: str) -> str:
    return snippet.replace(MARK, "").replace(UNMARK, "")


def fragments_of(snippet: str) -> list[tuple[str, bool]]:
    """`(text, matched)` pieces of a snippet, in order."""
    pieces = re.split(f"{MARK}(.*?){UNMARK}", snippet)
    return [(text, index % 2 == 1) for index, text in enumerate(pieces) if text]
