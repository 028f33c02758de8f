"""The page behind a read-only link: what a conversation said at one moment, for whoever has the link.

It needs no account, runs no script and sets no cookie. It never shows prompts, thinking, what tools were given or
gave back, models, tokens, cost, or slash commands; people are called "Person" unless the link says otherwise.
Unknown, expired, revoked: one and the same 404.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any
from uuid import UUID

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import render
from django.utils.safestring import SafeString, mark_safe
from django.views.decorators.cache import never_cache

from agents.models import Agent
from workspaces.access import TooManyRequests
from workspaces.audit.origin import caller
from workspaces.limits import limit_hit
from workspaces.secrets import digest

from .markdown import to_page_html
from .models import Message, ShareLink, Upload
from .services.sharing import link_opened
from .sharing import links_standing

PART = 100
"""Messages on one page."""
LONGEST_TOKEN = 100
POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; font-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
View = Callable[..., HttpResponse]


class _Gone(Exception):
    """The link opens nothing (any more)."""


def shared_door(view: Callable[..., HttpResponse]) -> View:
    """What stands before both addresses: counting, the link, one refusal for all reasons, headers."""

    @wraps(view)
    @never_cache
    def wrapped(request: HttpRequest, text: str, **more: Any) -> HttpResponse:
        if request.method not in ("GET", "HEAD"):
            return closed(HttpResponseNotAllowed(["GET", "HEAD"]))
        where = caller()
        try:
            limit_hit("links", where)
            try:
                return closed(view(request, standing(text), **more))
            except _Gone:
                limit_hit("doors", where)
        except TooManyRequests as refusal:
            response = render(request, "shared_gone.html", {"text": str(refusal)}, status=429)
            response["Retry-After"] = str(refusal.retry_after)
            return closed(response)
        return closed(render(request, "shared_gone.html", status=404))

    return wrapped


def standing(text: str) -> ShareLink:
    found = None
    if text.isascii() and len(text) <= LONGEST_TOKEN:
        found = links_standing().select_related("conversation").filter(digest=digest(text)).first()
    if found is None:
        raise _Gone
    return found


def closed(response: HttpResponse) -> HttpResponse:
    """Nobody keeps it, lists it, is told of it by a link from it, or frames it; nothing runs on it."""
    response["X-Robots-Tag"] = "noindex, nofollow, noarchive"
    response["Referrer-Policy"] = "no-referrer"
    if "Content-Security-Policy" not in response:
        response["Content-Security-Policy"] = POLICY
    return response


@shared_door
def shared(request: HttpRequest, link: ShareLink) -> HttpResponse:
    """`?part=2` has what stands after the first hundred messages."""
    parts = max(1, -(-len(link.line) // PART))
    asked = request.GET.get("part", "1")
    part = min(max(int(asked), 1), parts) if asked.isascii() and asked.isdigit() and len(asked) < 7 else 1
    found = Message.objects.select_related("author").filter(
        conversation_id=link.conversation_id, pk__in=link.line[(part - 1) * PART : part * PART]
    )
    agents = Agent.objects.filter(workspace_id=link.conversation.workspace_id)
    shown = turns(
        link,
        sorted(found, key=lambda message: link.line.index(str(message.pk))),
        {slug: (name, icon) for slug, name, icon in agents.values_list("slug", "name", "icon")},
        text=request.resolver_match.kwargs["text"] if request.resolver_match else "",
    )
    if request.method == "GET" and part == 1:
        link_opened(link)
    context = {
        "link": link,
        "title": link.title or "Conversation",
        "turns": shown,
        "part": part,
        "before": part - 1 if part > 1 else None,
        "after": part + 1 if part < parts else None,
    }
    return render(request, "shared.html", context)


@shared_door
def shared_file(request: HttpRequest, link: ShareLink, file_id: UUID) -> HttpResponse:
    """An image that stands in a shown message, and nothing else."""
    upload = Upload.objects.filter(pk=file_id, conversation_id=link.conversation_id).first()
    rows = Message.objects.filter(conversation_id=link.conversation_id, pk__in=link.line)
    if upload is None or not any(
        part.get("fileId") == str(file_id) for parts in rows.values_list("parts", flat=True) for part in parts
    ):
        raise _Gone
    try:
        data = (Path(settings.MEDIA_ROOT) / upload.path).read_bytes()
    except FileNotFoundError:
        raise _Gone from None
    response = HttpResponse(data, content_type=upload.media_type)
    response["Content-Disposition"] = "inline"
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = "default-src 'none'; sandbox"
    response["Cross-Origin-Resource-Policy"] = "same-origin"
    return response


def turns(
    link: ShareLink, messages: list[Message], agents: dict[str, tuple[str, str]], *, text: str
) -> list[dict[str, Any]]:
    """What the page shows of each message: who, in words that name no more than needed, and its pieces."""
    people = _people(link) if not link.names else {}
    made: list[dict[str, Any]] = []
    for message in messages:
        if message.continues_id:  # the instruction to go on with an answer that was cut
            continue
        by_person = message.role == Message.Role.USER
        if by_person:
            name = (
                people[_author(message)]
                if not link.names
                else (message.author.display_name if message.author else message.author_name or "Somebody")
            )
            icon = ""
        else:
            name, icon = agents.get(message.agent_slug, ("Agent", "◆"))
        pieces = [piece for part in message.parts if (piece := _piece(part, by_person, text))]
        if pieces:
            made.append({"person": by_person, "name": name, "icon": icon, "pieces": pieces})
    return made


def _author(message: Message) -> str:
    return str(message.author_id or message.author_name or "")


def _people(link: ShareLink) -> dict[str, str]:
    """Who writes, as `Person`, or `Person 1`, `Person 2` in the order of their first words."""
    rows = Message.objects.filter(
        conversation_id=link.conversation_id, pk__in=link.line, role=Message.Role.USER
    ).order_by("number")
    authors = list(dict.fromkeys(_author(row) for row in rows.only("author_id", "author_name")))
    return {
        author: "Person" if len(authors) == 1 else f"Person {number}"
        for number, author in enumerate(authors, 1)
    }


def _piece(part: dict[str, Any], by_person: bool, text: str) -> dict[str, Any] | None:
    match part:
        case {"type": "text", "text": str(said)} if said.strip():
            return {"said": said} if by_person else {"html": _html(said)}
        case {"type": "image", "fileId": str(file_id)}:
            return {"image": f"/s/{text}/files/{file_id}"}
        case {"type": "tool_call", "toolName": str(name)}:
            return {"tool": name}
    return None


def _html(text: str) -> SafeString:
    return mark_safe(to_page_html(text))  # noqa: S308  (to_page_html ends with the sanitiser)
