"""A message that several people write together before one of them sends it."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.db.models.functions import Now


class Draft(models.Model):
    """The one draft of a conversation that is written together: its text, and how many edits made it.

    Each edit names the `version` it was made on, and only one for each version is taken. The row goes when the
    draft is sent or thrown away; the next one has another id, so that a late edit of this one finds nothing.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    conversation = models.OneToOneField("conversations.Conversation", models.CASCADE, related_name="draft")
    text = models.TextField(blank=True)
    version = models.PositiveBigIntegerField(default=0)
    opened_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"in {self.conversation_id}"
