"""The socket's frames about a draft that several people write together."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from realtime.consumer import NexusConsumer
from realtime.frames import client_frame
from realtime.wire import Wire

from .database import in_database
from .drafts import Splice, draft_closed_wire, draft_read, draft_wire
from .services.drafting import LONGEST_DRAFT, draft_close, draft_edit, draft_open


class DraftOpen(Wire):
    conversation_id: str
    text: str = Field(default="", max_length=LONGEST_DRAFT)


class DraftRead(Wire):
    conversation_id: str


class DraftAt(Wire):
    conversation_id: str
    draft_id: str
    version: int = Field(ge=0, lt=2**63)


class DraftEdit(DraftAt):
    at: int = Field(ge=0, le=LONGEST_DRAFT)
    removed: int = Field(default=0, ge=0, le=LONGEST_DRAFT)
    inserted: str = Field(default="", max_length=LONGEST_DRAFT)
    client_id: str = Field(default="", max_length=128)


class DraftClose(DraftAt):
    sent: bool = False


@client_frame("draft.open", DraftOpen, writes=True)
async def open_draft(socket: NexusConsumer, frame: DraftOpen) -> dict[str, Any]:
    """Begins a draft that all who may write there write together, with this text; where there is one, joins it."""
    draft = await in_database(
        draft_open, actor=socket.actor, conversation_id=frame.conversation_id, text=frame.text
    )
    return {
        "type": "draft.opened",
        "conversationId": str(draft.conversation_id),
        "draft": draft_wire(draft),
    }


@client_frame("draft.read", DraftRead)
async def read_draft(socket: NexusConsumer, frame: DraftRead) -> dict[str, Any]:
    """The draft as it is now, for who lost an edit on its way; null where there is none."""
    draft = await in_database(draft_read, actor=socket.actor, conversation_id=frame.conversation_id)
    return {"type": "draft.read", "conversationId": frame.conversation_id, "draft": draft}


@client_frame("draft.edit", DraftEdit, writes=True)
async def edit_draft(socket: NexusConsumer, frame: DraftEdit) -> dict[str, Any]:
    """One splice on a version of the draft, in UTF-16 units. Of several on the same version one is taken; the others
    are refused with `draft_moved`."""
    version = await in_database(
        draft_edit,
        actor=socket.actor,
        conversation_id=frame.conversation_id,
        draft_id=frame.draft_id,
        version=frame.version,
        splice=Splice(frame.at, frame.removed, frame.inserted),
        client_id=frame.client_id,
    )
    return {"type": "draft.edited", "draftId": frame.draft_id, "version": version}


@client_frame("draft.close", DraftClose, writes=True)
async def close_draft(socket: NexusConsumer, frame: DraftClose) -> dict[str, Any]:
    """Ends the draft: `sent`, and then this person alone sends it as their message, or thrown away."""
    draft = await in_database(
        draft_close,
        actor=socket.actor,
        conversation_id=frame.conversation_id,
        draft_id=frame.draft_id,
        version=frame.version,
        sent=frame.sent,
    )
    return {"type": "draft.closed", **draft_closed_wire(draft, socket.actor.user, sent=frame.sent)}
