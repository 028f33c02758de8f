"""Putting a tool call to people, and a run aside until they have decided.

A call that waits is a row; nobody keeps anything in memory for it. While all that a run
could go on with waits for people it is `waiting`: without owner and lease, and without
counting as lost. What brings it back (a decision, expiry, Stop) needs no worker either.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from agents.models import Agent, ApprovalRole
from nexus_core.errors import RunFenced
from nexus_core.ports import Decision, ToolRecord
from workspaces.audit import record
from workspaces.models import Membership, Role

from .. import events
from ..activities import record_approval_asked
from ..engine import port
from ..engine.journal import fence
from ..models import Approval, Conversation, Run, StandingApproval, ToolCall

RANK: dict[str, int] = {Role.VIEWER: 0, Role.MEMBER: 1, Role.ADMIN: 2, Role.OWNER: 3}
NO_ROLE = -1


@dataclass(frozen=True, slots=True)
class Terms:
    """Who may decide on a call, how many of them must agree, and how long they have (seconds)."""

    role: str = ApprovalRole.MEMBER
    quorum: int = 1
    expiry: int = 86_400


def terms_of(agent: Agent | None, tool_name: str, *, question: bool = False) -> Terms:
    """The agent's terms, and in their place those of its rule for the tool. One answer answers a question."""
    if agent is None:
        return Terms()
    rule: dict[str, Any] = next((one for one in agent.approval_rules if one.get("tool") == tool_name), {})
    return Terms(
        role=str(rule.get("role", agent.approval_role)),
        quorum=1 if question else int(rule.get("quorum", agent.approval_quorum)),
        expiry=int(rule.get("expiry", agent.approval_expiry)),
    )


def may_decide(role: str, needed: str) -> bool:
    """Whether somebody of that role may decide where `needed` is asked for."""
    return RANK.get(role, NO_ROLE) >= max(RANK[Role.MEMBER], RANK.get(needed, RANK[Role.OWNER]))


def decision_known(run: Run, call: ToolRecord) -> Decision | None:
    """What was decided about this call, or what is remembered for calls of its kind."""
    row = Approval.objects.select_related("decided_by").filter(pk=UUID(call.tool_id)).first()
    if row is not None:
        return decision_of(row)
    return None if call.question else _remembered(run, call)


def decision_of(row: Approval) -> Decision | None:
    name = row.decided_by.display_name if row.decided_by is not None else ""
    match row.status:
        case Approval.Status.OPEN:
            return None
        case Approval.Status.APPROVED:
            return Decision(True, row.note)
        case Approval.Status.ANSWERED:
            return Decision(True, answer={"answer": row.answer, **({"answeredBy": name} if name else {})})
        case Approval.Status.EXPIRED:
            return Decision(False, "nobody decided in time.")
        case Approval.Status.WITHDRAWN:
            return Decision(False, "the run was stopped.")
    return Decision(False, row.note or "a person said no.")


def _remembered(run: Run, call: ToolRecord) -> Decision | None:
    """A remembered yes holds as long as who gave it is still here and could give it now."""
    standing = StandingApproval.objects.filter(
        Q(conversation_id=run.conversation_id) | Q(conversation=None),
        workspace_id=run.workspace_id,
        agent_slug=run.agent_slug,
        tool_name=call.name,
    ).select_related("created_by")
    terms = terms_of(run.agent, call.name)
    for one in standing:
        role = (
            Membership.objects.filter(workspace_id=run.workspace_id, user=one.created_by)
            .values_list("role", flat=True)
            .first()
            if one.created_by is not None
            else None
        )
        if role is None or not may_decide(role, terms.role):
            continue
        now = timezone.now()
        with transaction.atomic():
            fence(run.pk, run.epoch)
            Approval.objects.create(
                **_asked(run, call, terms),
                status=Approval.Status.APPROVED,
                decided_at=now,
                decided_by_id=one.created_by_id,
                note="remembered",
            )
            record(
                "tool_approved",
                workspace_id=run.workspace_id,
                user_id=one.created_by_id,
                target_type="tool",
                target_id=call.tool_id,
                target_name=call.name,
                metadata={"agentId": run.agent_slug, "runId": str(run.pk), "remembered": str(one.pk)},
            )
        return Decision(True, "remembered")
    return None


