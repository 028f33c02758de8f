"""Writes of a conversation as a whole: create, change, delete, restore."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from agents.services import access_agent
from workspaces.access import Actor, Forbidden, NotFound
from workspaces.audit import record

from ..access import access_conversation, as_uuid, require_write
from ..engine.recorder import storable
from ..events import announce_conversation, ring_watchers
from ..models import Conversation, ConversationMark, Run
from ..sharing import owns
from .input import BadInput
from .run_cancel import cancel_in_transaction
from .sharing import links_end, people_set, readers_changed, readers_now
from .titles import TEMPORARY_TITLE, title_from

LONGEST_TITLE = 200
LONGEST_MODEL = 160
UNSET: Any = object()


def conversation_create(
    *,
    actor: Actor,
    title: str = "",
    agent_id: str = "",
    visibility: str = "",
    model: str = "",
    shared_with: Sequence[UUID | str] = (),
    temporary: bool = False,
) -> Conversation:
    """An empty conversation. Raises Forbidden, AgentNotFound, BadInput, NotFound (a person to share with)."""
    require_write(actor)
    agent_slug = access_agent(actor, agent_id).slug if agent_id else ""
    title = _title(title) if title.strip() else ""
    if temporary:
        title, visibility, shared_with = title or TEMPORARY_TITLE, Conversation.Visibility.PRIVATE, ()
    conversation = Conversation(
        workspace_id=actor.workspace_id,
        created_by_id=actor.user_id,
        title=title,
        titled_by_person=bool(title),
        temporary=temporary,
        agent_slug=agent_slug,
        visibility=_visibility(visibility or Conversation.Visibility.WORKSPACE),
        model=_model(model),
    )
    with transaction.atomic():
        conversation.save(force_insert=True)
        conversation.refresh_from_db()
        if shared_with:
            _share(conversation, shared_with)
        transaction.on_commit(lambda: announce_conversation(conversation))
    return conversation


def conversation_update(
    *,
    actor: Actor,
    conversation_id: UUID | str,
    title: str = UNSET,
    status: str = UNSET,
    pinned: bool = UNSET,
    visibility: str = UNSET,
    model: str = UNSET,
    agent_id: str = UNSET,
    shared_with: Sequence[UUID | str] = UNSET,
    temporary: bool = UNSET,
) -> Conversation:
    """Changes what is given. `pinned` is the person's own mark; visibility and sharing are its creator's
    and the admins' to change; `temporary=False` keeps a temporary one. Raises NotFound, Forbidden, AgentNotFound, BadInput."""
    with transaction.atomic():
        found = access_conversation(actor, conversation_id, write=True)
        conversation = Conversation.objects.select_for_update(no_key=True).get(pk=found.pk)
        changed: list[str] = []
        if title is not UNSET:
            conversation.title, conversation.titled_by_person = _title(title), True
            changed += ["title", "titled_by_person"]
        if status is not UNSET:
            if status not in Conversation.Status.values:
                raise BadInput(f"status is one of {', '.join(Conversation.Status.values)}, not {status!r}.")
            conversation.status = status
            changed.append("status")
        if model is not UNSET:
            conversation.model = _model(model)
            changed.append("model")
        if agent_id is not UNSET:
            conversation.agent_slug = access_agent(actor, agent_id).slug
            changed.append("agent_slug")
        if temporary is not UNSET and not temporary and conversation.temporary:
            conversation.temporary = False
            changed.append("temporary")
            if conversation.title == TEMPORARY_TITLE:
                first = conversation.messages.order_by("number").first()
                conversation.title = title_from(first.content if first else "")
                changed.append("title")
        if visibility is not UNSET or shared_with is not UNSET:
            require_ownership(actor, conversation)
            if conversation.temporary:
                raise BadInput("A temporary chat is its creator's alone. Keep it first, then share it.")
        before = readers_now(conversation) if visibility is not UNSET or shared_with is not UNSET else None
        if visibility is not UNSET:
            conversation.visibility = _visibility(visibility)
            changed.append("visibility")
        if shared_with is not UNSET:
            _share(conversation, shared_with)
        if changed:
            conversation.updated_at = timezone.now()
            conversation.save(update_fields=[*changed, "updated_at"])
        if pinned is not UNSET:
            ConversationMark.objects.update_or_create(
                conversation=conversation, user_id=actor.user_id, defaults={"pinned": pinned}
            )
        if changed or shared_with is not UNSET:
            transaction.on_commit(lambda: announce_conversation(conversation))
        if before is not None:
            readers_changed(actor, conversation, before)
    return conversation


