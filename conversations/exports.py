"""A conversation as a file to keep: JSON (everything, all branches; it can be imported again), Markdown and HTML (the shown branch).

An answer that was cut by its length and continued is one answer there, as on the screen, with a line
where it was cut; in the JSON `continues` marks the question that let it go on.

The HTML stands alone: its style is inside, its images are data, nothing in it runs
or loads anything. Model output goes through the same sanitiser as on the pages.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from html import escape
from pathlib import Path
from typing import Any
from uuid import UUID

from django.conf import settings
from django.utils import timezone

from agents.models import Agent
from billing.selectors import zone_of
from workspaces.access import Actor
from workspaces.audit import record

from .access import access_conversation
from .branches import Node, shown_line
from .export_format import LATEST, MOST_FILES, TERMINAL
from .markdown import to_html
from .markdown_text import escaped, fenced
from .models import Conversation, Message, Run, ToolCall, Upload
from .selectors import messages_of
from .threads import messages_wire
from .wire import conversation_wire, instant, run_wire, tool_call_wire

FORMAT = "nexus.conversation"
MACHINE = ("runId", "epoch", "lastSeq", "contextWindow")
MOST_IMAGE_BYTES = 20 * 1024 * 1024
"""Of images inside a file, together; further ones are named only."""


@dataclass(frozen=True, slots=True)
class Export:
    """A file: its name, what it is, its bytes."""

    name: str
    media_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Exported:
    """What every form is made of. `line` is the branch a reader sees, oldest first."""

    conversation: Conversation
    messages: list[Message]
    line: list[Message]
    agents: dict[str, str]
    actor: Actor

    @property
    def title(self) -> str:
        return self.conversation.title or "New conversation"

    def who(self, message: Message) -> str:
        if message.author is not None:
            return message.author.display_name
        if message.author_name:
            return message.author_name
        return self.agents.get(message.agent_slug, message.agent_slug) or message.role.capitalize()

    def turns(self) -> list[ExportedTurn]:
        """The line, each continued answer in one piece; what follows the cut needs no heading of its own."""
        turns: list[ExportedTurn] = []
        for message in self.line:
            last = turns[-1] if turns else None
            if last is not None and message.continues_id == last.ends_with:
                note = f"Cut by its length, continued by {self.who(message)}"
                turns[-1] = replace(last, pieces=(*last.pieces, note), ends_with=message.pk)
            elif (
                last is not None and isinstance(last.pieces[-1], str) and message.parent_id == last.ends_with
            ):
                turns[-1] = replace(last, pieces=(*last.pieces, message), ends_with=message.pk)
            else:
                turns.append(ExportedTurn(message, (message,), message.pk))
        return turns

    def when(self, moment: datetime) -> str:
        """`2026-11-20 15:02`, in the person's time zone."""
        return f"{moment.astimezone(zone_of(self.actor.user)):%Y-%m-%d %H:%M}"


@dataclass(frozen=True, slots=True)
class ExportedTurn:
    """What one heading stands over: messages, and notes between them. `ends_with` is its last message."""

    first: Message
    pieces: tuple[Message | str, ...]
    ends_with: UUID


def export_conversation(actor: Actor, conversation_id: str, format: str) -> Export:
    """`format` is json, md or html. The audit hears of it. Raises NotFound."""
    conversation = access_conversation(actor, conversation_id)
    record(
        "exported",
        actor=actor,
        target_type="conversation",
        target_id=conversation.pk,
        metadata={"format": format},
    )
    messages = list(messages_of(conversation.pk))
    agents = dict(Agent.objects.filter(workspace_id=actor.workspace_id).values_list("slug", "name"))
    found = Exported(conversation, messages, branch_shown(messages), agents, actor)
    name = file_name(found.title)
    match format:
        case "md":
            return Export(f"{name}.md", "text/markdown; charset=utf-8", _markdown(found).encode())
        case "html":
            return Export(f"{name}.html", "text/html; charset=utf-8", _html(found).encode())
        case _:
            return Export(f"{name}.json", "application/json; charset=utf-8", _json(found).encode())


