"""`manage.py create_token NAME [--workspace SLUG]`: an API token; it is alone on the last line of output."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from workspaces.models import Membership, Role, User
from workspaces.services import membership_set
from workspaces.tokens import token_create

from ._workspace import add_workspace_argument, told, workspace_of


class Command(BaseCommand):
    help = "Makes an API token for a person. It is shown this once, alone on the last line."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="the login name of the person the token acts for")
        parser.add_argument("--label", default="command line", help="what the token is called in lists")
        parser.add_argument("--read-only", action="store_true")
        add_workspace_argument(parser)

    @transaction.atomic
    def handle(self, *args: Any, **options: Any) -> None:
        user = User.objects.filter(username=options["name"]).first()
        if user is None:
            raise CommandError(
                f"There is no person {options['name']!r}. Make one with: manage.py create_user"
            )
        workspace = workspace_of(options["workspace"])
        with told():
            if not Membership.objects.filter(user=user, workspace=workspace).exists():
                membership_set(workspace=workspace, user=user, role=Role.MEMBER)
            made = token_create(
                user=user,
                workspace=workspace,
                name=options["label"],
                scopes=["read"] if options["read_only"] else [],
            )
        self.stdout.write(f"Token of {user.username} for {workspace.slug}; it is not shown again:")
        self.stdout.write(made.text)
