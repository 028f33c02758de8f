"""The guard of this app's addresses: it stands behind the door and before the body.

Every id in a path is looked up for the person first, so that a foreign or absent one
is 404 whatever else is wrong with the request; then a viewer's write is 403. The
services check again: this is about the order of refusals, not instead of theirs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest

from workspaces.access import Actor

from ..access import (
    access_conversation,
    access_run,
    access_tool_call,
    access_upload,
    require_mark,
    require_write,
)
from ..approvals import access_standing
from ..sharing import access_link
from .tool_calls import access_answer

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
OWN_MARKS = ("messages/<message_id>/feedback",)
"""What a viewer may write too: a mark of one's own, which changes nothing for others."""

PATH_IDS: dict[str, Callable[[Actor, str], Any]] = {
    "conversation_id": access_conversation,
    "run_id": access_run,
    "message_id": access_answer,
    "tool_id": access_tool_call,
    "standing_id": access_standing,
    "file_id": access_upload,
    "link_id": access_link,
}


def guard(request: HttpRequest, actor: Actor) -> None:
    """Raises NotFound, then Forbidden. In a database thread."""
    found = request.resolver_match.kwargs if request.resolver_match else {}
    for name, value in found.items():
        if (access := PATH_IDS.get(name)) is not None:
            access(actor, value)
    if request.method not in SAFE_METHODS:
        (require_mark if _own_mark(request) else require_write)(actor)


def _own_mark(request: HttpRequest) -> bool:
    return request.resolver_match is not None and request.resolver_match.route.endswith(OWN_MARKS)
