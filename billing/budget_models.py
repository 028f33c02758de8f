"""Budgets, what is spent and reserved of them, and the ledger that says why. Whole pico-USD everywhere.

A budget never changes its sums: each of its periods is a row, made at its first call, and nothing is reset.
"""

from __future__ import annotations

import uuid
from typing import Any

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from workspaces.crypto import EncryptedTextField

MOST_PICO = 9_000_000 * 10**12
"""Nine million dollars: what fits into 64 bits."""


def alerts_default() -> list[int]:
    return [50, 80, 100]


class Budget(models.Model):
    """How much may be spent in a period by a workspace, or by one person, agent, token or conversation of it."""

    class Scope(models.TextChoices):
        WORKSPACE = "workspace", "Workspace"
        USER = "user", "Person"
        AGENT = "agent", "Agent"
        TOKEN = "token", "API token"
        CONVERSATION = "conversation", "Conversation"

    class Period(models.TextChoices):
        DAY = "day", "Day"
        MONTH = "month", "Month"
        TOTAL = "total", "In all"

    class OnEnd(models.TextChoices):
        SHRINK = "shrink", "Shorter answers, then refuse"
        REFUSE = "refuse", "Refuse"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    workspace_id = models.UUIDField()
    scope = models.CharField(max_length=16, choices=Scope, default=Scope.WORKSPACE)
    scope_id = models.CharField(
        max_length=64,
        blank=True,
        help_text="The id of the person, token or conversation, or the agent's name on the wire; empty: the workspace.",
    )
    name = models.CharField(max_length=100, blank=True)
    period = models.CharField(max_length=8, choices=Period, default=Period.MONTH)
    limit = models.BigIntegerField(db_column="limit_pico", help_text="pico-USD.")
    hard = models.BooleanField(default=True, help_text="Off: it only warns.")
    on_end = models.CharField(max_length=8, choices=OnEnd, default=OnEnd.SHRINK)
    alert_at = models.JSONField(
        default=alerts_default, blank=True, help_text="Percentages, once each a period."
    )
    ceiling = models.BigIntegerField(
        null=True,
        blank=True,
        help_text="pico-USD that a token of an unknown price counts for. Empty: such calls are refused if this is hard.",
    )
    email = models.BooleanField(
        default=True, help_text="Alerts by e-mail to admins, and to whom it is about."
    )
    webhook_url = models.CharField(max_length=500, blank=True)
    webhook_secret = EncryptedTextField(blank=True, default="")
    from_plan = models.BooleanField(default=False, editable=False)
    created_by_id = models.UUIDField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    deleted_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering = ["created_at", "id"]
        indexes = [
            models.Index(fields=["workspace_id"], condition=Q(deleted_at=None), name="budget_in_force"),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(limit__gte=0, limit__lte=MOST_PICO), name="budget_limit_sane"),
            models.CheckConstraint(
                condition=Q(ceiling__isnull=True) | Q(ceiling__gte=0), name="budget_ceiling_not_negative"
            ),
            models.CheckConstraint(
                condition=Q(scope="workspace", scope_id="") | (~Q(scope="workspace") & ~Q(scope_id="")),
                name="budget_of_something",
            ),
            models.UniqueConstraint(
                fields=["workspace_id"],
                condition=Q(from_plan=True, deleted_at=None),
                name="budget_of_plan_once",
            ),
        ]

    def __str__(self) -> str:
        return self.title

    @property
    def title(self) -> str:
        """What people are told: its name, or what it is of."""
        of = "" if self.scope == self.Scope.WORKSPACE else f" of the {self.get_scope_display().lower()}"
        span = {"day": "day", "month": "month"}.get(self.period, "total")
        return self.name or f"{span} budget{of}"


class BudgetPeriod(models.Model):
    """What was spent and is reserved of a budget in one day, one month (UTC), or in all. Never reset.

    `next_alert` is the sum at which somebody is told next; empty: at none any more.
    """

    budget = models.ForeignKey(Budget, models.PROTECT, related_name="periods")
    key = models.CharField(max_length=10, help_text="2026-11-21, 2026-11 or total.")
    spent = models.BigIntegerField(default=0)
    reserved = models.BigIntegerField(default=0)
    next_alert = models.BigIntegerField(null=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["budget", "key"], name="budget_period_once"),
        ]

    def __str__(self) -> str:
        return f"{self.budget_id} {self.key}"


