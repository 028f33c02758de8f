"""Writes of who may see a conversation: people and their rights, and read-only links."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils import timezone

from nexus_core.commands import parse_command
from realtime.activity import activity_record
from workspaces.access import Actor, Forbidden, NotFound
from workspaces.audit import record
from workspaces.limits import limit_hit
from workspaces.models import Membership, Workspace
from workspaces.secrets import digest, new_share

from ..access import access_conversation, as_uuid
from ..branches import shown_line
from ..events import announce_conversation, ring_watchers
from ..models import Conversation, ConversationShare, Message, ShareLink
from ..sharing import Right, access_link, links_of_conversation, may_share, rights_of
from ..sharing_events import announce_access
from ..threads import nodes_of
from .input import BadInput

DAYS = (1, 7, 30)
MOST_LINKS = 20
"""Of one conversation, at a time."""
MOST_MESSAGES = 5000
"""In one snapshot: the newest."""


# --- people -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Readers:
    """Who could read it before something changed, so that afterwards everyone concerned can be told."""

    rights: dict[UUID, Right]
    told: dict[str, Any]


def sharing_set(
    *,
    actor: Actor,
    conversation_id: UUID | str,
    visibility: str,
    people: Mapping[UUID, Right],
) -> Conversation:
    """Private, open to the workspace, or shared with these people, each to `view` or to `write`.

    The people are kept while it is private or open, and count when it is shared again. Raises NotFound (the
    conversation, or a person who is not in the workspace), Forbidden, BadInput.
    """
    with transaction.atomic():
        found = access_conversation(actor, conversation_id, write=True)
        conversation = Conversation.objects.select_for_update(no_key=True).get(pk=found.pk)
        require_sharing(actor, conversation)
        if visibility not in Conversation.Visibility.values:
            raise BadInput(
                f"visibility is one of {', '.join(Conversation.Visibility.values)}, not {visibility!r}."
            )
        before = readers_now(conversation)
        conversation.visibility = visibility
        conversation.updated_at = timezone.now()
        conversation.save(update_fields=["visibility", "updated_at"])
        people_set(conversation, people)
        readers_changed(actor, conversation, before)
        transaction.on_commit(lambda: announce_conversation(conversation))
    return conversation


def require_sharing(actor: Actor, conversation: Conversation) -> None:
    if conversation.temporary:
        raise BadInput("A temporary chat is its creator's alone. Keep it first, then share it.")
    if not may_share(actor, conversation):
        raise Forbidden("Only the person who began this conversation, or an admin, may do that.")


def people_set(
    conversation: Conversation, people: Mapping[UUID, Right | None] | Mapping[UUID | str, None]
) -> None:
    """Makes the list of people whole: who is not in it any more loses it. A right of None stays as it was."""
    wanted = {as_uuid(person): right for person, right in people.items()}
    if conversation.created_by_id is not None:
        wanted.pop(conversation.created_by_id, None)
    for right in wanted.values():
        if right is not None and right not in ConversationShare.Right.values:
            raise BadInput(f"right is one of {', '.join(ConversationShare.Right.values)}, not {right!r}.")
    members = Membership.objects.filter(workspace_id=conversation.workspace_id, user_id__in=list(wanted))
    if set(members.values_list("user_id", flat=True)) != set(wanted):
        raise NotFound()
    conversation.shares.exclude(user_id__in=list(wanted)).delete()
    have = {share.user_id: share for share in conversation.shares.all()}
    for person, right in wanted.items():
        if person not in have:
            ConversationShare.objects.create(
                conversation=conversation, user_id=person, right=right or ConversationShare.Right.WRITE
            )
        elif right is not None and have[person].right != right:
            conversation.shares.filter(user_id=person).update(right=right)


def readers_now(conversation: Conversation) -> Readers:
    shares = sorted(conversation.shares.values_list("user_id", "right"), key=lambda row: str(row[0]))
    told: dict[str, Any] = {
        "visibility": str(conversation.visibility),
        "sharedWith": [str(user_id) for user_id, _ in shares],
    }
    if only := [str(user_id) for user_id, right in shares if right == ConversationShare.Right.VIEW]:
        told["viewOnly"] = only
    return Readers(rights_of(conversation), told)


def readers_changed(actor: Actor, conversation: Conversation, before: Readers) -> None:
    """Inside the transaction that changed it: audit and feed; after it, everyone whose right changed is told, and
    sockets that may not watch any more stop."""
    after = readers_now(conversation)
    if after.told != before.told:
        record(
            "visibility_changed",
            actor=actor,
            target_type="conversation",
            target_id=conversation.pk,
            metadata={"from": before.told, "to": after.told},
        )
    if set(after.rights) - set(before.rights):
        activity_record(
            workspace_id=conversation.workspace_id,
            user_id=actor.user_id,
            activity_type="shared",
            conversation_id=conversation.pk,
            open_to_all=conversation.visibility == Conversation.Visibility.WORKSPACE,
            metadata={"visibility": str(conversation.visibility)},
        )
    moved = {
        person: after.rights.get(person)
        for person in {*before.rights, *after.rights}
        if before.rights.get(person) != after.rights.get(person)
    }
    transaction.on_commit(lambda: announce_access(conversation, moved, by=actor.user))
    transaction.on_commit(lambda: ring_watchers(conversation))


# --- links ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class MadeLink:
    """A link's row and the text of its address, which is nowhere else."""

    row: ShareLink
    text: str


