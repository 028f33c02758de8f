"""Activity: what happened in a workspace, for its feed. Metadata only, never message text."""

from __future__ import annotations

import uuid

from django.db import models
from django.utils import timezone

from workspaces.models import User, Workspace


class Activity(models.Model):
    """One thing that a person or an agent did. `conversation_id` is a plain id: conversations live on a higher floor."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="activities")
    user = models.ForeignKey(
        User, on_delete=models.SET_NULL, null=True, blank=True, related_name="activities"
    )
    agent_slug = models.CharField(max_length=64, blank=True)
    activity_type = models.CharField(max_length=64)
    metadata = models.JSONField(default=dict, blank=True)
    conversation_id = models.UUIDField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["-created_at", "-id"]
        verbose_name_plural = "activities"
        indexes = [models.Index(fields=["workspace", "-created_at", "-id"], name="activity_newest")]

    def __str__(self) -> str:
        return self.activity_type
