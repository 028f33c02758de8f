"""`manage.py seed`: fills an installation with what it starts with. Runs as often as you like.

Provider addresses, news feeds, prices, the shipped agents of every workspace; with
DEBUG a workspace "demo" with the login demo / demo. What somebody changed stays.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from agents.models import Agent
from agents.seeds import agents_seed, registered
from workspaces.models import Role, User, Workspace
from workspaces.services import DEFAULT_SLUG, membership_set, user_create, workspace_create

DEMO_LOGIN = "demo"
DEMO_PASSWORD = "demo"  # noqa: S105  (only ever made with DEBUG, and printed)


class Command(BaseCommand):
    help = "Fills the database with agents, providers, prices and feeds; with DEBUG also a demo workspace and login."

    def handle(self, *args: Any, **options: Any) -> None:
        before = Agent.objects.count()
        done = [seed() for seed in registered()]
        if settings.DEBUG:
            self._demo()
        for workspace in Workspace.objects.all():
            agents_seed(workspace)
        added = Agent.objects.count() - before
        self.stdout.write(f"Seeded: {', '.join([*done, f'{added} agents'])}.")

    def _demo(self) -> None:
        workspace = Workspace.objects.filter(slug=DEFAULT_SLUG).first() or workspace_create(
            name="Demo", slug=DEFAULT_SLUG
        )
        if User.objects.filter(username=DEMO_LOGIN).exists():
            return
        person = user_create(username=DEMO_LOGIN, password=DEMO_PASSWORD, name="Demo", check_password=False)
        person.is_staff = person.is_superuser = True
        person.save(update_fields=["is_staff", "is_superuser"])
        membership_set(workspace=workspace, user=person, role=Role.OWNER)
        self.stdout.write(f"Demo login: {DEMO_LOGIN} / {DEMO_PASSWORD}")
