"""Files that come with messages: images, told by their first bytes, stored under names of ours."""

from __future__ import annotations

import hashlib
import tempfile
import uuid
from pathlib import Path, PurePosixPath
from typing import NamedTuple
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from nexus_core.errors import NexusError
from workspaces.access import Actor, Forbidden, NotFound

from ..access import access_upload, require_write
from ..engine.recorder import storable
from ..models import Upload
from .input import BadInput

LONGEST_NAME = 200


class FileTooLarge(NexusError):
    code = "file_too_large"
    http_status = 413


class FileInUse(NexusError):
    code = "file_in_use"
    http_status = 409


class Kind(NamedTuple):
    media_type: str
    ending: str


def image_kind(data: bytes) -> Kind | None:
    """What the bytes are: PNG, JPEG, GIF or WebP; `None` for all else. SVG is text that can run: never an image here."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return Kind("image/png", ".png")
    if data.startswith(b"\xff\xd8\xff"):
        return Kind("image/jpeg", ".jpg")
    if data[:6] in (b"GIF87a", b"GIF89a"):
        return Kind("image/gif", ".gif")
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return Kind("image/webp", ".webp")
    return None


def upload_create(*, actor: Actor, name: str, data: bytes) -> Upload:
    """Stores an image. Raises Forbidden, FileTooLarge, BadInput (empty, or not an image)."""
    require_write(actor)
    most = settings.NEXUS_UPLOAD_BYTES
    if len(data) > most:
        raise FileTooLarge(f"The file has {len(data):,} bytes; at most {most:,} may be sent.")
    if not data:
        raise BadInput("The file is empty.")
    kind = image_kind(data)
    if kind is None:
        raise BadInput("This is not an image that can be used. Send a PNG, JPEG, GIF or WebP file.")
    file_id = uuid.uuid4()
    path = store_bytes(actor.workspace_id, file_id, kind, data)
    upload = Upload(
        id=file_id,
        workspace_id=actor.workspace_id,
        user_id=actor.user_id,
        name=shown_name(name, kind.ending),
        media_type=kind.media_type,
        size=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        path=path,
        created_at=timezone.now(),
    )
    upload.save(force_insert=True)
    return upload


def store_bytes(workspace_id: UUID, file_id: UUID, kind: Kind, data: bytes) -> str:
    """Writes them under a name of ours; gives the path below the folder of files."""
    path = f"{workspace_id.hex}/{timezone.now():%Y-%m}/{file_id.hex}{kind.ending}"
    _write(Path(settings.MEDIA_ROOT) / path, data)
    return path


def upload_read(*, actor: Actor, file_id: UUID | str) -> tuple[Upload, bytes]:
    """The file and its bytes. Raises NotFound, also when the bytes are gone from the disk."""
    upload = access_upload(actor, file_id)
    try:
        return upload, (Path(settings.MEDIA_ROOT) / upload.path).read_bytes()
    except FileNotFoundError:
        raise NotFound() from None


def upload_delete(*, actor: Actor, file_id: UUID | str) -> None:
    """Removes a file of one's own that stands in no message. Raises NotFound, Forbidden (somebody else's),
    FileInUse."""
    require_write(actor)
    upload = access_upload(actor, file_id)
    if upload.user_id != actor.user_id:
        raise Forbidden("Only the person who uploaded this file may remove it.")
    with transaction.atomic():
        # One statement decides: a message that takes the file at this moment comes before it or after it.
        gone, _ = Upload.objects.filter(pk=upload.pk, conversation=None).delete()
        if not gone:
            raise FileInUse("This file stands in a message. Delete the conversation to remove it.")
        transaction.on_commit(lambda: forget_bytes(upload.path))


def forget_bytes(path: str) -> None:
    """Removes a stored file's bytes; they may be gone already, or be a fork's too, which keeps them."""
    if Upload.objects.filter(path=path).exists():
        return
    (Path(settings.MEDIA_ROOT) / path).unlink(missing_ok=True)


def shown_name(name: str, ending: str) -> str:
    """The person's own name for it, to be shown only: no folders, no control characters, the true ending."""
    plain = PurePosixPath(storable(name).replace("\\", "/")).name
    plain = "".join(c for c in plain if c.isprintable()).strip(" .")
    stem = plain.rsplit(".", 1)[0] if "." in plain else plain
    return (stem[: LONGEST_NAME - len(ending)] or "image") + ending


def _write(path: Path, data: bytes) -> None:
    """Whole or not at all: written beside its place, then moved there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as out:
        try:
            out.write(data)
            out.flush()
            Path(out.name).replace(path)
        except OSError:
            Path(out.name).unlink(missing_ok=True)
            raise