def branch_shown(messages: Sequence[Message]) -> list[Message]:
    """What a reader of the conversation sees, oldest first."""
    by_id = {message.pk: message for message in messages}
    nodes = (Node(m.pk, m.parent_id, m.number, m.role, m.superseded) for m in messages)
    return [by_id[node.id] for node in shown_line(nodes).nodes]


def file_name(title: str) -> str:
    """The title as a name that every system takes."""
    plain = re.sub(r'[\x00-\x1f\x7f<>:"/\\|?*]+', " ", title)
    return " ".join(plain.split()).strip(" .")[:80] or "conversation"


# --- JSON -------------------------------------------------------------------------------------------------


def _json(found: Exported) -> str:
    runs = Run.objects.filter(conversation=found.conversation, status__in=TERMINAL).order_by("created_at")
    calls = ToolCall.objects.filter(conversation=found.conversation, run__status__in=TERMINAL)
    conversation = conversation_wire(found.conversation)
    out = {
        "format": FORMAT,
        "version": LATEST,
        "exportedAt": instant(timezone.now()),
        "conversation": conversation | {"titledByPerson": found.conversation.titled_by_person},
        "messages": [
            wire | {"clearsHistory": message.clears_history}
            for message, wire in zip(found.messages, messages_wire(found.actor, found.messages), strict=True)
        ],
        # An imported run has no log, no owner and no window to fill: what tells of those stays here.
        "runs": [
            {name: value for name, value in run_wire(run).items() if name not in MACHINE} for run in runs
        ],
        "toolCalls": [
            tool_call_wire(call) | {"step": call.step, "position": call.position} for call in calls
        ],
        "files": _files(found),
    }
    return json.dumps(out, ensure_ascii=False, indent=2)


def _files(found: Exported) -> list[dict[str, Any]]:
    """The images of all branches with their bytes, oldest first, as many as fit."""
    files: list[dict[str, Any]] = []
    room = MOST_IMAGE_BYTES
    for upload in Upload.objects.filter(conversation=found.conversation).order_by("created_at", "id"):
        if upload.size > room or len(files) == MOST_FILES:
            continue
        try:
            data = (Path(settings.MEDIA_ROOT) / upload.path).read_bytes()
        except FileNotFoundError:
            continue
        room -= len(data)
        files.append(
            {
                "id": str(upload.pk),
                "name": upload.name,
                "mediaType": upload.media_type,
                "size": upload.size,
                "sha256": upload.sha256,
                "data": base64.b64encode(data).decode(),
            }
        )
    return files


# --- Markdown ---------------------------------------------------------------------------------------------


def _markdown(found: Exported) -> str:
    out = [f"# {escaped(found.title)}", "", f"Exported from Nexus on {found.when(timezone.now())}.", ""]
    for turn in found.turns():
        out += [f"## {escaped(found.who(turn.first))}, {found.when(turn.first.created_at)}", ""]
        for piece in turn.pieces:
            if isinstance(piece, str):
                out += [f"*{escaped(piece)}*", ""]
            else:
                for part in piece.parts:
                    out += [_markdown_part(part), ""]
    return "\n".join(out).rstrip() + "\n"


def _markdown_part(part: dict[str, Any]) -> str:
    match part:
        case {"type": "text", "text": str(text)}:
            return text
        case {"type": "reasoning", "text": str(text)}:
            quoted = "\n".join(f"> {line}".rstrip() for line in text.splitlines())
            return f"> *Thinking*\n>\n{quoted}"
        case {"type": "image"}:
            return f"*Image: {escaped(str(part.get('name', '')))}*"
        case {"type": "tool_call"}:
            return (
                f"**Tool: {escaped(str(part.get('toolName', '')))}** ({part.get('status', '')})\n\n"
                f"Input:\n\n{fenced(_pretty(part.get('input')), 'json')}\n\n{_tool_end(part)}"
            ).rstrip()
    return ""


def _tool_end(part: dict[str, Any]) -> str:
    if part.get("error"):
        return f"Error: {escaped(str(part['error']))}"
    if part.get("status") == "COMPLETED":
        return f"Result:\n\n{fenced(_pretty(part.get('result')), 'json')}"
    return ""