def conversation_delete(*, actor: Actor, conversation_id: UUID | str) -> None:
    """Puts it away: nobody finds it any more, its unfinished runs are stopped. `conversation_restore` undoes it."""
    with transaction.atomic():
        found = access_conversation(actor, conversation_id, write=True)
        conversation = Conversation.objects.select_for_update(no_key=True).get(pk=found.pk)
        require_ownership(actor, conversation)
        Conversation.objects.filter(pk=conversation.pk).update(deleted_at=Now(), updated_at=Now())
        for run in Run.objects.select_for_update(no_key=True).filter(
            conversation=conversation, status__in=Run.UNFINISHED
        ):
            cancel_in_transaction(run, by=actor.user_id)
        conversation.deleted_at = timezone.now()
        links_end(conversation.pk)
        _record("conversation_deleted", actor, conversation)
        transaction.on_commit(lambda: announce_conversation(conversation))
        transaction.on_commit(lambda: ring_watchers(conversation))


def conversation_restore(*, actor: Actor, conversation_id: UUID | str) -> Conversation:
    """Brings a deleted conversation back. Its creator's and the admins' to do; to others it is not there."""
    with transaction.atomic():
        conversation = (
            Conversation.objects.select_for_update(no_key=True)
            .filter(pk=as_uuid(conversation_id), workspace_id=actor.workspace_id)
            .exclude(deleted_at=None)
            .first()
        )
        if conversation is None or not owns(actor, conversation):
            raise NotFound()
        require_write(actor)
        conversation.deleted_at, conversation.updated_at = None, timezone.now()
        conversation.save(update_fields=["deleted_at", "updated_at"])
        _record("conversation_restored", actor, conversation)
        transaction.on_commit(lambda: announce_conversation(conversation))
    return conversation


def _record(
    action: str, actor: Actor, conversation: Conversation, metadata: dict[str, Any] | None = None
) -> None:
    """By its id: its title is made of what somebody wrote."""
    record(action, actor=actor, target_type="conversation", target_id=conversation.pk, metadata=metadata)


def require_ownership(actor: Actor, conversation: Conversation) -> None:
    if not owns(actor, conversation):
        raise Forbidden("Only the person who began this conversation, or an admin, may do that.")


def _title(value: str) -> str:
    title = " ".join(storable(value).split())
    if not title:
        raise BadInput("The title is empty.")
    if len(title) > LONGEST_TITLE:
        raise BadInput(f"The title has {len(title)} characters; at most {LONGEST_TITLE} fit.")
    return title


def _model(value: str) -> str:
    """`provider/model`, or empty for the agent's own."""
    model = storable(value).strip()
    if not model:
        return ""
    provider, slash, name = model.partition("/")
    if not (slash and provider and name) or any(c.isspace() for c in model) or len(model) > LONGEST_MODEL:
        raise BadInput('A model is written "provider/model", for example anthropic/claude-sonnet-5-5.')
    return model


def _visibility(value: str) -> str:
    if value not in Conversation.Visibility.values:
        raise BadInput(f"visibility is one of {', '.join(Conversation.Visibility.values)}, not {value!r}.")
    return value


def _share(conversation: Conversation, people: Sequence[UUID | str]) -> None:
    """The whole list of people; who is in it already keeps the right they have, who is new may write."""
    people_set(conversation, dict.fromkeys(people))
