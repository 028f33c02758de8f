"""The names of rooms, made in this one place so that no id of one kind is taken for another."""

from __future__ import annotations

from uuid import UUID


def workspace_room(workspace_id: UUID | str) -> str:
    """Everyone connected in a workspace: presence, activity, lists. Never message text."""
    return f"workspace.{_plain(workspace_id)}"


def conversation_room(conversation_id: UUID | str) -> str:
    """Those who subscribed to a conversation, after their right to read it was checked."""
    return f"conversation.{_plain(conversation_id)}"


def conversation_of_room(room: str) -> UUID | None:
    """The conversation that a room is of; None for rooms of other kinds."""
    kind, _, name = room.partition(".")
    return UUID(name) if kind == "conversation" else None


def member_room(workspace_id: UUID | str, user_id: UUID | str) -> str:
    """The sockets that one person has in one workspace: what is told to them alone."""
    return f"member.{_plain(workspace_id)}.{_plain(user_id)}"


def user_room(user_id: UUID | str) -> str:
    """All sockets of one person, in every workspace: for the doorbell of their rights, never for news."""
    return f"user.{_plain(user_id)}"


def presence_room(workspace_id: UUID | str) -> str:
    """Processes only, never a socket: the doorbell of presence leases."""
    return f"presence.{_plain(workspace_id)}"


def _plain(value: UUID | str) -> str:
    return value.hex if isinstance(value, UUID) else UUID(value).hex
