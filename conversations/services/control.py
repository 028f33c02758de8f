"""Who controls a run. Until somebody takes control, everyone who may write may steer it, as they may stop it.

Control is held by one person at a time and moves with a fencing token: whoever names the
token of the moment wins, and of any number that name it together exactly one. The holder
alone steers; anyone who may write may still stop the run, and who decides on calls is a
matter of roles. The starter, admins and owners take control, others ask for it.
"""

from __future__ import annotations

from uuid import UUID

from django.db import transaction
from django.db.models import F

from nexus_core.errors import NexusError
from workspaces.access import Actor, Forbidden, NotFound, actor_for
from workspaces.audit import record
from workspaces.models import User

from .. import events
from ..access import access_conversation, access_run, as_uuid
from ..activities import record_control
from ..models import Run


class ControlMoved(NexusError):
    """Control was handed over meanwhile: the fencing token is not that of the moment."""

    code = "control_moved"
    http_status = 409


class NotInControl(NexusError):
    """Somebody else has control of the run; the message says who."""

    code = "not_in_control"
    http_status = 409


class RunOver(NexusError):
    """The run has ended: there is nothing to control."""

    code = "run_ended"
    http_status = 409


def control_request(*, actor: Actor, run_id: UUID | str) -> Run:
    """Asks whoever has control; those who watch see it. Nothing is stored."""
    run = _live(actor, run_id)
    if run.controlled_by_id != actor.user_id:
        events.announce_control_wanted(run, actor.user)
    return run


def control_take(*, actor: Actor, run_id: UUID | str, fence: int) -> Run:
    """Raises NotFound, Forbidden, RunOver, ControlMoved."""
    run = _live(actor, run_id)
    if not actor.is_admin and actor.user_id not in (run.requested_by_id, run.controlled_by_id):
        raise Forbidden("Ask for control: only who began this run, admins and owners may take it.")
    return _hand_over(actor, run, actor.user, fence, "taken")


def control_grant(*, actor: Actor, run_id: UUID | str, user_id: UUID | str, fence: int) -> Run:
    """Gives control to somebody who may write in the conversation. Raises NotFound, Forbidden, RunOver, ControlMoved."""
    access_run(actor, run_id, write=True)
    user = User.objects.filter(pk=as_uuid(user_id), memberships__workspace_id=actor.workspace_id).first()
    if user is None:
        raise NotFound()
    run = _live(actor, run_id)
    if actor.user_id != holder_of(run) and not actor.is_admin:
        raise Forbidden("Only who has control, admins and owners may hand it over.")
    access_conversation(actor_for(user, actor.workspace.slug), run.conversation_id, write=True)
    return _hand_over(actor, run, user, fence, "granted")


def holder_of(run: Run) -> UUID | None:
    """Who has control, or, as long as nobody took it, who began the run."""
    return run.controlled_by_id or run.requested_by_id


def require_control(actor: Actor, run: Run, fence: int | None) -> None:
    """Raises NotInControl where somebody else took control, ControlMoved where the named token is old."""
    if fence is not None and fence != run.control_fence:
        raise ControlMoved("Control of this run was handed over meanwhile.")
    if run.controlled_by_id is not None and run.controlled_by_id != actor.user_id:
        name = User.objects.filter(pk=run.controlled_by_id).first()
        who = name.display_name if name is not None else "Somebody else"
        raise NotInControl(f"{who} has control of this run. Ask for it, or send your words as a message.")


def _live(actor: Actor, run_id: UUID | str) -> Run:
    run = access_run(actor, run_id, write=True)
    if run.finished:
        raise RunOver("This run has ended.")
    return run


def _hand_over(actor: Actor, run: Run, user: User, fence: int, how: str) -> Run:
    with transaction.atomic():
        # The UPDATE is the fence: of all that name this token one finds it.
        moved = Run.objects.filter(pk=run.pk, control_fence=fence, status__in=Run.UNFINISHED).update(
            controlled_by=user, control_fence=F("control_fence") + 1
        )
        if not moved:
            raise ControlMoved("Control of this run was handed over meanwhile.")
        run.controlled_by, run.control_fence = user, fence + 1
        record(
            "run_control",
            actor=actor,
            target_type="conversation",
            target_id=run.conversation_id,
            metadata={"runId": str(run.pk), "how": how, "to": str(user.pk)},
        )
        record_control(run, actor.user_id, user)
        transaction.on_commit(lambda: events.announce_control(run, user))
    return run
