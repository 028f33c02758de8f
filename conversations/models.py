"""Conversations, messages, runs, steps, tool calls and the run log.

The log (`RunChunk`) is the truth of a run: seq 1..n without hole or repeat. A run
belongs to one owner at a time, told by `epoch`; every write of a run names its
epoch, so that a stopped and continued owner writes nothing more. Money lives in
`billing.Attempt`, which names these rows by plain UUIDs.
"""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now


class Conversation(models.Model):
    """A line of messages with one or several agents (the documents' session, thread, task)."""

    class Status(models.TextChoices):
        ACTIVE = "active"
        ARCHIVED = "archived"

    class Visibility(models.TextChoices):
        WORKSPACE = "workspace"
        PRIVATE = "private"
        SHARED = "shared"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    workspace = models.ForeignKey("workspaces.Workspace", models.CASCADE, related_name="conversations")
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="conversations"
    )
    title = models.CharField(max_length=200, blank=True)
    titled_by_person = models.BooleanField(default=False)
    agent_slug = models.CharField(max_length=64, blank=True, help_text="The agent that answers by default.")
    model = models.CharField(
        max_length=160, blank=True, help_text="provider/model chosen with /model, or empty."
    )
    status = models.CharField(max_length=16, choices=Status, default=Status.ACTIVE)
    visibility = models.CharField(max_length=16, choices=Visibility, default=Visibility.WORKSPACE)
    temporary = models.BooleanField(
        default=False,
        db_default=False,
        help_text="In no list and no search; removed for good a day after its last message.",
    )
    message_count = models.PositiveIntegerField(default=0)
    forked_from = models.ForeignKey(
        "self",
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="forks",
        help_text="The conversation whose beginning was copied here.",
    )
    created_at = models.DateTimeField(db_default=Now(), db_index=True)
    updated_at = models.DateTimeField(db_default=Now())
    last_active_at = models.DateTimeField(db_default=Now())
    deleted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["workspace", "status", "-last_active_at"], name="conversation_recent"),
            models.Index(fields=["created_by", "status"], name="conversation_by_person"),
            models.Index(
                fields=["last_active_at"], condition=Q(temporary=True), name="conversation_temporary"
            ),
        ]

    def __str__(self) -> str:
        return self.title or "New conversation"


class ConversationMark(models.Model):
    """What one person keeps of a conversation: pinned, read until."""

    conversation = models.ForeignKey(Conversation, models.CASCADE, related_name="marks")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    pinned = models.BooleanField(default=False)
    read_at = models.DateTimeField(null=True, blank=True)
    read_number = models.PositiveIntegerField(
        default=0, db_default=0, help_text="The number of the newest message this person has seen."
    )

    class Meta:
        constraints = [models.UniqueConstraint(fields=["conversation", "user"], name="one_mark_per_person")]

    def __str__(self) -> str:
        return f"{self.user_id} in {self.conversation_id}"


class ConversationShare(models.Model):
    """A person a `shared` conversation is open to, beside its creator. In other conversations it means nothing."""

    class Right(models.TextChoices):
        VIEW = "view"
        WRITE = "write"

    conversation = models.ForeignKey(Conversation, models.CASCADE, related_name="shares")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    right = models.CharField(max_length=8, choices=Right, default=Right.WRITE, db_default=Right.WRITE)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["conversation", "user"], name="one_share_per_person")]

    def __str__(self) -> str:
        return f"{self.conversation_id} with {self.user_id}"


