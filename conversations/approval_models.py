"""What waits for people: calls to be approved, questions to be answered, words for a running agent."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now


class Approval(models.Model):
    """A tool call that was put to people. It stays, with who said what and when.

    `role` and `quorum` are those of the moment it was asked. `status` changes once, from open to something else.
    """

    class Kind(models.TextChoices):
        APPROVAL = "approval"
        QUESTION = "question"

    class Status(models.TextChoices):
        OPEN = "open"
        APPROVED = "approved"
        DENIED = "denied"
        ANSWERED = "answered"
        EXPIRED = "expired"
        WITHDRAWN = "withdrawn"

    call = models.OneToOneField(
        "conversations.ToolCall", models.CASCADE, primary_key=True, related_name="approval"
    )
    run = models.ForeignKey("conversations.Run", models.CASCADE, related_name="approvals")
    conversation = models.ForeignKey("conversations.Conversation", models.CASCADE, related_name="approvals")
    workspace = models.ForeignKey("workspaces.Workspace", models.CASCADE, related_name="approvals")
    agent_slug = models.CharField(max_length=64)
    tool_name = models.CharField(max_length=128)
    kind = models.CharField(max_length=16, choices=Kind, default=Kind.APPROVAL)
    role = models.CharField(max_length=8, default="member", help_text="Who may decide, and those above.")
    quorum = models.PositiveIntegerField(default=1, help_text="How many different people must say yes.")
    status = models.CharField(max_length=16, choices=Status, default=Status.OPEN)
    created_at = models.DateTimeField(db_default=Now())
    expires_at = models.DateTimeField()
    decided_at = models.DateTimeField(null=True, blank=True)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+"
    )
    note = models.TextField(blank=True)
    answer = models.TextField(blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["expires_at"], condition=Q(status="open"), name="approval_expiring"),
            models.Index(
                fields=["workspace", "created_at"], condition=Q(status="open"), name="approval_open"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.tool_name} {self.status}"


class ApprovalVote(models.Model):
    """What one person said to a call that waited; one word each."""

    class Decision(models.TextChoices):
        APPROVE = "approve"
        DENY = "deny"
        ANSWER = "answer"

    approval = models.ForeignKey(Approval, models.CASCADE, related_name="votes")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    token_id = models.UUIDField(null=True, blank=True)
    decision = models.CharField(max_length=8, choices=Decision)
    note = models.TextField(blank=True)
    remember = models.CharField(max_length=16, default="once")
    client_id = models.CharField(max_length=128, blank=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["created_at", "id"]
        constraints = [models.UniqueConstraint(fields=["approval", "user"], name="one_vote_per_person")]

    def __str__(self) -> str:
        return f"{self.decision} by {self.user_id}"


class StandingApproval(models.Model):
    """A yes that is remembered: for one agent's calls of one tool, in one conversation or everywhere in the workspace."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    workspace = models.ForeignKey("workspaces.Workspace", models.CASCADE, related_name="standing_approvals")
    agent_slug = models.CharField(max_length=64)
    tool_name = models.CharField(max_length=128)
    conversation = models.ForeignKey(
        "conversations.Conversation",
        models.CASCADE,
        null=True,
        blank=True,
        related_name="standing_approvals",
        help_text="Only there; empty: everywhere in the workspace.",
    )
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["workspace", "agent_slug", "tool_name", "conversation"],
                name="one_standing_approval_there",
            ),
            models.UniqueConstraint(
                fields=["workspace", "agent_slug", "tool_name"],
                condition=Q(conversation=None),
                name="one_standing_approval",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.agent_slug}: {self.tool_name}"


class Steering(models.Model):
    """What a person said to a running agent. Its id is that of the message it becomes.

    `step` is the step before which it was told, once: null as long as nobody heard it.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    run = models.ForeignKey("conversations.Run", models.CASCADE, related_name="said")
    author = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    token_id = models.UUIDField(null=True, blank=True)
    client_id = models.CharField(max_length=128, blank=True)
    parts = models.JSONField(default=list)
    text = models.TextField()
    step = models.PositiveIntegerField(null=True, blank=True)
    follow_up = models.ForeignKey(
        "conversations.Run",
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        help_text="The run that answers it, where the one it was meant for ended first.",
    )
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["created_at", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["run", "author", "client_id"], condition=~Q(client_id=""), name="steered_once"
            )
        ]

    def __str__(self) -> str:
        return f"for {self.run_id}"
