"""A fork: the beginning of a conversation, up to one message, as a new conversation of the person's own.

Messages are copied with their times and authors; images by reference, so that they stay when the
original goes. Runs are not copied: what the answers took is counted once, where it was spent.
"""

from __future__ import annotations

import re
from copy import deepcopy
from typing import Any
from uuid import UUID, uuid4

from django.db import transaction
from django.utils import timezone

from workspaces.access import Actor, NotFound

from ..access import access_conversation, as_uuid, require_write
from ..branches import shown_line
from ..events import announce_conversation
from ..models import Conversation, ConversationMark, Message, Upload
from ..threads import nodes_of
from .titles import title_from

LONGEST_TITLE = 200
_PREFIX = re.compile(r"^Fork(?: \d+)?: ")


def conversation_fork(*, actor: Actor, conversation_id: UUID | str, message_id: UUID | str) -> Conversation:
    """Copies the branch up to that message. Whoever may read and write in the workspace may fork.

    The copy is as open as a conversation of the workspace; of a private, shared or temporary one it is
    private: nobody gets to read by it what he could not read before. Raises NotFound, Forbidden.
    """
    source = access_conversation(actor, conversation_id)
    require_write(actor)
    wanted = as_uuid(message_id)
    with transaction.atomic():
        # Its row lock: the images of a temporary one may not be removed while they are taken over.
        source = Conversation.objects.select_for_update(no_key=True).get(pk=source.pk)
        line = [node.id for node in shown_line(nodes_of(source.pk), through=wanted).nodes]
        if wanted not in line:
            raise NotFound()
        found = Message.objects.in_bulk(line[: line.index(wanted) + 1])
        originals = [found[one] for one in line if one in found]
        open_to_all = source.visibility == Conversation.Visibility.WORKSPACE and not source.temporary
        now = timezone.now()
        fork = Conversation(
            workspace_id=actor.workspace_id,
            created_by_id=actor.user_id,
            title=_title(actor, source, originals),
            titled_by_person=source.titled_by_person,
            agent_slug=source.agent_slug,
            model=source.model,
            visibility=Conversation.Visibility.WORKSPACE if open_to_all else Conversation.Visibility.PRIVATE,
            message_count=len(originals),
            forked_from=source,
            created_at=now,
            updated_at=now,
            last_active_at=now,
        )
        fork.save(force_insert=True)
        files = _files(originals, fork)
        Message.objects.bulk_create(_copies(originals, fork, files), batch_size=500)
        ConversationMark.objects.create(
            conversation=fork, user_id=actor.user_id, read_at=now, read_number=len(originals)
        )
        transaction.on_commit(lambda: announce_conversation(fork))
    return fork


def _copies(originals: list[Message], fork: Conversation, files: dict[str, str]) -> list[Message]:
    ids = {message.pk: uuid4() for message in originals}
    copies: list[Message] = []
    before: UUID | None = None
    for number, message in enumerate(originals, 1):
        answers = message.role == Message.Role.ASSISTANT
        # An answer hangs at its question, so that it can be made again; everything else is one line.
        parent = ids.get(message.parent_id, before) if answers and message.parent_id else before
        copy = Message(
            id=ids[message.pk],
            conversation=fork,
            parent_id=parent,
            number=number,
            role=message.role,
            content=message.content,
            parts=[_part(part, files) for part in message.parts],
            author_id=message.author_id,
            author_name=message.author_name,
            agent_slug=message.agent_slug,
            clears_history=message.clears_history,
            continues_id=ids.get(message.continues_id) if message.continues_id else None,
            created_at=message.created_at,
        )
        copies.append(copy)
        before = copy.pk
    return copies


def _part(part: dict[str, Any], files: dict[str, str]) -> dict[str, Any]:
    copied: dict[str, Any] = deepcopy(part)
    if copied.get("fileId") in files:
        copied["fileId"] = files[copied["fileId"]]
    return copied


def _files(originals: list[Message], fork: Conversation) -> dict[str, str]:
    """Further records of the same stored bytes, for the new conversation; old id → new id."""
    wanted = {part["fileId"] for message in originals for part in message.parts if part.get("fileId")}
    uploads = list(Upload.objects.filter(pk__in=wanted, workspace_id=fork.workspace_id))
    ids = {str(upload.pk): uuid4() for upload in uploads}
    Upload.objects.bulk_create(
        Upload(
            id=ids[str(upload.pk)],
            workspace_id=upload.workspace_id,
            user_id=upload.user_id,
            conversation=fork,
            name=upload.name,
            media_type=upload.media_type,
            size=upload.size,
            sha256=upload.sha256,
            path=upload.path,
            created_at=upload.created_at,
        )
        for upload in uploads
    )
    return {old: str(new) for old, new in ids.items()}


def _title(actor: Actor, source: Conversation, originals: list[Message]) -> str:
    """`Fork: Why did sign-ups dip`, the person's next one of it `Fork 2: …`; in front, where a narrow list shows it."""
    name = title_from(originals[0].content) if source.temporary else source.title or "New conversation"
    base = _PREFIX.sub("", name)[: LONGEST_TITLE - 12]
    mine = Conversation.objects.filter(
        created_by_id=actor.user_id, workspace_id=actor.workspace_id, deleted_at=None
    )
    taken = set(mine.filter(title__startswith="Fork", title__endswith=base).values_list("title", flat=True))
    number, title = 1, f"Fork: {base}"
    while title in taken:
        number += 1
        title = f"Fork {number}: {base}"
    return title
