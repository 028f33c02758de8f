"""Who may see a conversation, and by what link somebody without an account may: the reads, and their wire forms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from workspaces.access import Actor, Forbidden, NotFound
from workspaces.models import Membership, Role

from .access import access_conversation, as_uuid, may_write, readable
from .models import Conversation, ConversationShare, ShareLink
from .wire import instant

Wire = dict[str, Any]
Right = str
"""`view` or `write`."""


# --- people -----------------------------------------------------------------------------------------------


def owns(actor: Actor, conversation: Conversation) -> bool:
    """Its creator; of what the workspace sees, its admins and owners too."""
    if conversation.created_by_id == actor.user_id:
        return True
    return actor.is_admin and conversation.visibility == Conversation.Visibility.WORKSPACE


def may_share(actor: Actor, conversation: Conversation) -> bool:
    return actor.can_write and owns(actor, conversation) and not conversation.temporary


def rights_of(conversation: Conversation) -> dict[UUID, Right]:
    """What each member of its workspace may do in it; who is not in there may not know of it. Two queries."""
    if conversation.deleted_at is not None:
        return {}
    given: Mapping[UUID, Right] = {}
    members = Membership.objects.filter(workspace_id=conversation.workspace_id, user__is_active=True)
    if conversation.visibility == Conversation.Visibility.SHARED:
        given = dict(conversation.shares.values_list("user_id", "right"))
    if conversation.visibility != Conversation.Visibility.WORKSPACE:
        members = members.filter(Q(user_id=conversation.created_by_id) | Q(user_id__in=list(given)))
    view = ConversationShare.Right.VIEW
    return {
        user_id: str(view)
        if role == Role.VIEWER or given.get(user_id) == view
        else str(ConversationShare.Right.WRITE)
        for user_id, role in members.values_list("user_id", "role")
    }


def rights_wire(actor: Actor, conversation: Conversation) -> Wire:
    """What this person may do with it, for their page."""
    return {"mayWrite": may_write(actor, conversation), "mayShare": may_share(actor, conversation)}


def sharing_of(actor: Actor, conversation_id: UUID | str) -> Wire:
    """All that the share dialog shows. Links, and members who could be added, only for who may share. Raises NotFound."""
    conversation = access_conversation(actor, conversation_id)
    sharing = may_share(actor, conversation)
    members = list(
        Membership.objects.filter(workspace_id=actor.workspace_id, user__is_active=True)
        .select_related("user")
        .order_by("user__username")
    )
    given = dict(conversation.shares.values_list("user_id", "right"))
    shared = conversation.visibility == Conversation.Visibility.SHARED
    people = [
        person_of(member, given[member.user_id])
        for member in members
        if member.user_id in given and member.user_id != conversation.created_by_id and (shared or sharing)
    ]
    others = [
        person_of(member, None)
        for member in members
        if sharing and member.user_id not in given and member.user_id != conversation.created_by_id
    ]
    creator = next((m for m in members if m.user_id == conversation.created_by_id), None)
    return {
        "visibility": conversation.visibility,
        "mayShare": sharing,
        "creator": {"userId": str(creator.user_id), "name": creator.user.display_name} if creator else None,
        "people": people,
        "others": others,
        "memberCount": len(members),
        "linksAllowed": actor.workspace.allow_share_links,
        "links": [link_wire(link) for link in links_of_conversation(conversation)] if sharing else [],
    }


def person_of(member: Membership, right: Right | None) -> Wire:
    return {
        "userId": str(member.user_id),
        "name": member.user.display_name,
        "role": member.role,
        "right": right,
    }


# --- links ------------------------------------------------------------------------------------------------


def links_standing() -> QuerySet[ShareLink]:
    """All that open something right now: neither revoked nor expired, allowed by the workspace, the conversation
    there, and whoever made it still a member."""
    makers = Membership.objects.filter(
        workspace_id=OuterRef("conversation__workspace_id"),
        user_id=OuterRef("created_by_id"),
        user__is_active=True,
    ).exclude(role=Role.VIEWER)
    return ShareLink.objects.filter(
        Q(expires_at=None) | Q(expires_at__gt=timezone.now()),
        Exists(makers),
        revoked_at=None,
        conversation__deleted_at=None,
        conversation__workspace__deleted_at=None,
        conversation__workspace__allow_share_links=True,
    )


def links_of_conversation(conversation: Conversation) -> QuerySet[ShareLink]:
    return links_standing().filter(conversation=conversation)


def links_of_person(actor: Actor) -> QuerySet[ShareLink]:
    """This person's own links in this workspace, newest first."""
    mine = links_standing().filter(created_by_id=actor.user_id, conversation__workspace_id=actor.workspace_id)
    return mine.select_related("conversation")


def access_link(actor: Actor, link_id: UUID | str) -> ShareLink:
    """A link of one's own, or of a conversation that is one's own to share, revoked ones too. Raises NotFound, and
    Forbidden for others who may read the conversation."""
    found = (
        ShareLink.objects.select_related("conversation")
        .filter(pk=as_uuid(link_id), conversation__workspace_id=actor.workspace_id)
        .first()
    )
    if found is None:
        raise NotFound()
    if found.created_by_id != actor.user_id:
        conversation = readable(actor).filter(pk=found.conversation_id).first()
        if conversation is None:
            raise NotFound()
        if not owns(actor, conversation):
            raise Forbidden("Only who made this link, or may share the conversation, may do that.")
    return found


def link_wire(link: ShareLink) -> Wire:
    """Without its address, which nobody knows any more but who has it."""
    return {
        "id": str(link.pk),
        "conversationId": str(link.conversation_id),
        "title": link.title or "New conversation",
        "lastFour": link.last_four,
        "names": link.names,
        "messageCount": len(link.line),
        "createdBy": str(link.created_by_id) if link.created_by_id else None,
        "createdAt": instant(link.created_at),
        "takenAt": instant(link.taken_at),
        "expiresAt": instant(link.expires_at),
        "opens": link.opens,
        "lastOpenedAt": instant(link.last_opened_at),
    }