def _pretty(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)


# --- HTML -------------------------------------------------------------------------------------------------

_STYLE = """
:root{color-scheme:light dark;--line:#8884;--soft:#8881}
body{font:16px/1.55 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem}
header{border-bottom:1px solid var(--line);margin-bottom:1.5rem}
h1{font-size:1.5rem;margin:0 0 .25rem}
.when{opacity:.65;font-size:.85rem;font-weight:400}
article{margin:0 0 1.5rem}
.cut{opacity:.65;font-size:.85rem;border-top:1px dashed var(--line);padding-top:.35rem}
article>h2{font-size:1rem;margin:0 0 .35rem}
article.user .said{background:var(--soft);border-radius:.75rem;padding:.5rem .9rem}
pre{overflow:auto;background:var(--soft);padding:.75rem;border-radius:.5rem;white-space:pre-wrap}
code{font-family:ui-monospace,monospace;font-size:.9em}
table{border-collapse:collapse}td,th{border:1px solid var(--line);padding:.25rem .5rem}
.tw{overflow:auto}
details{border:1px solid var(--line);border-radius:.5rem;padding:.4rem .8rem;margin:.5rem 0}
summary{cursor:pointer}
blockquote{border-left:3px solid var(--line);margin-left:0;padding-left:1rem}
img{max-width:100%;border-radius:.5rem}
"""


def _html(found: Exported) -> str:
    images = _images(found)
    said = "\n".join(
        f'<article class="{escape(turn.first.role)}"><h2>{escape(found.who(turn.first))} '
        f'<span class="when">{found.when(turn.first.created_at)}</span></h2>'
        f'<div class="said">{"".join(_html_piece(piece, images) for piece in turn.pieces)}</div></article>'
        for turn in found.turns()
    )
    title = escape(found.title)
    policy = (
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
    )
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta name="referrer" content="no-referrer">\n'
        f"<title>{title}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f'<header><h1>{title}</h1><p class="when">Exported from Nexus on {found.when(timezone.now())}</p></header>\n'
        f"<main>\n{said}\n</main>\n</body>\n</html>\n"
    )


def _html_piece(piece: Message | str, images: dict[str, str]) -> str:
    if isinstance(piece, str):
        return f'<p class="cut">{escape(piece)}</p>'
    return "".join(_html_part(part, images) for part in piece.parts)


def _html_part(part: dict[str, Any], images: dict[str, str]) -> str:
    match part:
        case {"type": "text", "text": str(text)}:
            return to_html(text)
        case {"type": "reasoning", "text": str(text)}:
            return f"<details><summary>Thinking</summary>{to_html(text)}</details>"
        case {"type": "image"}:
            name = escape(str(part.get("name", "")))
            source = images.get(str(part.get("fileId")))
            return f'<p><img src="{source}" alt="{name}"></p>' if source else f"<p><em>Image: {name}</em></p>"
        case {"type": "tool_call"}:
            end = str(part["error"]) if part.get("error") else _pretty(part.get("result"))
            return (
                f"<details><summary>Tool: <b>{escape(str(part.get('toolName', '')))}</b> "
                f"({escape(str(part.get('status', '')))})</summary>"
                f"<pre><code>{escape(_pretty(part.get('input')))}</code></pre>"
                f"<pre><code>{escape(end)}</code></pre></details>"
            )
    return ""


def _images(found: Exported) -> dict[str, str]:
    """Data addresses of the branch's images by file id, as many as fit."""
    wanted = {
        str(part.get("fileId"))
        for message in found.line
        for part in message.parts
        if part.get("type") == "image"
    }
    out: dict[str, str] = {}
    room = MOST_IMAGE_BYTES
    for upload in Upload.objects.filter(pk__in=wanted, workspace_id=found.actor.workspace_id).order_by(
        "created_at"
    ):
        if upload.size > room:
            continue
        try:
            data = (Path(settings.MEDIA_ROOT) / upload.path).read_bytes()
        except FileNotFoundError:
            continue
        room -= len(data)
        out[str(upload.pk)] = f"data:{upload.media_type};base64,{base64.b64encode(data).decode()}"
    return out