class Reservation(models.Model):
    """What one attempt holds of one period, until it is settled. The row stays: it says what counts for which period.

    A tool call that cost something has one too, under its own id, that never held anything. `ceiling` is the price
    a token of an unknown price counts for.
    """

    attempt_id = models.UUIDField()
    period = models.ForeignKey(BudgetPeriod, models.PROTECT, related_name="reservations")
    amount = models.BigIntegerField()
    ceiling = models.BigIntegerField(null=True)
    open = models.BooleanField(default=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["attempt_id", "period"], name="reservation_once"),
            models.CheckConstraint(condition=Q(amount__gte=0), name="reservation_not_negative"),
        ]
        indexes = [models.Index(fields=["created_at"], condition=Q(open=True), name="reservation_open")]

    def __str__(self) -> str:
        return f"{self.amount} for {self.attempt_id}"


class LedgerIsAppendOnly(Exception):
    """An entry was to be changed or deleted: write a correction instead."""


class LedgerEntry(models.Model):
    """One line of the ledger. The database refuses to change or delete it (migration `ledger_guards`).

    An attempt has exactly one entry that closes it, a settlement or a release, and any number of signed
    corrections. A tool call that reported a cost has one. `amount` is empty where no price is known; `at_ceiling`
    says that it was counted at a budget's ceiling instead of a price. `numbers` are the multiplied numbers as JSON:
    bucket to [count, pico-USD each].
    """

    class Kind(models.TextChoices):
        SETTLEMENT = "settlement"
        RELEASE = "release"
        TOOL = "tool"
        CORRECTION = "correction"

    CLOSING = (Kind.SETTLEMENT, Kind.RELEASE)

    id = models.BigAutoField(primary_key=True)
    kind = models.CharField(max_length=12, choices=Kind)
    workspace_id = models.UUIDField()
    attempt_id = models.UUIDField(null=True)
    tool_id = models.UUIDField(null=True)
    user_id = models.UUIDField(null=True)
    token_id = models.UUIDField(null=True)
    agent_slug = models.CharField(max_length=64, blank=True)
    conversation_id = models.UUIDField(null=True)
    run_id = models.UUIDField(null=True)
    provider = models.CharField(max_length=64, blank=True)
    model = models.CharField(max_length=160, blank=True)
    price_id = models.UUIDField(null=True)
    cost_input = models.BigIntegerField(null=True)
    cost_output = models.BigIntegerField(null=True)
    amount = models.BigIntegerField(null=True, help_text="pico-USD, signed; empty: unpriced.")
    estimated = models.BooleanField(default=False)
    at_ceiling = models.BooleanField(default=False)
    numbers = models.TextField(blank=True)
    note = models.CharField(max_length=200, blank=True)
    reserved_at = models.DateTimeField(help_text="Whose period it belongs to.")
    created_at = models.DateTimeField()

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "ledger entries"
        constraints = [
            models.UniqueConstraint(
                fields=["attempt_id"],
                condition=Q(kind__in=["settlement", "release"]),
                name="ledger_closes_once",
            ),
            models.UniqueConstraint(fields=["tool_id"], condition=Q(kind="tool"), name="ledger_tool_once"),
            models.CheckConstraint(
                condition=Q(kind="correction") | Q(amount__isnull=True) | Q(amount__gte=0),
                name="ledger_only_corrections_are_negative",
            ),
        ]
        indexes = [
            models.Index(fields=["workspace_id", "-created_at"], name="ledger_recent"),
            models.Index(fields=["attempt_id"], name="ledger_of_attempt"),
            models.Index(fields=["run_id"], name="ledger_of_run"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.amount}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise LedgerIsAppendOnly("A line of the ledger is never changed: write a correction.")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> Any:
        raise LedgerIsAppendOnly("A line of the ledger is never deleted: write a correction.")


class BudgetAlert(models.Model):
    """Somebody was told, or is to be told, that a percentage of a period was reached. Once each."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    period = models.ForeignKey(BudgetPeriod, models.PROTECT, related_name="alerts")
    percent = models.PositiveIntegerField()
    spent = models.BigIntegerField()
    created_at = models.DateTimeField(db_default=Now())
    mailed_at = models.DateTimeField(null=True, blank=True)
    hooked_at = models.DateTimeField(null=True, blank=True)
    tries = models.PositiveIntegerField(default=0)
    try_after = models.DateTimeField(null=True, blank=True)
    fault = models.CharField(max_length=200, blank=True)
    done = models.BooleanField(default=False)

    class Meta:
        ordering = ["-created_at"]
        constraints = [models.UniqueConstraint(fields=["period", "percent"], name="budget_alert_once")]
        indexes = [models.Index(fields=["created_at"], condition=Q(done=False), name="budget_alert_due")]

    def __str__(self) -> str:
        return f"{self.percent} %"
