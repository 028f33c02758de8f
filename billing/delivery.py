"""Alerts by mail and by webhook: rows that wait, taken up by whichever process comes first, tried again for a while.

A webhook is a POST of JSON with `Nexus-Signature: t=SECONDS,v1=HEX`, the HMAC-SHA256 of `SECONDS.BODY` with the
secret that was shown when its address was set. `Nexus-Delivery` is the same for every try.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import smtplib
from datetime import timedelta
from uuid import UUID

import orjson
from django.core.mail import EmailMessage, get_connection
from django.db.models import F, Q
from django.utils import timezone

from agents.fetching import FetchFailed, post
from billing.alerts import warning_wire
from billing.budget_models import Budget, BudgetAlert
from workspaces.database import in_database
from workspaces.models import Membership, Role, User, Workspace

log = logging.getLogger(__name__)

MOST_TRIES = 8
MAIL_SECONDS = 10
CLAIMED = timedelta(minutes=5)
PAUSE = timedelta(minutes=1)
AT_ONCE = 20


async def alerts_deliver() -> int:
    """Tries what is due; how many were brought to their end."""
    done = 0
    for key in await in_database(_due):
        alert = await in_database(_claim, key)
        if alert is not None:
            done += await _deliver(alert)
    return done


async def _deliver(alert: BudgetAlert) -> bool:
    faults = []
    budget = alert.period.budget
    if budget.email and alert.mailed_at is None:
        fault = await in_database(_mail, alert)
        faults += [fault] if fault else []
    if budget.webhook_url and alert.hooked_at is None:
        fault = await _hook(alert)
        if not fault:
            await in_database(_mark, alert.pk, "hooked_at")
        faults += [fault] if fault else []
    return await in_database(_end, alert, "; ".join(faults))


async def _hook(alert: BudgetAlert) -> str:
    """What went wrong, or nothing."""
    body = orjson.dumps(
        {
            "type": "budget.warning",
            "id": str(alert.pk),
            "createdAt": alert.created_at.isoformat(),
            "workspaceId": str(alert.period.budget.workspace_id),
            **warning_wire(alert.period, alert.percent),
        }
    )
    at = str(int(timezone.now().timestamp()))
    secret = alert.period.budget.webhook_secret
    headers = {
        "Content-Type": "application/json",
        "Nexus-Event": "budget.warning",
        "Nexus-Delivery": str(alert.pk),
        "Nexus-Signature": f"t={at},v1={signature(secret, at, body)}",
    }
    try:
        status = await post(alert.period.budget.webhook_url, body, headers)
    except FetchFailed as fault:
        return f"webhook: {fault}"
    return "" if 200 <= status < 300 else f"webhook: status {status}"


def signature(secret: str, at: str, body: bytes) -> str:
    """The HMAC of a webhook, in hex."""
    return hmac.new(secret.encode(), at.encode() + b"." + body, hashlib.sha256).hexdigest()


# --- in a database thread ---


def _due() -> list[UUID]:
    waiting = BudgetAlert.objects.filter(done=False).filter(
        Q(try_after=None) | Q(try_after__lte=timezone.now())
    )
    return list(waiting.order_by("created_at").values_list("pk", flat=True)[:AT_ONCE])


def _claim(key: UUID) -> BudgetAlert | None:
    """It is ours for a while, or another process has it."""
    now = timezone.now()
    mine = (
        BudgetAlert.objects.filter(pk=key, done=False)
        .filter(Q(try_after=None) | Q(try_after__lte=now))
        .update(try_after=now + CLAIMED, tries=F("tries") + 1)
    )
    return BudgetAlert.objects.select_related("period__budget").get(pk=key) if mine else None


def _mail(alert: BudgetAlert) -> str:
    """What went wrong, or nothing."""
    people = recipients(alert.period.budget)
    told = warning_wire(alert.period, alert.percent)
    workspace = Workspace.objects.filter(pk=alert.period.budget.workspace_id).first()
    where = workspace.name if workspace is not None else ""
    subject = f"{where}: {alert.percent} % of “{told['name']}” is spent"
    text = (
        f"The budget “{told['name']}” of {where} has reached {alert.percent} %.\n\n"
        f"Spent: {told['spent']} USD\nReserved for requests under way: {told['reserved']} USD\n"
        f"Limit: {told['limit']} USD ({told['periodKey']})\n\n"
        + ("Requests that do not fit into it any more are refused.\n" if told["hard"] else "It only warns.\n")
    )
    try:
        if people:
            EmailMessage(
                subject=" ".join(subject.split()),
                body=text,
                bcc=people,  # who else is told is nobody's business
                connection=get_connection(timeout=MAIL_SECONDS),
            ).send()
    except (OSError, smtplib.SMTPException) as fault:
        return f"mail: {type(fault).__name__}"
    _mark(alert.pk, "mailed_at")
    return ""


def recipients(budget: Budget) -> list[str]:
    """The workspace's admins and owners, and the person whom it is about."""
    admins = Membership.objects.filter(
        workspace_id=budget.workspace_id, role__in=(Role.OWNER, Role.ADMIN), workspace__deleted_at=None
    )
    about = Membership.objects.none()
    if budget.scope == Budget.Scope.USER:
        about = Membership.objects.filter(workspace_id=budget.workspace_id, user_id=budget.scope_id)
    users = User.objects.filter(
        Q(pk__in=admins.values("user_id")) | Q(pk__in=about.values("user_id")), is_active=True
    )
    return sorted({address for address in users.values_list("email", flat=True) if address})


def _mark(key: UUID, name: str) -> None:
    BudgetAlert.objects.filter(pk=key).update(**{name: timezone.now()})


def _end(alert: BudgetAlert, fault: str) -> bool:
    over = not fault or alert.tries >= MOST_TRIES
    if fault:
        log.warning("a budget's alert was not delivered: %s", fault)
    BudgetAlert.objects.filter(pk=alert.pk).update(
        done=over, fault=fault[:200], try_after=timezone.now() + PAUSE * 2 ** min(alert.tries, 6)
    )
    return over
