"""The page of the audit: who did what, with filters that are plain links and forms."""

from __future__ import annotations

from datetime import date, datetime
from itertools import groupby
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.utils import timezone

from workspaces.access import Actor, Forbidden, Invalid
from workspaces.audit.actions import ACTIONS, GROUPS
from workspaces.audit.reads import Chosen, choices_of, page_of, require_audit

from .pages import page, shell

PAGE = 50
FILTERS = ("person", "group", "agent", "since", "until", "q")


@page
def audit(request: HttpRequest, actor: Actor) -> HttpResponse:
    try:
        require_audit(actor)
    except Forbidden:
        return render(request, "403.html", status=403)
    chosen = chosen_of(request.GET)
    try:
        items, following = page_of(actor, chosen, limit=PAGE, cursor=request.GET.get("cursor", "")[:200])
    except Invalid:  # an address somebody mended by hand
        items, following = page_of(actor, chosen, limit=PAGE)
    kept = QueryDict(mutable=True)
    kept.update({name: value for name in FILTERS if (value := request.GET.get(name, "").strip())})
    context = shell(request, actor, here="audit")
    context |= {
        "chosen": chosen,
        "choices": choices_of(actor),
        "days": days_of([told(item, context["agents_by_id"]) for item in items]),
        "next": f"{kept.urlencode()}&cursor={following}".lstrip("&") if following else "",
        "query": kept.urlencode(),
        "is_later": bool(request.GET.get("cursor")),
    }
    return render(request, "audit.html", context)


def chosen_of(given: QueryDict) -> Chosen:
    """The filters of an address; what is none of ours filters nothing."""
    group = given.get("group", "")
    return Chosen(
        person=_uuid(given.get("person", "")),
        group=group if group in GROUPS else "",
        agent=given.get("agent", "")[:64],
        since=_day(given.get("since", "")),
        until=_day(given.get("until", "")),
        text=given.get("q", "").strip()[:200],
    )


def told(item: dict[str, Any], agents: dict[str, Any]) -> dict[str, Any]:
    """An event as its row says it: who, what, to what."""
    agent = agents.get(item["agentId"] or "", {})
    name = agent.get("name") or item["agentId"] if item["agentId"] else item["actorName"]
    if name is None:
        name = (
            "Somebody"
            if item["type"] == "login_failed"
            else ("Nexus" if item["actorId"] is None else "A deleted person")
        )
    words = ACTIONS[item["type"]][1] if item["type"] in ACTIONS else item["type"]
    return item | {
        "who": name,
        "icon": agent.get("icon") or "◆",
        "words": words if item["type"] != "ai_response_completed" else _answer_words(item),
        "what": item["targetName"] or item["targetType"] or "" if item["type"] not in UNNAMED else "",
        "at": datetime.fromisoformat(item["createdAt"]),
    }


UNNAMED = (
    "ai_response_completed",
    "conversation_deleted",
    "conversation_restored",
    "visibility_changed",
    "imported",
)
"""Their words name the target already."""


def _answer_words(item: dict[str, Any]) -> str:
    said = {"failed": "failed to answer", "cancelled": "was stopped"}.get(
        item["metadata"].get("status", ""), "answered"
    )
    return f"{said} {item['actorName']}" if item["actorName"] and said != "was stopped" else said


def days_of(items: list[dict[str, Any]]) -> list[tuple[date, list[dict[str, Any]]]]:
    """The rows under their days, in the reader's time zone."""
    return [
        (day, list(rows)) for day, rows in groupby(items, lambda item: timezone.localtime(item["at"]).date())
    ]


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
