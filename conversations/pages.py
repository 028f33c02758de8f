"""The pages: each reads by selectors and renders a template; the browser's modules take over from there."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import wraps
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from agents.selectors import agents_with_availability
from realtime.activity import activities_recent
from realtime.presence import list_presence
from workspaces.access import Actor, Forbidden, NotFound
from workspaces.auth import page_actor
from workspaces.models import User
from workspaces.selectors import provider_keys_of, tokens_of, workspaces_of
from workspaces.tenancy import may_create_workspaces
from workspaces.two_step import TwoStepRequired

from .approvals import standing_of
from .models import Conversation
from .search import search_messages
from .selectors import conversation_annotated_wire, conversation_counts, conversations_of
from .services.run_continue import LENGTH_STOPS
from .sharing import links_of_person
from .threads import snapshot

Page = Callable[..., HttpResponse]

NAV_LENGTH = 60
HISTORY_PAGE = 50


def page(view: Callable[..., HttpResponse]) -> Page:
    """Logged-in people only, with their actor as the second argument; what they may not see is a 404."""

    @wraps(view)
    @never_cache
    @login_required
    @require_GET
    def wrapped(request: HttpRequest, **kwargs: Any) -> HttpResponse:
        try:
            actor = page_actor(request)
        except TwoStepRequired:
            return redirect("two-step")
        except Forbidden:
            return render(request, "no_workspace.html", status=403)
        except NotFound:
            return render(request, "404.html", status=404)
        try:
            with timezone.override(zone_of(actor.user)):
                return view(request, actor, **kwargs)
        except NotFound:
            return render(request, "404.html", status=404)

    return wrapped


def zone_of(user: User) -> ZoneInfo:
    try:
        return ZoneInfo(user.timezone or "UTC")
    except (KeyError, ValueError):
        return ZoneInfo("UTC")


def shell(request: HttpRequest, actor: Actor, *, here: str) -> dict[str, Any]:
    """What every page shows around its content, and the part of the browser's state that goes with it."""
    recent = list(conversations_of(actor, status=Conversation.Status.ACTIVE)[:NAV_LENGTH])
    agents = agents_with_availability(actor)
    state = {
        "user": {
            "id": str(actor.user_id),
            "name": actor.user.display_name,
            "theme": actor.user.theme,
            "timezone": zone_of(actor.user).key,
            "shortcutsEnabled": actor.user.shortcuts_enabled,
            "notificationsEnabled": actor.user.notifications_enabled,
            "role": actor.role,
        },
        "workspace": {
            "id": str(actor.workspace_id),
            "slug": actor.workspace.slug,
            "name": actor.workspace.name,
        },
        "agents": agents,
        "conversations": [conversation_annotated_wire(conversation) for conversation in recent],
        "presence": list_presence(actor.workspace_id, actor),
        "activities": activities_recent(actor, limit=20),
        "limits": {"uploadBytes": settings.NEXUS_UPLOAD_BYTES},
    }
    return {
        "here": here,
        "actor": actor,
        "nav_groups": grouped(recent),
        "workspaces": workspaces_of(actor.user),
        "may_create": may_create_workspaces(actor.user),
        "agents": agents,
        "agents_by_id": {agent["id"]: agent for agent in agents},
        "state": state,
    }


def grouped(conversations: list[Conversation]) -> list[tuple[str, list[Conversation]]]:
    """Pinned, Today, Yesterday, Previous 7 days, then months; in the person's time zone."""
    today = timezone.localdate()
    groups: dict[str, list[Conversation]] = {}
    for conversation in conversations:
        groups.setdefault(_group(conversation, today), []).append(conversation)
    first = ["Pinned", "Today", "Yesterday", "Previous 7 days"]
    order = [name for name in first if name in groups] + [name for name in groups if name not in first]
    return [(name, groups[name]) for name in order]


def _group(conversation: Conversation, today: Any) -> str:
    if getattr(conversation, "pinned", False):
        return "Pinned"
    local: datetime = timezone.localtime(conversation.last_active_at)
    day = local.date()
    if day >= today:
        return "Today"
    if day == today - timedelta(days=1):
        return "Yesterday"
    if day >= today - timedelta(days=7):
        return "Previous 7 days"
    return local.strftime("%B") if day.year == today.year else local.strftime("%B %Y")


@page
def home(request: HttpRequest, actor: Actor) -> HttpResponse:
    context = shell(request, actor, here="home")
    agents = context["agents"]
    ready = [agent for agent in agents if agent["isAvailable"]]
    chosen = next((a for a in ready if a["id"] == request.GET.get("agent")), None)
    chosen = (
        chosen or next((a for a in ready if a["provider"] == "local"), None) or (ready[0] if ready else None)
    )
    context |= {
        "ready": ready,
        "setting_up": [agent for agent in agents if not agent["isAvailable"]],
        "chosen": chosen,
        "only_local": all(a["provider"] in ("local", "scripted") for a in ready),
        "first_time": not context["nav_groups"],
        "setup": setup_list(actor, agents, bool(context["nav_groups"])),
    }
    context["setup_done"] = sum(item["done"] for item in context["setup"])
    context["state"]["agentId"] = chosen["id"] if chosen else None
    return render(request, "home.html", context)


