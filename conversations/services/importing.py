"""A conversation out of a file that this program exported: checked whole, shown first, stored in one transaction.

Messages keep their branches, times, parts and answers' feedback; runs and tool calls come along as history. What
they took was booked where it was spent: nothing is booked here. The new conversation is private to who imports it.
Words of others keep the name in the file, as a name only: a file proves nobody's authorship.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, NoReturn
from uuid import UUID, uuid4

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from pydantic import ValidationError

from agents.models import Agent
from nexus_core.errors import NexusError
from workspaces.access import Actor
from workspaces.audit import record
from workspaces.models import User

from ..access import readable, require_write
from ..engine.recorder import storable_json
from ..events import announce_conversation
from ..export_format import TERMINAL, ConversationFile, ExportedMessage, ExportedRun, PersonName
from ..models import (
    Conversation,
    ConversationImport,
    ConversationMark,
    Message,
    MessageFeedback,
    Run,
    ToolCall,
    Upload,
)
from .files import forget_bytes, image_kind, shown_name, store_bytes

MOST_BYTES = 48 * 1024 * 1024
MOST_PROBLEMS = 20
SOURCE = "nexus"


class ImportRefused(NexusError):
    """The file cannot be imported; `details` has `{at, message}` for each thing that is wrong in it."""

    code = "invalid_import"
    http_status = 422

    def __init__(self, message: str, details: list[dict[str, str]] | None = None) -> None:
        super().__init__(message)
        self.details = details


@dataclass(frozen=True, slots=True)
class Checked:
    """A file that can be imported. `digest` is of what it says, whenever it was exported."""

    file: ConversationFile
    digest: str
    images: dict[str, bytes]


@dataclass(frozen=True, slots=True)
class Imported:
    """`made` is False where this person had imported the same file before."""

    conversation: Conversation
    made: bool


def check(data: bytes) -> Checked:
    """Reads a file without storing anything. Raises ImportRefused."""
    if len(data) > MOST_BYTES:
        raise ImportRefused(f"The file has {len(data):,} bytes; at most {MOST_BYTES:,} may be imported.")
    try:
        raw = storable_json(json.loads(data, parse_constant=_no_number, parse_float=_number))
    except json.JSONDecodeError as fault:
        _refuse("The file is not JSON", f"line {fault.lineno}, column {fault.colno}", fault.msg)
    except (UnicodeDecodeError, RecursionError, ValueError) as fault:
        raise ImportRefused(f"The file is not JSON that can be read: {type(fault).__name__}.") from None
    if not isinstance(raw, dict) or raw.get("format") != "nexus.conversation":
        raise ImportRefused("This is not a conversation exported from Nexus as JSON.")
    if raw.get("version") not in (1, 2):
        raise ImportRefused(
            f"The file's format has version {raw.get('version')!r}; this Nexus reads 1 and 2."
        )
    try:
        file = ConversationFile.model_validate(raw)
    except ValidationError as wrong:
        problems = [{"at": _at(one["loc"]), "message": one["msg"]} for one in wrong.errors()[:MOST_PROBLEMS]]
        said = "; ".join(f"{one['at']}: {one['message']}" for one in problems[:3])
        raise ImportRefused(f"The file has {wrong.error_count()} wrong places. {said}", problems) from None
    _check_references(file)
    words = {key: value for key, value in raw.items() if key != "exportedAt"}
    body = json.dumps(words, sort_keys=True, ensure_ascii=False).encode()
    return Checked(file, hashlib.sha256(body).hexdigest(), _images(file))


def _number(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        _no_number(text)
    return number


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _refuse(what: str, at: str, message: str) -> NoReturn:
    raise ImportRefused(f"{what}: {at}: {message}.", [{"at": at, "message": message}])


def _at(location: tuple[int | str, ...]) -> str:
    """`("messages", 3, "parts", 0, "text")` → `messages[3].parts[0].text`."""
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text or "file"


def _check_references(file: ConversationFile) -> None:
    """Numbers and ids once each; a parent stands before its children, so that no branch is a ring."""
    places: dict[UUID, int] = {}
    numbers: set[int] = set()
    for index, message in enumerate(file.messages):
        at = f"messages[{index}]"
        if message.id in places:
            _refuse("The file contradicts itself", f"{at}.id", "this id is there twice")
        if message.number in numbers:
            _refuse("The file contradicts itself", f"{at}.number", "this number is there twice")
        places[message.id] = message.number
        numbers.add(message.number)
    for index, message in enumerate(file.messages):
        at = f"messages[{index}]"
        for name, other in (("parentId", message.parent_id), ("continues", message.continues)):
            if other is not None and places.get(other, message.number) >= message.number:
                _refuse("The file contradicts itself", f"{at}.{name}", "there is no such earlier message")
    runs: set[UUID] = set()
    for index, run in enumerate(file.runs):
        if run.id in runs:
            _refuse("The file contradicts itself", f"runs[{index}].id", "this id is there twice")
        if run.message_id not in places:
            _refuse("The file contradicts itself", f"runs[{index}].messageId", "there is no such message")
        runs.add(run.id)


def _images(file: ConversationFile) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for index, one in enumerate(file.files):
        at = f"files[{index}].data"
        try:
            data = base64.b64decode(one.data, validate=True)
        except (binascii.Error, ValueError):
            _refuse("A file in it cannot be used", at, "not base64")
        if hashlib.sha256(data).hexdigest() != one.sha256:
            _refuse("A file in it cannot be used", at, "not what its sha256 says")
        if image_kind(data) is None or len(data) > settings.NEXUS_UPLOAD_BYTES:
            _refuse("A file in it cannot be used", at, "no PNG, JPEG, GIF or WebP image, or too large")
        found[str(one.id)] = data
    return found


# --- preview ----------------------------------------------------------------------------------------------


def import_preview(actor: Actor, data: bytes) -> dict[str, Any]:
    """What an import would make, and the conversation that this person made of the same file already."""
    require_write(actor)
    checked = check(data)
    file = checked.file
    already = _already(actor, checked)
    agents = set(Agent.objects.filter(workspace_id=actor.workspace_id).values_list("slug", flat=True))
    asked = {message.agent_id for message in file.messages if message.agent_id}
    images = {part.get("fileId") for message in file.messages for part in message.plain_parts} - {None}
    times = [message.created_at for message in file.messages]
    return {
        "title": file.conversation.title or "New conversation",
        "version": file.version,
        "exportedAt": file.exported_at.isoformat() if file.exported_at else None,
        "messageCount": len(file.messages),
        "answerCount": sum(message.role == "assistant" for message in file.messages),
        "runCount": sum(run.status in TERMINAL for run in file.runs),
        "people": sorted({m.author.name for m in file.messages if isinstance(m.author, PersonName)}),
        "agents": sorted(asked),
        "missingAgents": sorted(asked - agents),
        "imageCount": len(images),
        "missingImageCount": len(images - set(checked.images)),
        "firstAt": min(times).isoformat() if times else None,
        "lastAt": max(times).isoformat() if times else None,
        "already": {"id": str(already.pk), "title": str(already)} if already is not None else None,
    }


def _already(actor: Actor, checked: Checked) -> Conversation | None:
    return (
        readable(actor)
        .filter(created_by_id=actor.user_id, imported__digest=checked.digest)
        .order_by("-created_at")
        .first()
    )


# --- storing ----------------------------------------------------------------------------------------------


def conversation_import(*, actor: Actor, data: bytes, copy: bool = False) -> Imported:
    """Makes the conversation; the same file again gives the one that is there, or with `copy` another one.

    Raises Forbidden, ImportRefused. Nothing is stored unless all is.
    """
    require_write(actor)
    checked = check(data)
    written: list[str] = []
    try:
        with transaction.atomic():
            # Two imports of one file by one person: the second waits here and finds the first.
            User.objects.select_for_update(no_key=True).get(pk=actor.user_id)
            if not copy and (found := _already(actor, checked)) is not None:
                return Imported(found, False)
            conversation = _store(actor, checked, written)
            record(
                "imported",
                actor=actor,
                target_type="conversation",
                target_id=conversation.pk,
                metadata={"messages": len(checked.file.messages), "sha256": checked.digest},
            )
            transaction.on_commit(lambda: announce_conversation(conversation))
    except BaseException:
        for path in written:
            forget_bytes(path)
        raise
    return Imported(conversation, True)


def _store(actor: Actor, checked: Checked, written: list[str]) -> Conversation:
    file, told = checked.file, checked.file.conversation
    now = timezone.now()
    last = told.last_active_at or max([told.created_at, *(m.created_at for m in file.messages)])
    agents = dict(Agent.objects.filter(workspace_id=actor.workspace_id).values_list("slug", "pk"))
    conversation = Conversation(
        workspace_id=actor.workspace_id,
        created_by_id=actor.user_id,
        title=told.title,
        titled_by_person=told.titled_by_person if file.version > 1 else bool(told.title),
        agent_slug=told.agent_id if told.agent_id in agents else "",
        model=told.model or "",
        status=told.status,
        visibility=Conversation.Visibility.PRIVATE,
        message_count=max([message.number for message in file.messages], default=0),
        created_at=min(told.created_at, now),
        updated_at=now,
        last_active_at=min(last, now),
    )
    conversation.save(force_insert=True)
    ConversationImport.objects.create(
        conversation=conversation, source=SOURCE, source_id=str(told.id), digest=checked.digest
    )
    ids = {message.id: uuid4() for message in file.messages}
    done = [run for run in file.runs if run.status in TERMINAL]
    runs = {run.id: uuid4() for run in done}
    tools = {call.tool_id: uuid4() for call in file.tool_calls}
    files = _uploads(actor, checked, conversation, written)
    Message.objects.bulk_create(
        (_message(actor, conversation, message, ids, runs, tools, files) for message in file.messages),
        batch_size=500,
    )
    Run.objects.bulk_create(
        (_run(actor, conversation, run, ids, runs, agents) for run in _oldest_first(done)), batch_size=200
    )
    ToolCall.objects.bulk_create(
        (
            ToolCall(
                id=tools[call.tool_id],
                run_id=runs[call.run_id],
                conversation=conversation,
                message_id=ids.get(call.message_id, call.message_id),
                step=call.step,
                position=call.position,
                call_id=call.tool_call_id,
                tool_name=call.tool_name,
                input=call.input,
                status=call.status,
                result=call.result,
                error=call.error or "",
                duration_ms=call.duration_ms,
                created_at=call.created_at,
                completed_at=call.completed_at,
            )
            for call in file.tool_calls
            if call.run_id in runs
        ),
        batch_size=200,
    )
    MessageFeedback.objects.bulk_create(
        MessageFeedback(
            message_id=ids[message.id],
            user_id=actor.user_id,
            rating=message.feedback.rating,
            comment=message.feedback.comment,
            created_at=message.feedback.updated_at,
            updated_at=message.feedback.updated_at,
        )
        for message in file.messages
        if message.feedback is not None and message.role == "assistant"
    )
    ConversationMark.objects.create(
        conversation=conversation, user_id=actor.user_id, read_at=now, read_number=conversation.message_count
    )
    return conversation


def _message(
    actor: Actor,
    conversation: Conversation,
    message: ExportedMessage,
    ids: dict[UUID, UUID],
    runs: dict[UUID, UUID],
    tools: dict[UUID, UUID],
    files: dict[str, str],
) -> Message:
    by = message.author if isinstance(message.author, PersonName) else None
    mine = by is not None and by.id == actor.user_id
    return Message(
        id=ids[message.id],
        conversation=conversation,
        parent_id=ids[message.parent_id] if message.parent_id else None,
        number=message.number,
        role=message.role,
        content=message.content,
        parts=[_part(part, tools, files) for part in message.plain_parts],
        author_id=actor.user_id if mine else None,
        author_name=by.name if by is not None and not mine else None,
        agent_slug=message.agent_id or "",
        run_id=runs.get(message.run_id) if message.run_id else None,
        superseded=message.superseded,
        clears_history=message.clears_history,
        continues_id=ids[message.continues] if message.continues else None,
        created_at=min(message.created_at, timezone.now()),
    )


def _part(part: dict[str, Any], tools: dict[UUID, UUID], files: dict[str, str]) -> dict[str, Any]:
    """With the new ids. A tool call of which only the part is known keeps an id of its own."""
    if part["type"] == "image":
        return part | {"fileId": files.get(part["fileId"], part["fileId"])}
    if part["type"] == "tool_call":
        old = UUID(part["toolId"])
        return part | {"toolId": str(tools.setdefault(old, uuid4()))}
    return part


def _oldest_first(runs: list[ExportedRun]) -> list[ExportedRun]:
    return sorted(runs, key=lambda run: run.created_at)


def _run(
    actor: Actor,
    conversation: Conversation,
    run: ExportedRun,
    ids: dict[UUID, UUID],
    runs: dict[UUID, UUID],
    agents: dict[str, Any],
) -> Run:
    usage, cost = run.token_usage, run.cost
    return Run(
        id=runs[run.id],
        workspace_id=actor.workspace_id,
        conversation=conversation,
        agent_id=agents.get(run.agent_id),
        agent_slug=run.agent_id,
        message_id=ids[run.message_id],
        answer_id=ids.get(run.answer_id) or uuid4(),
        requested_by_id=actor.user_id if run.requested_by == actor.user_id else None,
        resumed_from_id=runs.get(run.resumed_from) if run.resumed_from else None,
        superseded=run.superseded,
        status=run.status,
        provider=run.provider or "",
        model=run.model or "",
        stop_reason=run.stop_reason or "",
        error_code=run.error.code if run.error else "",
        error_message=run.error.message if run.error else "",
        tokens_input=usage.input,
        tokens_output=usage.output,
        tokens_cache_read=usage.cache_read,
        tokens_cache_write=usage.cache_write,
        tokens_reasoning=usage.reasoning,
        cost_input=_pico(cost.input) if cost.input is not None else None,
        cost_output=_pico(cost.output) if cost.output is not None else None,
        context_tokens=run.context_tokens,
        estimated=run.estimated,
        confidence=run.confidence,
        first_token_ms=run.time_to_first_token_ms,
        created_at=run.created_at,
        started_at=_started(run),
        finished_at=run.finished_at or run.created_at,
        packed_at=timezone.now(),  # it has no log to pack
    )


def _started(run: ExportedRun) -> datetime | None:
    """Its begin, so that it took as long as before: of a moment the file has whole milliseconds only."""
    if run.started_at is None or run.finished_at is None or run.duration_ms is None:
        return run.started_at
    told = timedelta(milliseconds=run.duration_ms)
    late = run.finished_at - run.started_at - told == timedelta(milliseconds=1)
    return run.started_at + timedelta(microseconds=999) if late else run.started_at


def _pico(dollars: str) -> int:
    """Exact: the format has at most twelve places."""
    return int(Decimal(dollars).scaleb(12))


def _uploads(
    actor: Actor, checked: Checked, conversation: Conversation, written: list[str]
) -> dict[str, str]:
    """The images of the file, stored under names of ours; old id → new id."""
    made: dict[str, str] = {}
    rows = []
    for one in checked.file.files:
        data = checked.images[str(one.id)]
        kind = image_kind(data)
        assert kind is not None
        upload_id = uuid4()
        path = store_bytes(actor.workspace_id, upload_id, kind, data)
        written.append(path)
        rows.append(
            Upload(
                id=upload_id,
                workspace_id=actor.workspace_id,
                user_id=actor.user_id,
                conversation=conversation,
                name=shown_name(one.name, kind.ending),
                media_type=kind.media_type,
                size=len(data),
                sha256=one.sha256,
                path=path,
                created_at=timezone.now(),
            )
        )
        made[str(one.id)] = str(upload_id)
    Upload.objects.bulk_create(rows)
    return made
