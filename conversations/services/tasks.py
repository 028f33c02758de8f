"""Tasks: what an agent or a person noted to be done."""

from __future__ import annotations

from datetime import date

from django.utils import timezone

from workspaces.access import Actor

from ..access import as_uuid, readable, require_write
from ..engine.recorder import storable
from ..models import Task
from .input import BadInput

LONGEST_TITLE = 200
LONGEST_DETAIL = 20_000


def task_create(
    *, actor: Actor, title: str, detail: str = "", due_on: date | None = None, conversation_id: str = ""
) -> Task:
    """Raises Forbidden, BadInput. The conversation is where it came up, if the person may read it."""
    require_write(actor)
    title, detail = " ".join(storable(title).split()), storable(detail).strip()
    if not title:
        raise BadInput("The task has no title.")
    if len(title) > LONGEST_TITLE:
        raise BadInput(
            f"The title has {len(title)} characters; at most {LONGEST_TITLE} fit. Put the rest into the detail."
        )
    if len(detail) > LONGEST_DETAIL:
        raise BadInput(f"The detail has {len(detail)} characters; at most {LONGEST_DETAIL} fit.")
    conversation = readable(actor).filter(pk=as_uuid(conversation_id)).first() if conversation_id else None
    task = Task(
        workspace_id=actor.workspace_id,
        conversation=conversation,
        created_by_id=actor.user_id,
        title=title,
        detail=detail,
        due_on=due_on,
        created_at=timezone.now(),
    )
    task.save(force_insert=True)
    return task
