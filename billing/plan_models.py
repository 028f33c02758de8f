"""Plans: what a workspace may have. `workspaces.Workspace.plan` names one by its slug."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from billing.budget_models import MOST_PICO


class Plan(models.Model):
    """What workspaces of this plan get. Paying for it is somebody else's matter; the ledger has what an invoice needs."""

    slug = models.SlugField(max_length=32, primary_key=True)
    name = models.CharField(max_length=60)
    is_premium = models.BooleanField(default=False, help_text="Premium agents and tools may be used.")
    runs_per_minute = models.PositiveIntegerField(
        null=True,
        blank=True,
        help_text="For one person; a token has three quarters of it, a workspace ten times. Empty: the server's own limit.",
    )
    requests_per_minute = models.PositiveIntegerField(
        null=True,
        blank=True,
        help_text="For one person; a token has three quarters of it, a workspace ten times. Empty: the server's own limit.",
    )
    included = models.BigIntegerField(
        null=True,
        blank=True,
        help_text="pico-USD a month, as a hard budget of each workspace. Empty: no such budget.",
    )

    class Meta:
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(
                condition=Q(included__isnull=True) | Q(included__gte=0, included__lte=MOST_PICO),
                name="plan_included_sane",
            ),
            models.CheckConstraint(
                condition=(Q(runs_per_minute__isnull=True) | Q(runs_per_minute__gte=1))
                & (Q(requests_per_minute__isnull=True) | Q(requests_per_minute__gte=1)),
                name="plan_limits_let_somebody_through",
            ),
        ]

    def __str__(self) -> str:
        return self.name
