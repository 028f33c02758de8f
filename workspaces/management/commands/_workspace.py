"""What the commands share: the workspace they mean and how a refusal is told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.core.management.base import CommandError, CommandParser

from nexus_core.errors import NexusError
from workspaces.models import Workspace
from workspaces.services import DEFAULT_SLUG, workspace_get_or_create


def add_workspace_argument(parser: CommandParser) -> None:
    parser.add_argument(
        "--workspace",
        default=DEFAULT_SLUG,
        metavar="SLUG",
        help=f"the workspace; made if it is missing (default: {DEFAULT_SLUG})",
    )


def workspace_of(slug: str) -> Workspace:
    with told():
        return workspace_get_or_create(slug=slug)


@contextmanager
def told() -> Iterator[None]:
    """A refusal becomes the command's one-line error."""
    try:
        yield
    except NexusError as refusal:
        raise CommandError(refusal.message) from None