def approval_ask(run: Run, call: ToolRecord) -> Decision | None:
    """Puts the call to people, once; a decision that came meanwhile is given. Raises `RunFenced`."""
    terms = terms_of(run.agent, call.name, question=call.question)
    with transaction.atomic():
        fence(run.pk, run.epoch)
        row, created = Approval.objects.get_or_create(
            pk=UUID(call.tool_id), defaults=_asked(run, call, terms)
        )
        if created:
            record_approval_asked(run, row)
            transaction.on_commit(lambda: events.announce_approval(run.conversation, row))
    return None if created else decision_of(row)


def _asked(run: Run, call: ToolRecord, terms: Terms) -> dict[str, object]:
    return {
        "call_id": UUID(call.tool_id),
        "run_id": run.pk,
        "conversation_id": run.conversation_id,
        "workspace_id": run.workspace_id,
        "agent_slug": run.agent_slug,
        "tool_name": call.name[:128],
        "kind": Approval.Kind.QUESTION if call.question else Approval.Kind.APPROVAL,
        "role": terms.role,
        "quorum": terms.quorum,
        "expires_at": timezone.now() + timedelta(seconds=terms.expiry),
    }


# --- a run that waits ---


def run_wait(run: Run) -> None:
    """Puts the run aside: everything is stored, and what is left to do waits for people. If somebody decided,
    or stopped it, meanwhile, it is only given up to its next owner. Raises `RunFenced`."""
    with transaction.atomic():
        conversation = Conversation.objects.select_for_update(no_key=True).get(pk=run.conversation_id)
        row = (
            Run.objects.select_for_update(no_key=True)
            .filter(pk=run.pk, epoch=run.epoch, status=Run.Status.RUNNING)
            .first()
        )
        if row is None:
            raise RunFenced(f"run {run.pk} has another owner than epoch {run.epoch}")
        pending = Approval.objects.filter(run=row, call__status=ToolCall.Status.PENDING)
        decided = pending.exclude(status=Approval.Status.OPEN).exists()
        row.owner, row.heartbeat_at, row.handovers = "", None, row.handovers + 1
        if decided or row.cancel_requested_at is not None or not pending.exists():
            row.save(update_fields=["owner", "heartbeat_at", "handovers"])
            transaction.on_commit(lambda: port.enqueue(row.pk))
            return
        row.status, row.waiting_since = Run.Status.WAITING, timezone.now()
        row.save(update_fields=["owner", "heartbeat_at", "handovers", "status", "waiting_since"])
        transaction.on_commit(lambda: events.announce_waiting(conversation, row))


def run_go_on(run: Run, conversation: Conversation) -> None:
    """Gives a waiting run to its next owner; in the caller's transaction, under the locks of both.

    It stays in its place before others of its agent there: `running` without a lease, which any worker
    claims, and where there is none at the moment the next one that starts."""
    waited = waited_ms(run)
    moved = Run.objects.filter(pk=run.pk, status=Run.Status.WAITING).update(
        status=Run.Status.RUNNING, heartbeat_at=None, waiting_since=None, waited_ms=F("waited_ms") + waited
    )
    if moved:
        run.status, run.waiting_since, run.waited_ms = Run.Status.RUNNING, None, run.waited_ms + waited

        def after_commit() -> None:
            events.announce_started(conversation, run)
            events.announce_waited(run)
            port.enqueue(run.pk)

        transaction.on_commit(after_commit)


def waited_ms(run: Run) -> int:
    """How long it has been waiting now, in milliseconds."""
    if run.waiting_since is None:
        return 0
    return max(0, round((timezone.now() - run.waiting_since).total_seconds() * 1000))
