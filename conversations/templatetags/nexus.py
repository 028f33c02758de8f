"""What the templates need: icons, markdown that is safe, money, avatars, JSON."""

from __future__ import annotations

import hashlib
import json
import re
from datetime import datetime
from typing import Any, Literal

from django import template
from django.templatetags.static import static
from django.utils import timezone
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString, mark_safe

from nexus_core.usage import PICO_PER_USD

from ..markdown import to_page_html
from ..threads import FREE_PROVIDERS

register = template.Library()

_MARKDOWN_SIGNS = re.compile(r"[#|*`>\s]+|-{3,}[-|\s]*")


@register.simple_tag
def icon(name: str, size: str = "") -> SafeString:
    """A Lucide icon from the sprite: `{% icon "search" %}`, small with `"s"`."""
    return format_html(
        '<svg class="i {}" aria-hidden="true"><use href="{}#{}"></use></svg>',
        size,
        static("dist/icons.svg"),
        name,
    )


@register.filter
def markdown(text: str) -> SafeString:
    """Markdown to HTML, sanitised last; remote images become links."""
    return mark_safe(to_page_html(text or ""))  # noqa: S308  (to_page_html ends with the sanitiser)


def _dollars(amount: float, places: int) -> str:
    return f"${amount:,.{places}f}" if amount else "$0"


@register.filter
def usd(pico: int | None) -> str:
    """`12400000000` → `$0.0124`; unpriced is said in words."""
    if pico is None:
        return "unpriced"
    return _dollars(pico / PICO_PER_USD, 4)


@register.filter
def seconds(ms: int | Literal[""] | None) -> str:
    """`9412` → `9.4 s`; under 10 ms `<0.01 s`. A template gives "" for what a part does not have."""
    if ms is None or ms == "":
        return "–"
    if ms < 10:
        return "<0.01 s"
    return f"{ms / 1000:.2f} s" if ms < 1000 else f"{ms / 1000:.1f} s"


@register.filter
def moment(instant: str) -> str:
    """An ISO instant in the reader's time zone: `21 Nov, 05:28`."""
    local = timezone.localtime(datetime.fromisoformat(instant))
    return f"{local.day} {local:%b, %H:%M}"


@register.filter
def whole_seconds(ms: int | None) -> str:
    """`6012` → `6 s`, as the browser counts thinking."""
    return "a moment" if not ms or ms < 500 else f"{round(ms / 1000)} s"


@register.filter
def paragraphs(text: str) -> list[str]:
    """A person's words, cut at empty lines; line breaks inside stay."""
    return [part for part in re.split(r"\n{2,}", text or "") if part.strip()]


@register.filter
def initials(name: str) -> str:
    """`Maya Lindqvist` → `ML`."""
    words = re.findall(r"\w+", name or "?")
    if not words:
        return "?"
    return str(words[0][0] + (words[-1][0] if len(words) > 1 else words[0][1:2])).upper()


@register.filter
def person_colour(user_id: Any) -> str:
    """One of the three avatar colours, chosen by the hash of the id; the browser does the same."""
    return ("a", "b", "c")[hashlib.sha256(str(user_id).encode()).digest()[0] % 3]


@register.filter
def lookup(mapping: dict[str, Any], key: str) -> Any:
    return mapping.get(key) if isinstance(mapping, dict) else None


@register.filter
def pretty(value: Any) -> str:
    """JSON for people: two spaces, nothing escaped that need not be."""
    return json.dumps(value, indent=2, ensure_ascii=False)


@register.filter
def failure(error: Any) -> str:
    """Why a tool failed, as one sentence."""
    text = (error.get("message") if isinstance(error, dict) else str(error or "")) or "The tool failed."
    return text if text[-1] in ".!?" else f"{text}."


@register.filter
def words(value: Any) -> str:
    """What a tool was asked, in a line: `{"query": "budget", "limit": 5}` → `budget, 5`."""
    if not isinstance(value, dict):
        return str(value or "")
    plain = [
        str(item)
        for item in value.values()
        if isinstance(item, (str, int, float)) and not isinstance(item, bool)
    ]
    return ", ".join(plain)[:120]


@register.filter
def token_line(run: dict[str, Any] | None) -> str:
    """`2,418 tokens · $0.0124 · 9.4 s`; local models are free. Where nothing was counted only the time."""
    if not run or not run.get("tokenUsage"):
        return ""
    total = run["tokenUsage"]["total"]
    cost = run["cost"]["total"]
    parts = []
    if total:
        free = run.get("provider") in FREE_PROVIDERS
        about = "about " if run.get("estimated") else ""
        price = "unpriced" if cost is None else _dollars(float(cost), 4)
        parts = [f"{about}{total:,} tokens", "free" if free else price]
    if run.get("durationMs") is not None:
        parts.append(seconds(run["durationMs"]))
    return " · ".join(parts)


@register.filter
def grouped(value: int | None) -> str:
    """`2418` → `2,418`."""
    return "–" if value is None else f"{value:,}"


@register.filter
def money(value: str | None) -> str:
    """A decimal string of US dollars for people: `$0.0124`, `$18.42`, `$0`; null is unpriced."""
    if value is None:
        return "unpriced"
    return _dollars(float(value), 2 if float(value) >= 1 else 4)


@register.filter
def snippet(text: str) -> SafeString:
    """A search hit's text: what stands between U+0002 and U+0003 is marked; all else is escaped."""
    safe = escape(_MARKDOWN_SIGNS.sub(" ", text or "")).replace("\x02", "<mark>").replace("\x03", "</mark>")
    return mark_safe(safe)  # noqa: S308  (escaped just before)
