"""What nobody keeps: temporary chats a day after their last message, uploads that no message took within a day.

Both go for good, with their files. What a chat cost stays: the ledger names it by its id only.
"""

from __future__ import annotations

from datetime import timedelta
from functools import partial

from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Now

from ..models import Conversation, Run, Upload
from .files import forget_bytes

KEPT = timedelta(hours=24)
AT_ONCE = 200


def leftovers_remove() -> int:
    """Removes what is due, some at a time; how many things went. Any number of processes may call it."""
    return _remove_conversations() + _remove_uploads()


def _remove_conversations() -> int:
    unfinished = Run.objects.filter(conversation=OuterRef("pk"), status__in=Run.UNFINISHED)
    due = Q(last_active_at__lt=Now() - KEPT) | Q(deleted_at__lt=Now() - KEPT)
    ids = list(
        Conversation.objects.filter(due, ~Exists(unfinished), temporary=True)
        .order_by("last_active_at")
        .values_list("pk", flat=True)[:AT_ONCE]
    )
    removed = 0
    for conversation_id in ids:
        with transaction.atomic():
            # Locked before its runs, as everywhere; asked again, because a message may have come meanwhile.
            conversation = (
                Conversation.objects.select_for_update(skip_locked=True, of=("self",))
                .filter(due, ~Exists(unfinished), pk=conversation_id, temporary=True)
                .first()
            )
            if conversation is None:
                continue
            paths = list(Upload.objects.filter(conversation=conversation).values_list("path", flat=True))
            conversation.delete()
            for path in paths:
                transaction.on_commit(partial(forget_bytes, path))
            removed += 1
    return removed


def _remove_uploads() -> int:
    removed = 0
    for upload in Upload.objects.filter(conversation=None, created_at__lt=Now() - KEPT)[:AT_ONCE]:
        gone, _ = Upload.objects.filter(pk=upload.pk, conversation=None).delete()
        if gone:
            forget_bytes(upload.path)
            removed += 1
    return removed
