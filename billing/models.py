"""Prices and attempts: what every request to a provider consumed and cost.

Money is an integer number of pico-USD (10⁻¹² USD); a price is pico-USD per token.
An attempt names its workspace, person, agent, conversation and run by plain UUIDs,
because their tables live on other floors and because money outlives them.
"""

from __future__ import annotations

import uuid
from typing import Any

from django.db import models
from django.db.models import F, Q

BUCKETS = ("input", "output", "cache_read", "cache_write_5m", "cache_write_1h", "reasoning")
"""The disjoint kinds of tokens, as in `nexus_core.usage.Usage`."""
FEES = ("per_request", "per_search")
"""What some providers ask by the piece besides."""


class PriceIsImmutable(Exception):
    """A price version was to be changed or deleted: add a new one from a date instead."""


class PriceVersion(models.Model):
    """What a token costs at a provider for a model, from a moment until another. Never edited.

    `model` is a name, or a prefix that ends in `*`. `context_over` is the tier: the row
    applies to requests with more input tokens than that; the rows of one version share
    `valid_from`. Overlap within (origin, provider, model, tier) is refused by the database.
    """

    class Origin(models.TextChoices):
        OVERRIDE = "override", "set here"
        CATALOGUE = "catalogue", "price table"
        HARDWARE = "hardware", "own hardware"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    origin = models.CharField(max_length=16, choices=Origin, default=Origin.OVERRIDE)
    provider = models.CharField(max_length=64)
    model = models.CharField(max_length=160)
    context_over = models.PositiveIntegerField(
        default=0, verbose_name="tier", help_text="Applies to requests with more input tokens than this."
    )
    valid_from = models.DateTimeField()
    valid_to = models.DateTimeField(null=True, blank=True, help_text="Empty: until further notice.")
    input = models.BigIntegerField(help_text="pico-USD per token: $1 per million tokens is 1000000.")
    output = models.BigIntegerField()
    cache_read = models.BigIntegerField()
    cache_write_5m = models.BigIntegerField()
    cache_write_1h = models.BigIntegerField()
    reasoning = models.BigIntegerField(null=True, blank=True, help_text="Empty: the same as output.")
    per_request = models.BigIntegerField(null=True, blank=True, help_text="pico-USD for each request.")
    per_search = models.BigIntegerField(null=True, blank=True, help_text="pico-USD for each web search.")
    source = models.CharField(max_length=200, blank=True, help_text="Where the numbers come from.")
    content_hash = models.CharField(max_length=64, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["provider", "model", "context_over", "-valid_from"]
        verbose_name = "price"
        constraints = [
            models.UniqueConstraint(
                fields=["origin", "provider", "model", "context_over", "valid_from"],
                name="price_once_per_date",
            ),
            models.CheckConstraint(
                condition=Q(valid_to__isnull=True) | Q(valid_to__gt=F("valid_from")),
                name="price_ends_after_start",
            ),
            models.CheckConstraint(
                condition=Q(
                    input__gte=0,
                    output__gte=0,
                    cache_read__gte=0,
                    cache_write_5m__gte=0,
                    cache_write_1h__gte=0,
                )
                & (Q(reasoning__isnull=True) | Q(reasoning__gte=0)),
                name="price_not_negative",
            ),
        ]

    def __str__(self) -> str:
        tier = f" over {self.context_over}" if self.context_over else ""
        return f"{self.provider}/{self.model}{tier} from {self.valid_from:%Y-%m-%d}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise PriceIsImmutable("A price is never changed: add a new one that begins at a date.")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> Any:
        raise PriceIsImmutable("A price is never deleted: attempts name it. Add a new one instead.")


class Attempt(models.Model):
    """One request to a provider: committed before bytes leave, settled once after."""

    class Status(models.TextChoices):
        RESERVED = "RESERVED"
        SENT = "SENT"
        STREAMING = "STREAMING"
        SETTLED = "SETTLED"
        RELEASED = "RELEASED"
        UNKNOWN = "UNKNOWN"

    OPEN = (Status.RESERVED, Status.SENT, Status.STREAMING)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    workspace_id = models.UUIDField()
    user_id = models.UUIDField(null=True, blank=True)
    token_id = models.UUIDField(null=True, blank=True)
    agent_id = models.UUIDField(null=True, blank=True)
    agent_slug = models.CharField(max_length=64, blank=True)
    conversation_id = models.UUIDField(null=True, blank=True)
    run_id = models.UUIDField(null=True, blank=True)
    epoch = models.PositiveIntegerField(default=0, help_text="Which owner of the run made it.")
    step = models.PositiveIntegerField(default=0, help_text="Which model call of the run.")
    number = models.PositiveIntegerField(default=1, help_text="Which try of that call.")

    provider = models.CharField(max_length=64)
    model = models.CharField(max_length=160)
    answered_model = models.CharField(max_length=160, blank=True)
    status = models.CharField(max_length=16, choices=Status, default=Status.RESERVED)
    max_tokens = models.PositiveIntegerField(default=0)
    prompt_chars = models.PositiveIntegerField(
        default=0, help_text="Characters that were sent: what a lost attempt is estimated from."
    )

    tokens_input = models.BigIntegerField(default=0)
    tokens_output = models.BigIntegerField(default=0)
    tokens_cache_read = models.BigIntegerField(default=0)
    tokens_cache_write_5m = models.BigIntegerField(default=0)
    tokens_cache_write_1h = models.BigIntegerField(default=0)
    tokens_reasoning = models.BigIntegerField(default=0)
    searches = models.PositiveIntegerField(null=True, blank=True, help_text="Web searches that were charged.")
    estimated = models.BooleanField(default=False, help_text="The provider never said; counted here.")
    price = models.ForeignKey(PriceVersion, models.PROTECT, null=True, blank=True, related_name="attempts")
    cost_input = models.BigIntegerField(null=True, blank=True, help_text="pico-USD; empty: unpriced.")
    cost_output = models.BigIntegerField(null=True, blank=True)
    cost_total = models.BigIntegerField(null=True, blank=True)

    success = models.BooleanField(null=True, blank=True)
    error_code = models.CharField(max_length=64, blank=True)
    stop_reason = models.CharField(max_length=32, blank=True)
    request_id = models.CharField(max_length=200, blank=True)
    reserved_at = models.DateTimeField()
    first_token_ms = models.PositiveIntegerField(null=True, blank=True)
    duration_ms = models.PositiveIntegerField(null=True, blank=True)
    settled_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-reserved_at"]
        verbose_name = "provider request"
        indexes = [
            models.Index(fields=["workspace_id", "-reserved_at"], name="attempt_recent"),
            models.Index(fields=["conversation_id", "reserved_at"], name="attempt_by_conversation"),
            models.Index(fields=["run_id", "step", "number"], name="attempt_by_run"),
            models.Index(
                fields=["run_id"],
                condition=Q(status__in=["RESERVED", "SENT", "STREAMING"]),
                name="attempt_open",
            ),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(
                    tokens_input__gte=0,
                    tokens_output__gte=0,
                    tokens_cache_read__gte=0,
                    tokens_cache_write_5m__gte=0,
                    tokens_cache_write_1h__gte=0,
                    tokens_reasoning__gte=0,
                ),
                name="attempt_tokens_not_negative",
            ),
            models.CheckConstraint(
                condition=Q(cost_total__isnull=True, cost_input__isnull=True, cost_output__isnull=True)
                | Q(
                    cost_input__gte=0,
                    cost_output__gte=0,
                    cost_total__gte=0,
                    cost_total=F("cost_input") + F("cost_output"),
                    price__isnull=False,
                ),
                name="attempt_cost_whole_or_unpriced",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.provider}/{self.model} {self.status}"

    @property
    def tokens_total(self) -> int:
        return (
            self.tokens_input
            + self.tokens_output
            + self.tokens_cache_read
            + self.tokens_cache_write_5m
            + self.tokens_cache_write_1h
            + self.tokens_reasoning
        )


class UsageHour(models.Model):
    """The sums of all attempts of one hour that share every key below: what the dashboard adds up instead of them.

    Derived, exact and disposable: written by `billing.sealing` for hours that are over, before the workspace's
    `UsageSeal.until`, and made again when one of their attempts is changed. Times are kept one by one
    (milliseconds, parted by spaces), so that percentiles over any rows are those of the attempts.
    """

    workspace_id = models.UUIDField()
    hour = models.DateTimeField(help_text="Its beginning, a whole hour of UTC.")
    user_id = models.UUIDField(null=True)
    agent_slug = models.CharField(max_length=64)
    conversation_id = models.UUIDField(null=True)
    provider = models.CharField(max_length=64)
    model = models.CharField(max_length=160)
    purpose = models.CharField(max_length=8)
    price_id = models.UUIDField(null=True, help_text="Empty: none of these attempts has a cost.")

    requests = models.PositiveIntegerField()
    errors = models.PositiveIntegerField()
    estimated = models.PositiveIntegerField()
    unpriced = models.PositiveIntegerField()
    priced = models.PositiveIntegerField()
    retries = models.PositiveIntegerField()
    fallbacks = models.PositiveIntegerField()
    lost = models.PositiveIntegerField()
    tokens_input = models.BigIntegerField()
    tokens_output = models.BigIntegerField()
    tokens_cache_read = models.BigIntegerField()
    tokens_cache_write_5m = models.BigIntegerField()
    tokens_cache_write_1h = models.BigIntegerField()
    tokens_reasoning = models.BigIntegerField()
    cost_input = models.BigIntegerField()
    cost_output = models.BigIntegerField()
    cost_total = models.BigIntegerField()
    first_tokens = models.TextField()
    durations = models.TextField()

    class Meta:
        verbose_name = "hour of usage"
        indexes = [models.Index(fields=["workspace_id", "hour"], name="usage_hour_in_order")]

    def __str__(self) -> str:
        return f"{self.hour:%Y-%m-%d %H}h {self.agent_slug} {self.model}"


class UsageSeal(models.Model):
    """Until when a workspace's hours are added up. A trigger draws it back where an older attempt is written."""

    workspace_id = models.UUIDField(primary_key=True)
    until = models.DateTimeField(
        help_text="A whole hour; what begins here or later is read from the attempts."
    )

    def __str__(self) -> str:
        return f"until {self.until:%Y-%m-%d %H}h"


# Django looks for models here.
from .budget_models import Budget as Budget  # noqa: E402
from .budget_models import BudgetAlert as BudgetAlert  # noqa: E402
from .budget_models import BudgetPeriod as BudgetPeriod  # noqa: E402
from .budget_models import LedgerEntry as LedgerEntry  # noqa: E402
from .budget_models import Reservation as Reservation  # noqa: E402
from .plan_models import Plan as Plan  # noqa: E402