class Message(models.Model):
    """One turn. `content` is all its visible text, `parts` what it is made of.

    Parts: `{"type": "text", "text"}`, `{"type": "image", "fileId", "mediaType", "name"}`,
    `{"type": "reasoning", "text", "durationMs"}`, `{"type": "tool_call", "toolId", …as the chunk}`.
    """

    class Role(models.TextChoices):
        SYSTEM = "system"
        USER = "user"
        ASSISTANT = "assistant"
        TOOL = "tool"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    conversation = models.ForeignKey(Conversation, models.CASCADE, related_name="messages")
    parent = models.ForeignKey("self", models.SET_NULL, null=True, blank=True, related_name="children")
    number = models.PositiveIntegerField(
        help_text="1, 2, 3 … in the order of arrival within the conversation."
    )
    role = models.CharField(max_length=16, choices=Role)
    content = models.TextField(blank=True)
    parts = models.JSONField(default=list)
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+"
    )
    author_name = models.CharField(  # noqa: DJ001
        max_length=150,
        null=True,  # not empty: SQLite adds a column that may be null without writing the table anew
        blank=True,
        help_text="Of an imported message of somebody else: who the file says wrote it.",
    )
    agent_slug = models.CharField(max_length=64, blank=True)
    run_id = models.UUIDField(null=True, blank=True, db_index=True)
    superseded = models.BooleanField(default=False)
    clears_history = models.BooleanField(
        default=False, help_text="/clear: earlier messages are no longer sent."
    )
    continues_id = models.UUIDField(
        null=True, blank=True, help_text="The answer, cut by its length, that this message lets go on."
    )
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["number"]
        constraints = [
            models.UniqueConstraint(fields=["conversation", "number"], name="message_number_unique")
        ]

    def __str__(self) -> str:
        return f"{self.role} #{self.number}"

    @property
    def kinds(self) -> list[str]:
        """The documents' kinds [C5] as views of the parts: thought, action, message."""
        found = {part.get("type") for part in self.parts}
        names = [("reasoning", "thought"), ("tool_call", "action"), ("text", "message")]
        return [kind for part, kind in names if part in found] or ["message"]


class MessageFeedback(models.Model):
    """What one person thinks of an answer: good or poor, and why. Theirs alone; admins read it."""

    class Rating(models.TextChoices):
        GOOD = "good"
        POOR = "poor"

    message = models.ForeignKey(Message, models.CASCADE, related_name="feedback")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    rating = models.CharField(max_length=8, choices=Rating)
    comment = models.TextField(blank=True)
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name_plural = "message feedback"
        constraints = [models.UniqueConstraint(fields=["message", "user"], name="one_feedback_per_person")]

    def __str__(self) -> str:
        return f"{self.rating} by {self.user_id}"


