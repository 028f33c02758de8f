"""What sharing and import keep beside a conversation: read-only links, and where an imported one came from."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.db.models.functions import Now


class ShareLink(models.Model):
    """Opens what a conversation said at one moment to whoever has the link, without an account.

    Only the SHA-256 of its 256 random bits is kept. `line` and `title` are the snapshot: ids of messages,
    which never change once they are written, and the title of that moment.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    conversation = models.ForeignKey("conversations.Conversation", models.CASCADE, related_name="share_links")
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, editable=False, related_name="+"
    )
    digest = models.CharField(max_length=64, unique=True, editable=False)
    last_four = models.CharField(max_length=4, editable=False)
    title = models.CharField(max_length=200, blank=True)
    line = models.JSONField(default=list, help_text="Ids of the messages that are shown, in reading order.")
    names = models.BooleanField(default=False, help_text="People are called by their names.")
    taken_at = models.DateTimeField(db_default=Now(), help_text="The moment of the snapshot.")
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    opens = models.PositiveIntegerField(default=0, editable=False)
    last_opened_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"link …{self.last_four}"


class ConversationImport(models.Model):
    """That a conversation came out of a file. The same person's same file again leads to the same conversation."""

    conversation = models.OneToOneField("conversations.Conversation", models.CASCADE, related_name="imported")
    source = models.CharField(max_length=32)
    source_id = models.CharField(
        max_length=64, blank=True, help_text="The conversation's id where it was exported."
    )
    digest = models.CharField(
        max_length=64, db_index=True, help_text="SHA-256 of what it said, without the time of export."
    )
    created_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"{self.conversation_id} from {self.source}"
