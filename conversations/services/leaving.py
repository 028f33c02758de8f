"""What ends with a person's right to write in a workspace: the runs they asked for, and their word on calls that wait.

A run works for whoever asked, with the workspace's money and by its rights. When that person is removed, leaves,
becomes a viewer or is switched off, it works for nobody: it is stopped as by Stop, its partial text stays and is paid.
Their messages and conversations stay, and so does a draft they began: it belongs to all who write it.
"""

from __future__ import annotations

from uuid import UUID

from django.db import transaction

from workspaces.models import Membership, Role, User

from .. import events
from ..models import Approval, ApprovalVote, Run
from .asking import may_decide
from .run_cancel import cancel_in_transaction

GONE = ""
"""In the place of a role: of somebody who has none."""


@transaction.atomic
def member_ends(*, workspace_id: UUID, user_id: UUID, role: str, by: UUID | None) -> None:
    """Ends what somebody who now has `role` (or is `GONE`) may not go on with; `by` is who changed that, None where
    nobody knows. In the transaction that changes it, and again as often as one likes."""
    if role in (GONE, Role.VIEWER):
        _stop_runs(workspace_id, user_id, by)
    _take_back_votes(workspace_id, user_id, role)


def rights_look(workspace_id: UUID, user_id: UUID) -> None:
    """The same by what stands in the database: for who noticed only now that somebody lost their rights.
    Until then they may have begun runs."""
    role = (
        Membership.objects.filter(
            workspace_id=workspace_id, workspace__deleted_at=None, user_id=user_id, user__is_active=True
        )
        .values_list("role", flat=True)
        .first()
    )
    member_ends(workspace_id=workspace_id, user_id=user_id, role=role or GONE, by=None)


def person_ends(user: User, *, by: UUID | None) -> None:
    """The account was switched off: the same in each of their workspaces."""
    for workspace_id in user.memberships.values_list("workspace_id", flat=True):
        member_ends(workspace_id=workspace_id, user_id=user.pk, role=GONE, by=by)


def _stop_runs(workspace_id: UUID, user_id: UUID, by: UUID | None) -> None:
    rows = Run.objects.select_for_update(no_key=True).filter(
        workspace_id=workspace_id,
        requested_by_id=user_id,
        status__in=Run.UNFINISHED,
        cancel_requested_at=None,
    )
    for run in rows.order_by("pk"):
        cancel_in_transaction(run, by=by)


def _take_back_votes(workspace_id: UUID, user_id: UUID, role: str) -> None:
    """Calls that wait for more people count only those who could decide now."""
    mine = ApprovalVote.objects.filter(user_id=user_id, approval__workspace_id=workspace_id)
    for vote in mine.filter(approval__status=Approval.Status.OPEN).select_related("approval__conversation"):
        approval = vote.approval
        if not may_decide(role, approval.role):
            vote.delete()
            transaction.on_commit(
                lambda approval=approval: events.announce_approval(approval.conversation, approval)  # type: ignore[misc]
            )
