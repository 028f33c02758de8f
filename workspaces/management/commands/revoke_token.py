"""`manage.py revoke_token TOKEN`: ends a token and the sockets that it opened."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from workspaces.tokens import token_revoke_text

from ._workspace import told


class Command(BaseCommand):
    help = "Ends an API token at once."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("token", help="the token itself (nxs_…)")

    def handle(self, *args: Any, **options: Any) -> None:
        with told():
            token = token_revoke_text(text=options["token"].strip())
        self.stdout.write(f"Revoked {token} of {token.user.username} for {token.workspace.slug}.")
