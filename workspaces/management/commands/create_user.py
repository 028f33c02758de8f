"""`manage.py create_user NAME --password P [--workspace SLUG --role ROLE]`: a person, for scripts."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.db import transaction

from workspaces.models import Role, User
from workspaces.services import membership_set, user_create

from ._workspace import add_workspace_argument, told, workspace_of


class Command(BaseCommand):
    help = "Makes a person and a member of a workspace; for an existing one sets password and role."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="the login name")
        parser.add_argument("--password", required=True)
        parser.add_argument("--email", default="")
        parser.add_argument("--role", choices=Role.values, default=Role.MEMBER)
        parser.add_argument("--superuser", action="store_true", help="may also enter /admin/")
        add_workspace_argument(parser)

    @transaction.atomic
    def handle(self, *args: Any, **options: Any) -> None:
        workspace = workspace_of(options["workspace"])
        user = User.objects.filter(username=options["name"]).first()
        with told():
            if user is None:
                user = user_create(
                    username=options["name"],
                    password=options["password"],
                    email=options["email"],
                    # Whoever may run commands here may choose a short password for a test person.
                    check_password=False,
                )
                done = "Made"
            else:
                user.set_password(options["password"])
                user.save(update_fields=["password"])
                done = "Updated"
            if options["superuser"]:
                user.is_staff = user.is_superuser = True
                user.save(update_fields=["is_staff", "is_superuser"])
            membership_set(workspace=workspace, user=user, role=options["role"])
        self.stdout.write(f"{done} {user.username}, {options['role']} of {workspace.slug}.")
