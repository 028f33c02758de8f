"""Files of messages: sent once, referred to by id. Images only, for now."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpResponse
from ninja import File as FileField
from ninja import Router, UploadedFile

from workspaces.access import Actor
from workspaces.request import ApiRequest

from ..database import in_database
from ..schemas import File
from ..services.files import FileTooLarge, upload_create, upload_delete, upload_read
from ..wire import upload_wire
from .answers import answer
from .conversations import disposition

router = Router(tags=["Files"])

FILE_RESPONSE: dict[str, Any] = {"content": {"image/*": {"schema": {"type": "string", "format": "binary"}}}}


@router.post("/files", response={201: File}, summary="Upload an image")
async def upload(request: ApiRequest, file: FileField[UploadedFile]) -> HttpResponse:
    """PNG, JPEG, GIF or WebP, told by its first bytes. Use the `fileId` in a message's parts."""
    if file.size is not None and file.size > settings.NEXUS_UPLOAD_BYTES:
        raise FileTooLarge(
            f"The file has {file.size:,} bytes; at most {settings.NEXUS_UPLOAD_BYTES:,} may be sent."
        )
    stored = await in_database(upload_create, actor=request.auth, name=file.name or "", data=file.read())
    return answer(upload_wire(stored), 201)


@router.get(
    "/files/{file_id}",
    response={200: None},
    openapi_extra={"responses": {200: FILE_RESPONSE}},
    summary="A file",
)
async def download(request: ApiRequest, file_id: str) -> HttpResponse:
    """The bytes as they came. A browser shows them as an image and as nothing else."""
    return await in_database(_download, request.auth, file_id)


@router.delete("/files/{file_id}", response={204: None}, summary="Delete a file")
async def remove(request: ApiRequest, file_id: str) -> HttpResponse:
    """One's own, while no message has it; then it is 409 `file_in_use`."""
    await in_database(upload_delete, actor=request.auth, file_id=file_id)
    return HttpResponse(status=204)


def _download(actor: Actor, file_id: str) -> HttpResponse:
    stored, data = upload_read(actor=actor, file_id=file_id)
    response = HttpResponse(data, content_type=stored.media_type)
    response["Content-Disposition"] = disposition("inline", stored.name)
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = "default-src 'none'; sandbox"
    response["Cross-Origin-Resource-Policy"] = "same-origin"
    response["Cache-Control"] = "private, max-age=3600"
    return response
