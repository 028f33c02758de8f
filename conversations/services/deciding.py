"""What people say to calls that wait: yes, no, an answer; and what became of calls nobody knows the outcome of.

Exactly one decision is final, whoever says it at the same moment: the conversation's row
is locked first, then the run's, as everywhere. One no is enough; a yes needs as many
different people as the call asks for.
"""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from nexus_core.errors import NexusError
from workspaces.access import Actor, Forbidden
from workspaces.audit import record

from .. import events
from ..access import access_tool_call
from ..activities import record_approval_decided
from ..engine.recorder import storable
from ..models import Approval, ApprovalVote, Conversation, Run, StandingApproval, ToolCall
from .asking import may_decide, run_go_on
from .input import BadInput

Said = Literal["approve", "deny", "answer", "ran", "rerun"]
DECISIONS: tuple[Said, ...] = ("approve", "deny", "answer", "ran", "rerun")
REMEMBER = ("once", "conversation", "always")
LONGEST_NOTE = 2000
LONGEST_ANSWER = 20_000

WHO = {"member": "members", "admin": "admins and owners", "owner": "owners"}


class NotWaiting(NexusError):
    """The call waits for nobody: it was never put to people, or its run has ended; the message says which."""

    code = "not_waiting"
    http_status = 409


class AlreadyDecided(NexusError):
    """Somebody decided before, or the time to decide is over; the message says who or which."""

    code = "already_decided"
    http_status = 409


def tool_decide(
    *,
    actor: Actor,
    tool_id: UUID | str,
    decision: str,
    note: str = "",
    answer: str | None = None,
    remember: str = "once",
    client_id: str = "",
) -> ToolCall:
    """Says it, and lets the run go on where that settles the call. The same word of the same person again
    changes nothing and is no error as long as the call waits, or with the same `client_id`.

    Raises NotFound, Forbidden (the role), BadInput, NotWaiting, AlreadyDecided.
    """
    call = access_tool_call(actor, tool_id, write=True)
    note, answer = storable(note.strip()), storable((answer or "").strip())
    _check(decision, note, answer, remember, client_id)
    if decision in ("ran", "rerun"):
        return _settle_unknown(actor, call, decision, note)
    with transaction.atomic():
        conversation = Conversation.objects.select_for_update(no_key=True).get(pk=call.conversation_id)
        run = Run.objects.select_for_update(no_key=True).get(pk=call.run_id)
        row = Approval.objects.filter(pk=call.pk).select_related("decided_by").first()
        if row is None:
            raise NotWaiting("This call does not wait for anybody's decision.")
        if not may_decide(actor.role, row.role):
            raise Forbidden(f"Only {WHO.get(row.role, row.role)} of the workspace may decide on this call.")
        if remember == "always" and not actor.is_admin:
            raise Forbidden("Only admins and owners may allow a call for the whole workspace, for good.")
        mine = row.votes.filter(user_id=actor.user_id).first()
        if row.status != Approval.Status.OPEN:
            if mine is not None and mine.decision == decision and client_id and mine.client_id == client_id:
                return _read(call.pk)
            raise _decided_already(row)
        if row.expires_at <= timezone.now():
            raise AlreadyDecided("The time to decide on this call is over.")
        if (decision == "answer") != (row.kind == Approval.Kind.QUESTION) and decision != "deny":
            raise BadInput(
                "This is a question: send decision answer with an answer, or deny."
                if row.kind == Approval.Kind.QUESTION
                else "This call waits for approve or deny, not for an answer."
            )
        if mine is not None and mine.decision == decision:
            return _read(call.pk)
        if mine is not None:
            ApprovalVote.objects.filter(pk=mine.pk).delete()  # they thought better of it in time
        ApprovalVote.objects.create(
            approval=row,
            user_id=actor.user_id,
            token_id=actor.token_id,
            decision=decision,
            note=note,
            remember=remember,
            client_id=client_id,
        )
        yes = row.votes.filter(decision=ApprovalVote.Decision.APPROVE).count()
        if decision == "approve" and yes < row.quorum:
            _record(actor, row, "tool_approved", {"approvals": yes, "quorum": row.quorum, "final": False})
            transaction.on_commit(lambda: events.announce_approval(conversation, row))
            return _read(call.pk)
        row.status = {
            "approve": Approval.Status.APPROVED,
            "deny": Approval.Status.DENIED,
            "answer": Approval.Status.ANSWERED,
        }[decision]
        row.note, row.answer = note, answer
        row.decided_by = actor.user
        _close(row, run, conversation)
        if decision == "approve":
            _remember(actor, row)
        action = {"approve": "tool_approved", "deny": "tool_denied", "answer": "question_answered"}[decision]
        _record(actor, row, action, {"quorum": row.quorum, "remember": remember} if row.quorum > 1 else {})
    return _read(call.pk)


def approvals_expire() -> int:
    """Denies what nobody decided on in time; how many. Any number of processes may call it."""
    due = Approval.objects.filter(status=Approval.Status.OPEN, expires_at__lte=Now())
    expired = 0
    for call_id, conversation_id, run_id in due.values_list("pk", "conversation_id", "run_id")[:200]:
        with transaction.atomic():
            conversation = Conversation.objects.select_for_update(no_key=True).get(pk=conversation_id)
            run = Run.objects.select_for_update(no_key=True).get(pk=run_id)
            row = due.filter(pk=call_id).first()
            if row is None:
                continue
            row.status = Approval.Status.EXPIRED
            _close(row, run, conversation)
            record(
                "tool_expired",
                workspace_id=row.workspace_id,
                agent_slug=row.agent_slug,
                target_type="tool",
                target_id=row.pk,
                target_name=row.tool_name,
                metadata={"runId": str(row.run_id)},
            )
            expired += 1
    return expired


