"""Stopping a run: the wish is stored first, then its owner is told."""

from __future__ import annotations

from uuid import UUID

from django.db import transaction
from django.db.models.functions import Now

from workspaces.access import Actor
from workspaces.models import Workspace

from ..access import access_run
from ..engine import port
from ..models import Run
from .run_finish import run_end_waiting


def run_cancel(*, actor: Actor, run_id: UUID | str) -> Run:
    """Asks the run to stop; a finished one stays as it is. Partial text is kept and billed as far as it went."""
    run = access_run(actor, run_id, write=True)
    with transaction.atomic():
        locked = Run.objects.select_for_update(no_key=True).get(pk=run.pk)
        if not locked.finished:
            cancel_in_transaction(locked, by=actor.user_id)
    return locked


def runs_end_with_workspace(workspace: Workspace) -> None:
    """Asks every run of a deleted workspace to stop; in the transaction that deletes it."""
    rows = Run.objects.select_for_update(no_key=True).filter(workspace=workspace, finished_at=None)
    for run in rows.order_by("pk"):
        cancel_in_transaction(run, by=None)


def cancel_in_transaction(run: Run, *, by: UUID | None) -> None:
    """Stores the wish to stop on a row that is locked; after commit the owner hears of it."""
    if run.cancel_requested_at is None:
        Run.objects.filter(pk=run.pk).update(cancel_requested_at=Now(), cancelled_by=by)
        run.refresh_from_db(fields=["cancel_requested_at"])
    run_id, waits = run.pk, run.status == Run.Status.WAITING

    def after_commit() -> None:
        # One that waits for people has no owner who could end it; if the process dies here the sweeper sees to it.
        if not (waits and run_end_waiting(run_id)):
            port.cancel(run_id)

    transaction.on_commit(after_commit)
