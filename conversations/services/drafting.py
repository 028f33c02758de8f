"""Writing a message together: one draft in a conversation, changed by one splice at a time.

A splice names the version it was made on. The UPDATE is the fence: of all that name the
same version one is taken, the others hear `draft_moved`, lay their words over what came
before (their browser does) and ask again. So every reader sees the same text at the same
version, on any number of processes, and no lock is held between two key presses.

Places and lengths are counted in UTF-16 units, as browsers count them.
"""

from __future__ import annotations

from uuid import UUID

from django.db import IntegrityError, transaction

from nexus_core.errors import NexusError
from workspaces.access import Actor, NotFound

from .. import events
from ..access import access_conversation, as_uuid
from ..drafts import Splice
from ..engine.recorder import storable
from ..models import Draft
from .input import BadInput

LONGEST_DRAFT = 200_000
"""UTF-16 units; what the field of the composer takes."""


class DraftMoved(NexusError):
    """Somebody else changed the draft first: it is not at the version that this edit was made on."""

    code = "draft_moved"
    http_status = 409

    def __init__(self) -> None:
        super().__init__("Somebody else changed the draft first.")


def draft_open(*, actor: Actor, conversation_id: UUID | str, text: str = "") -> Draft:
    """The draft that is open there, or a new one that begins with `text`. Raises NotFound, Forbidden, BadInput."""
    conversation = access_conversation(actor, conversation_id, write=True)
    text = storable(text)
    _check_length(text)
    found = _draft_in(conversation.pk)
    if found is not None:
        return found
    try:
        with transaction.atomic():
            made = Draft.objects.create(conversation=conversation, text=text, opened_by=actor.user)
            transaction.on_commit(lambda: events.announce_draft_opened(made))
        return made
    except IntegrityError:  # somebody else began in the same moment: theirs is the one
        found = _draft_in(conversation.pk)
        if found is None:
            raise NotFound() from None
        return found


def draft_edit(
    *,
    actor: Actor,
    conversation_id: UUID | str,
    draft_id: UUID | str,
    version: int,
    splice: Splice,
    client_id: str = "",
) -> int:
    """Takes the splice if the draft is at `version`; gives the version it makes.

    Raises NotFound, Forbidden, BadInput, DraftMoved.
    """
    draft = _access(actor, conversation_id, draft_id)
    if draft.version != version:
        raise DraftMoved()
    if splice.inserted != storable(splice.inserted):
        raise BadInput("The text has characters that cannot be stored.")
    text = spliced(draft.text, splice)
    _check_length(text)
    with transaction.atomic():
        taken = Draft.objects.filter(pk=draft.pk, version=version).update(text=text, version=version + 1)
        if not taken:
            raise DraftMoved()
        transaction.on_commit(
            lambda: events.announce_draft_changed(draft, version + 1, splice, actor.user_id, client_id)
        )
    return version + 1


def draft_close(
    *, actor: Actor, conversation_id: UUID | str, draft_id: UUID | str, version: int, sent: bool
) -> Draft:
    """Ends the draft, to be sent by this person or to be thrown away; gives it as it was. Of all that name the same
    version exactly one ends it. Raises NotFound, Forbidden, DraftMoved."""
    draft = _access(actor, conversation_id, draft_id)
    with transaction.atomic():
        if not Draft.objects.filter(pk=draft.pk, version=version).update(version=version + 1):
            raise DraftMoved()
        Draft.objects.filter(pk=draft.pk).delete()
        transaction.on_commit(lambda: events.announce_draft_closed(draft, actor.user, sent))
    return draft


def spliced(text: str, splice: Splice) -> str:
    """The text after it. Raises BadInput for a place outside, or in the middle of a character of two units."""
    units = text.encode("utf-16-le")
    start, end = splice.at * 2, (splice.at + splice.removed) * 2
    if end > len(units):
        raise BadInput("This place is behind the end of the draft.")
    try:
        return units[:start].decode("utf-16-le") + splice.inserted + units[end:].decode("utf-16-le")
    except UnicodeDecodeError:
        raise BadInput("This place is in the middle of a character.") from None


def _access(actor: Actor, conversation_id: UUID | str, draft_id: UUID | str) -> Draft:
    conversation = access_conversation(actor, conversation_id, write=True)
    found = Draft.objects.filter(pk=as_uuid(draft_id), conversation=conversation).first()
    if found is None:
        raise NotFound()
    return found


def _draft_in(conversation_id: UUID) -> Draft | None:
    return Draft.objects.filter(conversation_id=conversation_id).select_related("opened_by").first()


def _check_length(text: str) -> None:
    if len(text.encode("utf-16-le")) > LONGEST_DRAFT * 2:
        raise BadInput(f"A draft has at most {LONGEST_DRAFT:,} characters.")
