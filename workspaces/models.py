"""People, workspaces (tenants), members, invitations, API tokens, socket tickets and provider keys.

Tokens, tickets and invitations are kept as SHA-256 of 256 random bits; the text itself is shown
once, at creation. Provider keys must be read back, so they are encrypted instead.
"""

from __future__ import annotations

import uuid

from django.contrib.auth.models import AbstractUser
from django.db import models
from django.db.models import Q
from django.utils import timezone

from workspaces.crypto import EncryptedTextField


class Theme(models.TextChoices):
    SYSTEM = "system", "System"
    LIGHT = "light", "Light"
    DARK = "dark", "Dark"


class Role(models.TextChoices):
    """What a member may do: a viewer watches, a member works, an admin configures, an owner decides who is in."""

    OWNER = "owner", "Owner"
    ADMIN = "admin", "Admin"
    MEMBER = "member", "Member"
    VIEWER = "viewer", "Viewer"


class User(AbstractUser):
    """A person who logs in. `name` is what others see; the login name when it is empty."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    first_name = None  # type: ignore[assignment]
    last_name = None  # type: ignore[assignment]
    name = models.CharField(max_length=150, blank=True)
    title = models.CharField(max_length=150, blank=True)
    timezone = models.CharField(max_length=64, default="UTC")
    about = models.TextField(max_length=2000, blank=True)
    theme = models.CharField(max_length=8, choices=Theme.choices, default=Theme.SYSTEM)
    shortcuts_enabled = models.BooleanField(default=True)
    notifications_enabled = models.BooleanField(
        default=False, db_default=False, help_text="The browser says when a long answer is ready."
    )

    class Meta:
        ordering = ["username"]

    def __str__(self) -> str:
        return self.display_name

    @property
    def display_name(self) -> str:
        return self.name or self.username

    def get_full_name(self) -> str:
        return self.display_name

    def get_short_name(self) -> str:
        return self.display_name


class Workspace(models.Model):
    """A tenant: nothing of one is ever seen from another."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    slug = models.SlugField(max_length=64, unique=True)
    name = models.CharField(max_length=150)
    plan = models.CharField(max_length=32, default="free")
    allow_personal_keys = models.BooleanField(
        default=True,
        help_text="Members may use provider keys of their own; theirs come before the workspace's.",
    )
    allow_share_links = models.BooleanField(
        default=True,
        db_default=True,
        help_text="Members may make read-only links that open without an account. Off: none of them works.",
    )
    require_two_step = models.BooleanField(
        default=False,
        db_default=False,
        help_text="Members get in by a browser only with an authenticator app or a passkey. API tokens stay as they are.",
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    deleted_at = models.DateTimeField(
        null=True, blank=True, help_text="Set: nobody gets in. Empty it again to bring the workspace back."
    )

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Membership(models.Model):
    """One person in one workspace."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=8, choices=Role.choices, default=Role.MEMBER)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["created_at"]
        constraints = [models.UniqueConstraint(fields=["workspace", "user"], name="membership_once")]

    def __str__(self) -> str:
        return f"{self.user} in {self.workspace} ({self.role})"


class Invitation(models.Model):
    """Lets somebody into a workspace: whoever has its link, or (with `email`) the person with that address."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="invitations")
    role = models.CharField(max_length=8, choices=Role.choices, default=Role.MEMBER)
    email = models.EmailField(blank=True, default="")
    digest = models.CharField(max_length=64, unique=True, editable=False)
    most_uses = models.PositiveIntegerField(
        null=True, blank=True, default=1, help_text="Empty: until it expires."
    )
    uses = models.PositiveIntegerField(default=0, editable=False)
    created_by = models.ForeignKey(
        User, on_delete=models.SET_NULL, null=True, editable=False, related_name="+"
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.CheckConstraint(
                condition=Q(most_uses__isnull=True) | Q(uses__lte=models.F("most_uses")),
                name="invitation_uses_within_most",
            )
        ]

    def __str__(self) -> str:
        return f"{self.email or 'link'} to {self.workspace} ({self.role})"


class ApiToken(models.Model):
    """A key to the API for one person in one workspace. Only its SHA-256 and last four characters are kept."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="api_tokens")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="api_tokens")
    name = models.CharField(max_length=100)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    last_four = models.CharField(max_length=4, editable=False)
    scopes = models.JSONField(
        default=list, blank=True, help_text='Empty: all that the person may. ["read"]: read only.'
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.name} (…{self.last_four})"

    @property
    def is_usable(self) -> bool:
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > timezone.now())


class SocketTicket(models.Model):
    """Opens one socket within 30 s of being made. `token` or `session_key` is what asked for it: it ends with that."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="+")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    token = models.ForeignKey(ApiToken, on_delete=models.CASCADE, null=True, related_name="+")
    session_key = models.CharField(max_length=40, blank=True, default="")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField(db_index=True)
    used_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"ticket of {self.user_id}"


class ProviderKey(models.Model):
    """A model provider's key: the workspace's (no user) or a person's own in that workspace."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="provider_keys")
    user = models.ForeignKey(
        User, on_delete=models.CASCADE, null=True, blank=True, related_name="provider_keys"
    )
    provider = models.CharField(max_length=64)
    secret = EncryptedTextField()
    last_four = models.CharField(max_length=4, editable=False)
    created_by = models.ForeignKey(
        User, on_delete=models.SET_NULL, null=True, editable=False, related_name="+"
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    first_used_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="When a call first went out with this secret."
    )

    class Meta:
        ordering = ["provider"]
        constraints = [
            models.UniqueConstraint(
                fields=["workspace", "provider"],
                condition=Q(user__isnull=True),
                name="provider_key_of_workspace_once",
            ),
            models.UniqueConstraint(
                fields=["workspace", "user", "provider"],
                condition=Q(user__isnull=False),
                name="provider_key_of_person_once",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.provider} (…{self.last_four})"


class AuditEvent(models.Model):
    """Who did what, when, from where, and how it went. Written by `audit.record` only, never changed.

    The database refuses UPDATE and DELETE (migration `audit_guards`). Plain ids instead of foreign keys: the event
    outlives the person, the token and the workspace it speaks of. Without a workspace it is the instance's.
    """

    class Who(models.TextChoices):
        USER = "user", "Person"
        TOKEN = "token", "API token"
        AGENT = "agent", "Agent"
        SYSTEM = "system", "Nexus"

    class Outcome(models.TextChoices):
        OK = "ok", "Done"
        DENIED = "denied", "Denied"
        FAILED = "failed", "Failed"

    id = models.BigAutoField(primary_key=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    workspace_id = models.UUIDField(null=True)
    who = models.CharField(max_length=8, choices=Who.choices)
    user_id = models.UUIDField(null=True, help_text="The person, also behind a token or an agent.")
    token_id = models.UUIDField(null=True)
    agent_slug = models.CharField(max_length=64, blank=True)
    action = models.CharField(max_length=32)
    target_type = models.CharField(max_length=32, blank=True)
    target_id = models.CharField(max_length=64, blank=True)
    target_name = models.CharField(max_length=200, blank=True)
    outcome = models.CharField(max_length=8, choices=Outcome.choices, default=Outcome.OK)
    metadata = models.JSONField(default=dict)
    request_id = models.CharField(max_length=64, blank=True)
    ip = models.CharField(max_length=45, blank=True)

    class Meta:
        ordering = ["-created_at", "-id"]
        indexes = [models.Index(fields=["workspace_id", "created_at", "id"], name="audit_of_workspace")]

    def __str__(self) -> str:
        return f"{self.action} at {self.created_at:%Y-%m-%d %H:%M}"


class AuditPruning(models.Model):
    """The switch that lets `manage.py audit_prune` take events away: while its transaction holds a row here, those
    before `before` may be deleted. Nobody else ever sees a row."""

    before = models.DateTimeField()

    def __str__(self) -> str:
        return f"events before {self.before:%Y-%m-%d}"
