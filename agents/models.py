"""Agents, the addresses of model providers, and the news feeds that `fetch_news` reads.

An agent is a row of its workspace: prompt, model, limits, tools. A provider endpoint
belongs to the whole instance and stands in for the row of the same name in the table
of `nexus_core.providers`; only operators (superusers) edit it. Keys are not kept here:
they are in the environment or in `workspaces.ProviderKey`.
"""

from __future__ import annotations

import uuid

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator, URLValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone

MOST_TOKENS = 1_000_000
LONGEST_TOOL_MS = 600_000
MOST_TOOL_STEPS = 50
MOST_PASSAGES = 50
MOST_APPROVERS = 20
SHORTEST_EXPIRY, LONGEST_EXPIRY = 10, 30 * 24 * 3600
"""Seconds that people have to decide."""


class Reasoning(models.TextChoices):
    """How much the model thinks before it answers, where it can."""

    OFF = "off", "Off"
    LOW = "low", "Low"
    MEDIUM = "medium", "Medium"
    HIGH = "high", "High"


class ApprovalRole(models.TextChoices):
    """Who may decide on a call that waits: this role and those above it."""

    MEMBER = "member", "Members"
    ADMIN = "admin", "Admins and owners"
    OWNER = "owner", "Owners"


class Agent(models.Model):
    """One agent of one workspace; on the wire its `id` is the slug."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    workspace = models.ForeignKey("workspaces.Workspace", models.CASCADE, related_name="agents")
    slug = models.SlugField(max_length=64, help_text="Its id in the API and in addresses.")
    name = models.CharField(max_length=100)
    description = models.CharField(max_length=500, blank=True)
    icon = models.CharField(max_length=16, blank=True, help_text="An emoji.")
    kind = models.CharField(
        max_length=64,
        default="model",
        help_text="“model”, or the name of a registered agent class.",
    )
    provider = models.CharField(max_length=64)
    model = models.CharField(max_length=160)
    system_prompt = models.TextField(blank=True, max_length=100_000)
    temperature = models.FloatField(
        null=True,
        blank=True,
        default=0.7,
        validators=[MinValueValidator(0), MaxValueValidator(2)],
        help_text="0 to 2. Empty: the provider's own default. Left out for models that refuse it.",
    )
    max_tokens = models.PositiveIntegerField(
        default=2000,
        validators=[MinValueValidator(1), MaxValueValidator(MOST_TOKENS)],
        help_text="The longest answer of one model call, thinking included.",
    )
    reasoning = models.CharField(max_length=8, choices=Reasoning, default=Reasoning.OFF)
    tools = models.JSONField(default=list, blank=True)
    tool_approval = models.JSONField(
        default=list, blank=True, help_text="Tools that wait until a person allows the call."
    )
    approval_role = models.CharField(
        max_length=8,
        choices=ApprovalRole,
        default=ApprovalRole.MEMBER,
        db_default=ApprovalRole.MEMBER,
        help_text="Who may decide on its waiting calls.",
    )
    approval_quorum = models.PositiveIntegerField(
        default=1,
        db_default=1,
        validators=[MinValueValidator(1), MaxValueValidator(MOST_APPROVERS)],
        help_text="How many different people must say yes. One no is enough to deny.",
    )
    approval_expiry = models.PositiveIntegerField(
        default=86_400,
        db_default=86_400,
        validators=[MinValueValidator(SHORTEST_EXPIRY), MaxValueValidator(LONGEST_EXPIRY)],
        help_text="Seconds to decide; then the call is denied.",
    )
    approval_rules = models.JSONField(
        default=list,
        db_default=models.Value([], models.JSONField()),
        blank=True,
        help_text='Per tool, in place of the above: [{"tool": …, "when": JSON schema of the arguments, '
        '"role": …, "quorum": …, "expiry": …}].',
    )
    fallback = models.JSONField(
        default=list,
        blank=True,
        help_text='Tried in order when the first fails: [{"provider": …, "model": …}].',
    )
    tool_call_timeout = models.PositiveIntegerField(
        default=5000,
        validators=[MinValueValidator(100), MaxValueValidator(LONGEST_TOOL_MS)],
        help_text="Milliseconds a tool may take.",
    )
    max_consecutive_tool_calls = models.PositiveIntegerField(
        default=5,
        validators=[MinValueValidator(1), MaxValueValidator(MOST_TOOL_STEPS)],
        help_text="Model calls in a row that may ask for tools.",
    )
    rag_enabled = models.BooleanField(default=False)
    rag_model = models.CharField(max_length=160, default="text-embedding-3-small", blank=True)
    rag_top_k = models.PositiveIntegerField(
        default=5, validators=[MinValueValidator(1), MaxValueValidator(MOST_PASSAGES)]
    )
    starters = models.JSONField(
        default=list, blank=True, help_text="Prompts offered before the first message."
    )
    is_premium = models.BooleanField(default=False)
    is_active = models.BooleanField(default=True)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.CASCADE,
        null=True,
        blank=True,
        related_name="+",
        help_text="Only this person sees the agent. Empty: everyone in the workspace.",
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)
    deleted_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering = ["created_at", "name"]
        constraints = [
            models.UniqueConstraint(
                fields=["workspace", "slug"], condition=Q(deleted_at__isnull=True), name="agent_slug_once"
            ),
            models.CheckConstraint(
                condition=Q(temperature__isnull=True) | Q(temperature__gte=0, temperature__lte=2),
                name="agent_temperature_range",
            ),
            models.CheckConstraint(
                condition=Q(max_tokens__gte=1, max_tokens__lte=MOST_TOKENS), name="agent_max_tokens_range"
            ),
            models.CheckConstraint(
                condition=Q(tool_call_timeout__gte=100, tool_call_timeout__lte=LONGEST_TOOL_MS),
                name="agent_tool_timeout_range",
            ),
            models.CheckConstraint(
                condition=Q(
                    max_consecutive_tool_calls__gte=1, max_consecutive_tool_calls__lte=MOST_TOOL_STEPS
                ),
                name="agent_tool_steps_range",
            ),
            models.CheckConstraint(
                condition=Q(rag_top_k__gte=1, rag_top_k__lte=MOST_PASSAGES), name="agent_rag_top_k_range"
            ),
            models.CheckConstraint(condition=Q(reasoning__in=Reasoning.values), name="agent_reasoning_known"),
        ]

    def __str__(self) -> str:
        return self.name


class ProviderEndpoint(models.Model):
    """Where a provider is reached, for the whole instance; used in place of the shipped row of that name."""

    name = models.SlugField(primary_key=True, max_length=64)
    label = models.CharField(max_length=100)
    wire = models.CharField(max_length=32, help_text="The protocol it speaks.")
    base_url = models.CharField(max_length=500, blank=True, help_text="Empty: the SDK's own address.")
    base_url_var = models.CharField(
        max_length=100, blank=True, help_text="Environment variable that overrides the address."
    )
    key_vars = models.JSONField(
        default=list,
        blank=True,
        help_text="Environment variables that may hold the key; the first found wins.",
    )
    headers = models.JSONField(default=dict, blank=True, help_text="Sent with every request. No keys here.")
    price_id = models.CharField(
        max_length=64, blank=True, help_text="Its name in the price table, if another."
    )
    free = models.BooleanField(default=False, help_text="Runs on own hardware: priced 0.")
    sends_cache_key = models.BooleanField(default=False)
    note = models.CharField(max_length=200, blank=True, help_text="Shown beside the name.")
    is_enabled = models.BooleanField(default=True)
    seeded = models.CharField(
        max_length=64,
        blank=True,
        editable=False,
        help_text="Hash of the shipped row it was made from: as long as it fits, updates follow the shipped row.",
    )
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["label"]

    def __str__(self) -> str:
        return self.label


class NewsCategory(models.TextChoices):
    TECH = "tech", "Technology"
    BUSINESS = "business", "Business"
    SPORTS = "sports", "Sports"
    WORLD = "world", "World"
    SCIENCE = "science", "Science"


class NewsFeed(models.Model):
    """An RSS or Atom address that `fetch_news` reads."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    url = models.CharField(
        max_length=500,
        unique=True,
        validators=[URLValidator(schemes=["http", "https"])],
        verbose_name="address",
    )
    category = models.CharField(max_length=16, choices=NewsCategory)
    title = models.CharField(max_length=100)
    is_active = models.BooleanField(default=True)

    class Meta:
        ordering = ["category", "title"]

    def __str__(self) -> str:
        return self.title