def _check(decision: str, note: str, answer: str, remember: str, client_id: str) -> None:
    if decision not in DECISIONS:
        raise BadInput(f"decision is one of {', '.join(DECISIONS)}, not {decision!r}.")
    if remember not in REMEMBER:
        raise BadInput(f"remember is one of {', '.join(REMEMBER)}, not {remember!r}.")
    if remember != "once" and decision != "approve":
        raise BadInput("Only a yes can be remembered.")
    if decision == "answer" and not answer:
        raise BadInput("The answer is empty.")
    if len(note) > LONGEST_NOTE or len(answer) > LONGEST_ANSWER:
        raise BadInput(f"A note has at most {LONGEST_NOTE:,} characters, an answer {LONGEST_ANSWER:,}.")
    if len(client_id) > 128:
        raise BadInput("clientId has more than 128 characters.")


def _close(row: Approval, run: Run, conversation: Conversation) -> None:
    """Writes the final decision and lets the run go on; under the locks of both."""
    row.decided_at = timezone.now()
    row.save(update_fields=["status", "note", "answer", "decided_by", "decided_at"])
    record_approval_decided(conversation, row)
    transaction.on_commit(lambda: events.announce_approval(conversation, row))
    run_go_on(run, conversation)


def _remember(actor: Actor, row: Approval) -> None:
    """As far as all who said yes want it remembered."""
    wanted = {REMEMBER.index(vote.remember) for vote in row.votes.filter(decision="approve")}
    scope = REMEMBER[min(wanted)]
    if scope == "once":
        return
    # Where one stood already and was asked all the same, who gave it is gone or may not any more: now it is this person's.
    StandingApproval.objects.update_or_create(
        workspace_id=row.workspace_id,
        agent_slug=row.agent_slug,
        tool_name=row.tool_name,
        conversation=row.conversation if scope == "conversation" else None,
        defaults={"created_by_id": actor.user_id},
    )
    _record(actor, row, "tool_remembered", {"scope": scope})


def _record(actor: Actor, row: Approval, action: str, more: dict[str, object]) -> None:
    record(
        action,
        actor=actor,
        target_type="tool",
        target_id=row.pk,
        target_name=row.tool_name,
        metadata={
            "agentId": row.agent_slug,
            "runId": str(row.run_id),
            "conversationId": str(row.conversation_id),
            **more,
        },
    )


def _decided_already(row: Approval) -> AlreadyDecided:
    who = row.decided_by.display_name if row.decided_by is not None else ""
    match row.status:
        case Approval.Status.EXPIRED:
            return AlreadyDecided("The time to decide on this call is over.")
        case Approval.Status.WITHDRAWN:
            return AlreadyDecided("The run was stopped before anybody decided.")
    said = {"approved": "approved", "denied": "denied", "answered": "answered"}[row.status]
    return AlreadyDecided(f"{who or 'Somebody'} {said} this before.")


def _read(call_id: UUID) -> ToolCall:
    return ToolCall.objects.select_related("approval__decided_by").get(pk=call_id)


# --- calls of unknown outcome ---


class NotUnknown(NexusError):
    """The outcome of the call is known, or it is too late to run it again; the message says which."""

    code = "not_unknown"
    http_status = 409


def _settle_unknown(actor: Actor, call: ToolCall, decision: str, note: str) -> ToolCall:
    """`ran`: somebody looked, and it took effect. `rerun`: it did not; when the run is gone on with, it is run."""
    with transaction.atomic():
        Conversation.objects.select_for_update(no_key=True).get(pk=call.conversation_id)
        run = Run.objects.select_for_update(no_key=True).get(pk=call.run_id)
        row = ToolCall.objects.select_for_update(no_key=True).get(pk=call.pk)
        if row.status != ToolCall.Status.UNKNOWN:
            raise NotUnknown(f"This call is {row.status}: there is nothing to settle.")
        if decision == "ran":
            row.status = ToolCall.Status.COMPLETED
            row.result = {"settledBy": actor.user.display_name, "note": note}
        else:
            last = run.steps.order_by("-index").values_list("index", flat=True).first()
            if run.status not in (Run.Status.FAILED, Run.Status.CANCELLED) or row.step != last:
                raise NotUnknown(
                    "The agent has gone on without this call; ask it to do it again. "
                    "Only the last calls of a run that failed or was stopped can be run again, by going on with it."
                )
            if run.resumed_as.exists():
                raise NotUnknown("This run was gone on with already.")
            row.status, row.result = ToolCall.Status.PENDING, None
        row.error = ""
        row.save(update_fields=["status", "result", "error"])
        record(
            "tool_settled",
            actor=actor,
            target_type="tool",
            target_id=row.pk,
            target_name=row.tool_name,
            metadata={"decision": decision, "runId": str(run.pk)},
        )
        transaction.on_commit(lambda: events.announce_settled(row))
    return _read(call.pk)