def setup_list(actor: Actor, agents: list[dict[str, Any]], has_conversations: bool) -> list[dict[str, Any]]:
    """What is set up and what is not; each open item leads to where it is done."""
    local = next((a for a in agents if a["provider"] == "local"), None)
    keyed = [a for a in agents if a["isAvailable"] and a["provider"] not in ("local", "scripted")]
    waiting = [a for a in agents if a.get("needsKey")]
    return [
        {
            "done": True,
            "title": "Workspace created",
            "text": f"{actor.workspace.name}, you are its {actor.role}",
        },
        {
            "done": bool(local and local["isAvailable"]),
            "title": "Local model ready" if local and local["isAvailable"] else "Local model missing",
            "text": "138 MB, starts with the first question"
            if local and local["isAvailable"]
            else (local or {}).get("unavailableReason", ""),
        },
        {
            "done": bool(keyed),
            "title": "Provider key added" if keyed else "Add a provider key",
            "text": keyed_agents(len(keyed)) if keyed else f"Wakes {many(len(waiting), 'agent')}",
            "href": "/settings/#keys",
            "action": "Add",
        },
        {
            "done": has_conversations,
            "title": "First question asked" if has_conversations else "Ask a first question",
            "text": "It is in the list on the left"
            if has_conversations
            else "The local model answers at once",
        },
    ]


def many(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def keyed_agents(number: int) -> str:
    return "1 agent answers with it" if number == 1 else f"{number} agents answer with it"


@page
def conversation(request: HttpRequest, actor: Actor, conversation_id: UUID) -> HttpResponse:
    """Its newest part; `?before=` a message: the part before it, which is how one reads back without scripts."""
    before = request.GET.get("before") or None
    state = snapshot(actor, conversation_id, before=before)
    context = shell(request, actor, here="conversation")
    context["state"] |= state
    context |= {
        "conversation": state["conversation"],
        "messages": shown_messages(state),
        "earlier": state["earlier"],
        "is_earlier": before is not None,
        "agent": context["agents_by_id"].get(state["conversation"]["agentId"]),
    }
    return render(request, "conversation.html", context)


def shown_messages(state: dict[str, Any]) -> list[dict[str, Any]]:
    """What a reader sees, oldest first, each answer with its run."""
    messages = {message["id"]: message for message in state["messages"]}
    runs = {run["id"]: run for run in state["runs"]}
    shown = [messages[message_id] for message_id in state["line"]]
    went_on = {message["continues"] for message in shown if message["continues"]}

    def drawn(message: dict[str, Any]) -> dict[str, Any]:
        run = runs.get(message["runId"]) if message["role"] == "assistant" else None
        question = messages.get(message["parentId"]) if message["role"] == "assistant" else None
        cut = run is not None and run["status"] == "complete" and run["stopReason"] in LENGTH_STOPS
        return message | {
            "run": run,
            "time": datetime.fromisoformat(message["createdAt"]),
            "is_continuation": bool(question and question["continues"]),
            "is_continued": message["id"] in went_on,
            "is_cut": cut and message["id"] not in went_on,
        }

    return [drawn(message) for message in shown]


@page
def history(request: HttpRequest, actor: Actor) -> HttpResponse:
    context = shell(request, actor, here="history")
    query = request.GET.get("q", "").strip()
    status = request.GET.get("status", "active")
    if status not in Conversation.Status.values:
        status = "active"
    offset = max(int(request.GET.get("from", "0") or 0), 0) if request.GET.get("from", "0").isdigit() else 0
    rows = list(conversations_of(actor, status=status)[offset : offset + HISTORY_PAGE + 1])
    context |= {
        "query": query,
        "status": status,
        "hits": search_messages(actor, query, limit=50) if query else [],
        "groups": grouped(rows[:HISTORY_PAGE]) if not query else [],
        "counts": conversation_counts(actor),
        "next_from": offset + HISTORY_PAGE if len(rows) > HISTORY_PAGE else None,
        "previous_from": max(offset - HISTORY_PAGE, 0) if offset else None,
    }
    return render(request, "history.html", context)


@page
def usage(request: HttpRequest, actor: Actor) -> HttpResponse:
    """The frame only: the browser asks `/api/usage/…` for the numbers, each with a wait of its own."""
    return render(request, "usage.html", shell(request, actor, here="usage"))


@page
def settings_page(request: HttpRequest, actor: Actor) -> HttpResponse:
    context = shell(request, actor, here="settings")
    context |= {
        "tokens": tokens_of(actor),
        "keys": provider_keys_of(actor),
        "links": links_of_person(actor),
        "standing": [
            row
            | {
                "agent": context["agents_by_id"].get(row["agentId"]),
                "at": datetime.fromisoformat(row["createdAt"]),
            }
            for row in standing_of(actor)
        ],
        "providers": sorted(
            {agent["provider"] for agent in context["agents"]} - {"local", "scripted", "ollama"}
        ),
        "zones": sorted(available_zones()),
        "themes": User._meta.get_field("theme").choices,
    }
    return render(request, "settings.html", context)


def available_zones() -> set[str]:
    from zoneinfo import available_timezones

    return {name for name in available_timezones() if "/" in name or name == "UTC"}
