"""What a person sends: text, or parts of text and images, checked."""

from __future__ import annotations

from typing import Any

from nexus_core.errors import NexusError
from workspaces.access import Actor

from ..access import access_upload
from ..engine.recorder import storable
from ..models import Upload

MOST_CHARACTERS = 400_000
MOST_IMAGES = 20


class BadInput(NexusError):
    """The input of a message cannot be used; the message says what to do."""

    code = "invalid_input"
    http_status = 422


def message_parts(actor: Actor, input_: str | list[Any]) -> tuple[list[dict[str, Any]], str, list[Upload]]:
    """`(parts, visible text, files)` of a user's input. Raises `BadInput`, `NotFound`."""
    raw: list[Any] = [{"type": "text", "text": input_}] if isinstance(input_, str) else list(input_ or [])
    parts: list[dict[str, Any]] = []
    files: list[Upload] = []
    for item in raw:
        match item:
            case {"type": "text", "text": str(text)}:
                if text.strip():
                    parts.append({"type": "text", "text": storable(text)})
            case {"type": "image", "fileId": file_id} | {"type": "image", "file_id": file_id}:
                upload = access_upload(actor, file_id)
                if not upload.media_type.startswith("image/"):
                    raise BadInput(f"{upload.name} is not an image. Images can be PNG, JPEG, GIF or WebP.")
                files.append(upload)
                parts.append(
                    {
                        "type": "image",
                        "fileId": str(upload.pk),
                        "mediaType": upload.media_type,
                        "name": upload.name,
                    }
                )
            case _:
                raise BadInput('A part is {"type": "text", "text": …} or {"type": "image", "fileId": …}.')
    text = "\n\n".join(part["text"] for part in parts if part["type"] == "text").strip()
    if not parts:
        raise BadInput("The message is empty. Write something, or attach an image.")
    if len(text) > MOST_CHARACTERS:
        raise BadInput(
            f"The message has {len(text):,} characters; at most {MOST_CHARACTERS:,} fit. Send it in pieces."
        )
    if len(files) > MOST_IMAGES:
        raise BadInput(f"At most {MOST_IMAGES} images fit in one message.")
    return parts, text, files
