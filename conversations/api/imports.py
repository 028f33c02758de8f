"""Imports: a conversation out of a file that `…/export?format=json` made, looked at first, then stored."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from django.http import HttpResponse
from ninja import File as FileField
from ninja import Query, Router, UploadedFile

from realtime.wire import Wire
from workspaces.access import Actor
from workspaces.limits import limit_hit
from workspaces.request import ApiRequest

from ..database import in_database
from ..schemas import Conversation
from ..services.importing import MOST_BYTES, ImportRefused, conversation_import, import_preview
from .answers import answer
from .conversations import one

router = Router(tags=["Conversations"])


class ImportedAlready(Wire):
    id: UUID
    title: str


class ImportPreview(Wire):
    title: str
    version: int
    exported_at: str | None
    message_count: int
    answer_count: int
    run_count: int
    people: list[str]
    agents: list[str]
    missing_agents: list[str]
    image_count: int
    missing_image_count: int
    first_at: str | None
    last_at: str | None
    already: ImportedAlready | None


@router.post("/imports/preview", response=ImportPreview, summary="Look at a file before its import")
async def preview(request: ApiRequest, file: FileField[UploadedFile]) -> HttpResponse:
    """Checks the whole file and stores nothing. 422 `invalid_import` names each wrong place in `details`: `{at, message}`."""
    return answer(await in_database(_preview, request.auth, content_of(file)))


@router.post("/imports", response={200: Conversation, 201: Conversation}, summary="Import a conversation")
async def import_(
    request: ApiRequest,
    file: FileField[UploadedFile],
    another: Annotated[
        bool, Query(alias="copy", description="Another one, also where this file was imported before.")
    ] = False,
) -> HttpResponse:
    """A file that Nexus exported as JSON becomes a conversation of the caller's own, private, with its branches, runs and
    images; nothing is booked. 201; the same file again is 200 with the conversation that is there."""
    made, wire = await in_database(_import, request.auth, content_of(file), another)
    return answer(wire, 201 if made else 200)


def content_of(file: UploadedFile) -> bytes:
    if file.size is not None and file.size > MOST_BYTES:
        raise ImportRefused(f"The file has {file.size:,} bytes; at most {MOST_BYTES:,} may be imported.")
    content: bytes = file.read()
    return content


def _preview(actor: Actor, data: bytes) -> dict[str, Any]:
    limit_hit("exports", actor)
    return import_preview(actor, data)


def _import(actor: Actor, data: bytes, copy: bool) -> tuple[bool, dict[str, Any]]:
    limit_hit("exports", actor)
    imported = conversation_import(actor=actor, data=data, copy=copy)
    return imported.made, one(actor, imported.conversation)