class Upload(models.Model):
    """A file that came through `POST /api/files`; stored under a name of ours."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    workspace = models.ForeignKey("workspaces.Workspace", models.CASCADE, related_name="+")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    conversation = models.ForeignKey(
        Conversation, models.CASCADE, null=True, blank=True, related_name="uploads"
    )
    name = models.CharField(max_length=200)
    media_type = models.CharField(max_length=100)
    size = models.PositiveIntegerField()
    sha256 = models.CharField(max_length=64)
    path = models.CharField(max_length=200)
    created_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return self.name


class Run(models.Model):
    """One user message and all that the agent does until it stops."""

    class Status(models.TextChoices):
        QUEUED = "queued"
        RUNNING = "running"
        WAITING = "waiting"
        COMPLETE = "complete"
        CANCELLED = "cancelled"
        FAILED = "failed"

    LIVE = (Status.RUNNING, Status.WAITING)
    UNFINISHED = (Status.QUEUED, Status.RUNNING, Status.WAITING)
    MOST_EPOCHS = 5

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    workspace = models.ForeignKey("workspaces.Workspace", models.CASCADE, related_name="runs")
    conversation = models.ForeignKey(Conversation, models.CASCADE, related_name="runs")
    agent = models.ForeignKey("agents.Agent", models.SET_NULL, null=True, related_name="+")
    agent_slug = models.CharField(max_length=64)
    message = models.ForeignKey(Message, models.CASCADE, related_name="runs")
    answer_id = models.UUIDField(default=uuid.uuid4, help_text="The id its answer has, or will have.")
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    token_id = models.UUIDField(null=True, blank=True)
    client_id = models.CharField(max_length=128, blank=True)
    body_hash = models.CharField(max_length=64, blank=True)
    policy = models.CharField(max_length=16, default="reject")
    model_override = models.CharField(max_length=160, blank=True)
    resumed_from = models.ForeignKey(
        "self", models.SET_NULL, null=True, blank=True, related_name="resumed_as"
    )

    status = models.CharField(max_length=16, choices=Status, default=Status.QUEUED)
    epoch = models.PositiveIntegerField(default=0)
    handovers = models.PositiveIntegerField(
        default=0,
        db_default=0,
        help_text="How many of its owners stopped in good order; the others were lost.",
    )
    owner = models.CharField(max_length=80, blank=True)
    heartbeat_at = models.DateTimeField(null=True, blank=True)
    last_seq = models.PositiveIntegerField(default=0)
    cancel_requested_at = models.DateTimeField(null=True, blank=True)
    cancelled_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+"
    )
    superseded = models.BooleanField(default=False)
    waiting_since = models.DateTimeField(null=True, blank=True)
    waited_ms = models.PositiveBigIntegerField(
        default=0, db_default=0, help_text="How long it waited for people; no part of its duration."
    )
    controlled_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        help_text="Who took control of it; null: whoever asked.",
    )
    steerings = models.PositiveIntegerField(
        default=0, db_default=0, help_text="How many things that were said to it nobody heard yet."
    )
    tail_id = models.UUIDField(
        null=True, blank=True, help_text="The message its answer hangs below, where people steered it."
    )
    control_fence = models.PositiveIntegerField(
        default=0, db_default=0, help_text="Moves with each hand-over of control: the fencing token."
    )

    provider = models.CharField(max_length=64, blank=True)
    model = models.CharField(max_length=160, blank=True)
    stop_reason = models.CharField(max_length=32, blank=True)
    error_code = models.CharField(max_length=64, blank=True)
    error_message = models.TextField(blank=True)
    tokens_input = models.BigIntegerField(default=0)
    tokens_output = models.BigIntegerField(default=0)
    tokens_cache_read = models.BigIntegerField(default=0)
    tokens_cache_write = models.BigIntegerField(default=0)
    tokens_reasoning = models.BigIntegerField(default=0)
    cost_input = models.BigIntegerField(
        null=True, blank=True, default=0, help_text="pico-USD; null: unpriced"
    )
    cost_output = models.BigIntegerField(null=True, blank=True, default=0)
    context_tokens = models.PositiveBigIntegerField(
        null=True,
        blank=True,
        help_text="What the last model call took in and gave out: how full its window was.",
    )
    estimated = models.BooleanField(default=False)
    confidence = models.FloatField(null=True, blank=True)
    first_token_ms = models.PositiveIntegerField(null=True, blank=True)
    created_at = models.DateTimeField(db_default=Now())
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    packed_at = models.DateTimeField(
        null=True, blank=True, help_text="When its log was packed, after its end (`services/packing.py`)."
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["conversation", "agent_slug"],
                condition=Q(status__in=["running", "waiting"]),
                name="one_live_run_per_agent",
            ),
            models.UniqueConstraint(
                fields=["workspace", "requested_by", "client_id"],
                condition=~Q(client_id=""),
                name="client_id_unique_per_person",
            ),
        ]
        indexes = [
            models.Index(fields=["conversation", "created_at"], name="run_by_conversation"),
            models.Index(
                fields=["heartbeat_at"],
                condition=Q(status__in=["queued", "running"]),
                name="run_unfinished",
            ),
            models.Index(
                fields=["finished_at"],
                condition=Q(status__in=["complete", "cancelled", "failed"], packed_at=None),
                name="run_to_pack",
            ),
            models.Index(
                fields=["workspace", "created_at"],
                condition=Q(epoch__gt=1) | Q(resumed_from__isnull=False),
                name="run_recovered",
            ),
            models.Index(
                fields=["workspace"], condition=Q(waiting_since__isnull=False), name="run_waiting_for_people"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.agent_slug} {self.status}"

    @property
    def finished(self) -> bool:
        return self.status not in self.UNFINISHED


class RunChunk(models.Model):
    """One chunk of a run, immutable. `wire` is the chunk's JSON text as it is sent.

    After the run's end up to `log.MOST_IN_PACK` rows become one: `packed` holds their chunks, `seq` is
    that of the last of them, type `pack`. So read it through `conversations.log` only.
    """

    run = models.ForeignKey(Run, models.CASCADE, related_name="chunks")
    seq = models.PositiveIntegerField()
    type = models.CharField(max_length=16)
    wire = models.TextField()
    packed = models.BinaryField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run", "seq"], name="seq_unique_per_run")]

    def __str__(self) -> str:
        return f"{self.run_id} {self.seq}"


class Step(models.Model):
    """A completed model call inside a run: what a takeover or a resume goes on from."""

    run = models.ForeignKey(Run, models.CASCADE, related_name="steps")
    index = models.PositiveIntegerField()
    epoch = models.PositiveIntegerField()
    last_seq = models.PositiveIntegerField(help_text="Last seq of the run when this step was complete.")
    stop_reason = models.CharField(max_length=32)
    parts = models.JSONField(
        default=list, help_text="The assistant turn, replayed unchanged to its provider."
    )
    usage = models.JSONField(default=dict)
    cost_input = models.BigIntegerField(null=True, default=0)
    cost_output = models.BigIntegerField(null=True, default=0)
    provider = models.CharField(max_length=64)
    model = models.CharField(max_length=160)
    attempt_id = models.UUIDField()
    digest = models.BinaryField(
        max_length=32,
        null=True,
        help_text="SHA-256 of its content (`checkpoints.py`); null: older than digests.",
    )
    started_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["index"]
        constraints = [models.UniqueConstraint(fields=["run", "index"], name="step_unique_per_run")]

    def __str__(self) -> str:
        return f"step {self.index}"


class ToolCall(models.Model):
    """A tool call as the documents record it [T7]; its id is the wire's `toolId`."""

    class Status(models.TextChoices):
        PENDING = "PENDING"
        RUNNING = "RUNNING"
        COMPLETED = "COMPLETED"
        FAILED = "FAILED"
        UNKNOWN = "UNKNOWN"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    run = models.ForeignKey(Run, models.CASCADE, related_name="tool_calls")
    conversation = models.ForeignKey(Conversation, models.CASCADE, related_name="tool_calls")
    message_id = models.UUIDField(db_index=True, help_text="The answer it belongs to.")
    step = models.PositiveIntegerField(default=0)
    position = models.PositiveIntegerField(default=0, help_text="Order within its step.")
    call_id = models.CharField(max_length=200, help_text="The provider's own id.")
    tool_name = models.CharField(max_length=128)
    input = models.JSONField(default=dict)
    status = models.CharField(max_length=16, choices=Status, default=Status.PENDING)
    result = models.JSONField(null=True, blank=True)
    error = models.TextField(blank=True)
    duration_ms = models.PositiveIntegerField(null=True, blank=True)
    created_at = models.DateTimeField(db_default=Now())
    started_at = models.DateTimeField(null=True, blank=True)
    completed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["created_at", "step", "position"]
        indexes = [
            models.Index(fields=["conversation", "created_at"], name="tool_call_by_conversation"),
            # All that the usage page asks of a call, so that it reads no inputs and results.
            models.Index(
                fields=["created_at", "tool_name", "status", "duration_ms", "conversation"],
                name="tool_call_times",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.tool_name} {self.status}"


class Task(models.Model):
    """Something to do that an agent or a person noted (tool `create_task`)."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    workspace = models.ForeignKey("workspaces.Workspace", models.CASCADE, related_name="tasks")
    conversation = models.ForeignKey(
        Conversation, models.SET_NULL, null=True, blank=True, related_name="tasks"
    )
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    title = models.CharField(max_length=200)
    detail = models.TextField(blank=True)
    done = models.BooleanField(default=False)
    due_on = models.DateField(null=True, blank=True)
    created_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return self.title


from .approval_models import Approval as Approval  # noqa: E402
from .approval_models import ApprovalVote as ApprovalVote  # noqa: E402
from .approval_models import StandingApproval as StandingApproval  # noqa: E402
from .approval_models import Steering as Steering  # noqa: E402
from .draft_models import Draft as Draft  # noqa: E402
from .sharing_models import ConversationImport as ConversationImport  # noqa: E402  (Django looks for models here)
from .sharing_models import ShareLink as ShareLink  # noqa: E402