def link_create(
    *, actor: Actor, conversation_id: UUID | str, days: int | None, names: bool = False
) -> MadeLink:
    """A link to what the conversation says now, for 1, 7 or 30 days or (None) until it is revoked.

    Raises NotFound, Forbidden (not one's own to share, or the workspace allows no links), BadInput.
    """
    if days is not None and days not in DAYS:
        raise BadInput("A link stands for 1, 7 or 30 days, or without an end.")
    with transaction.atomic():
        found = access_conversation(actor, conversation_id, write=True)
        conversation = Conversation.objects.select_for_update(no_key=True).get(pk=found.pk)
        require_sharing(actor, conversation)
        require_links(actor)
        limit_hit("exports", actor)
        if links_of_conversation(conversation).count() >= MOST_LINKS:
            raise BadInput(f"A conversation has at most {MOST_LINKS} links at a time. Revoke one first.")
        text, now = new_share(), timezone.now()
        line = snapshot_line(conversation.pk)
        if not line:
            raise BadInput("There is nothing to show yet. Make the link when somebody has written.")
        row = ShareLink.objects.create(
            conversation=conversation,
            created_by=actor.user,
            digest=digest(text),
            last_four=text[-4:],
            title=conversation.title,
            line=line,
            names=names,
            taken_at=now,
            created_at=now,
            expires_at=now + timedelta(days=days) if days is not None else None,
        )
        _record("link_created", actor, row)
    return MadeLink(row, text)


def link_refresh(*, actor: Actor, link_id: UUID | str) -> ShareLink:
    """The same address from now on shows what the conversation says now. Raises NotFound, Forbidden, BadInput."""
    with transaction.atomic():
        row = access_link(actor, link_id)
        # It shows what is newer: so it takes the right to read that, and to share it.
        found = access_conversation(actor, row.conversation_id, write=True)
        conversation = Conversation.objects.select_for_update(no_key=True).get(pk=found.pk)
        require_sharing(actor, conversation)
        require_links(actor)
        standing = links_of_conversation(conversation).filter(pk=row.pk).first()
        if standing is None:
            raise NotFound()
        row = standing
        row.line, row.title, row.taken_at = snapshot_line(conversation.pk), conversation.title, timezone.now()
        row.save(update_fields=["line", "title", "taken_at"])
        _record("link_updated", actor, row)
    return row


@transaction.atomic
def link_revoke(*, actor: Actor, link_id: UUID | str) -> None:
    """Ends a link at once. Again: no change. Raises NotFound."""
    row = access_link(actor, link_id)
    if ShareLink.objects.filter(pk=row.pk, revoked_at=None).update(revoked_at=Now()):
        _record("link_revoked", actor, row)


def links_end(conversation_id: UUID) -> None:
    """With its conversation, for good: bringing that back brings no link back. In the caller's transaction."""
    ShareLink.objects.filter(conversation_id=conversation_id, revoked_at=None).update(revoked_at=Now())


def link_opened(link: ShareLink) -> None:
    """Counts; the audit hears of the first time on each day, so that nobody can fill it from outside."""
    now = timezone.now()
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    this = ShareLink.objects.filter(pk=link.pk)
    with transaction.atomic():
        first = this.filter(Q(last_opened_at=None) | Q(last_opened_at__lt=today))
        if not first.update(opens=F("opens") + 1, last_opened_at=now):
            this.update(opens=F("opens") + 1, last_opened_at=now)
            return
        record(
            "link_opened",
            workspace_id=link.conversation.workspace_id,
            target_type="share_link",
            target_id=link.pk,
            target_name=f"…{link.last_four}",
            metadata={"conversationId": str(link.conversation_id), "opens": link.opens + 1},
        )


def require_links(actor: Actor) -> None:
    allowed = Workspace.objects.filter(pk=actor.workspace_id).values_list("allow_share_links", flat=True)
    if not allowed.first():
        raise Forbidden("This workspace allows no links to the outside. An admin can change that.")


def snapshot_line(conversation_id: UUID) -> list[str]:
    """The ids of what a reader sees now, oldest first, without slash commands: what they answer (what was spent,
    hits of a search) is their asker's."""
    shown: Sequence[UUID] = [node.id for node in shown_line(nodes_of(conversation_id)).nodes][-MOST_MESSAGES:]
    rows = Message.objects.in_bulk(shown)
    commands = {
        row.pk
        for row in rows.values()
        if row.role == Message.Role.USER and parse_command(row.content) is not None
    }
    answers = {
        row.pk for row in rows.values() if row.role == Message.Role.ASSISTANT and row.parent_id in commands
    }
    return [str(one) for one in shown if one in rows and one not in commands | answers]


def _record(action: str, actor: Actor, row: ShareLink) -> None:
    record(
        action,
        actor=actor,
        target_type="share_link",
        target_id=row.pk,
        target_name=f"…{row.last_four}",
        metadata={
            "conversationId": str(row.conversation_id),
            "expiresAt": row.expires_at.isoformat() if row.expires_at else None,
            "messages": len(row.line),
            "names": row.names,
        },
    )
