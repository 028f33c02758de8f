"""What HTTP takes and gives for people, tokens, tickets and keys. camelCase; snake_case is accepted too."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field, StrictBool

from .wire import Wire

KeyScope = Literal["workspace", "me"]


class WorkspaceRef(Wire):
    id: str
    slug: str
    name: str


class Me(Wire):
    id: str
    username: str
    email: str
    name: str = Field(description="What others see.")
    title: str
    timezone: str
    about: str
    theme: Literal["system", "light", "dark"]
    shortcuts_enabled: bool
    notifications_enabled: bool
    role: Literal["owner", "admin", "member", "viewer"]
    workspace: WorkspaceRef
    workspaces: list[WorkspaceRef]


class MeFields(Wire):
    """What a person may say of themselves. What is left out stays as it is."""

    name: str | None = Field(default=None, max_length=150)
    title: str | None = Field(default=None, max_length=150)
    timezone: str | None = Field(
        default=None, max_length=64, description="An IANA name such as Europe/Vienna."
    )
    about: str | None = Field(default=None, max_length=2000)
    theme: Literal["system", "light", "dark"] | None = None
    shortcuts_enabled: bool | None = None
    notifications_enabled: bool | None = Field(
        default=None, description="The browser says when a long answer is ready."
    )


Role = Literal["owner", "admin", "member", "viewer"]
GivenRole = Literal["admin", "member", "viewer"]


class Member(Wire):
    user_id: str
    name: str
    role: Role
    joined_at: datetime


class MemberFields(Wire):
    role: Role


class MemberList(Wire):
    items: list[Member]
    next_cursor: str | None


class Invitation(Wire):
    id: str
    role: GivenRole
    email: str | None = Field(description="The one person it is for; null: whoever has the link.")
    most_uses: int | None = Field(description="How many may come by it; null: any number.")
    uses: int
    created_by: str | None = Field(description="A user's id.")
    created_at: datetime
    expires_at: datetime


class NewInvitation(Invitation):
    link: str | None = Field(description="Shown this once; null when it went by mail, which alone has it.")


class InvitationList(Wire):
    items: list[Invitation]
    next_cursor: str | None


class InvitationFields(Wire):
    role: GivenRole = "member"
    email: str | None = Field(
        default=None, max_length=254, description="Sends it to this address, for this person, once."
    )
    most_uses: int | None = Field(default=1, ge=1, le=1000, description="Of a link; null: any number.")
    days: int = Field(default=7, ge=1, le=90, description="How long it stands.")


class Workspace(WorkspaceRef):
    role: Role
    allow_personal_keys: bool
    allow_share_links: bool
    require_two_step: bool
    created_at: datetime


class WorkspaceList(Wire):
    items: list[Workspace]
    next_cursor: str | None


class NewWorkspaceFields(Wire):
    name: str = Field(min_length=1, max_length=150)


class WorkspaceFields(Wire):
    """What is left out stays as it is."""

    name: str | None = Field(default=None, min_length=1, max_length=150)
    allow_personal_keys: StrictBool | None = None
    allow_share_links: StrictBool | None = None
    require_two_step: StrictBool | None = Field(
        default=None, description="People who come by a browser need an authenticator app or a passkey."
    )


class Token(Wire):
    id: str
    name: str
    last_four: str
    scopes: list[str]
    user_id: str
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None


class NewToken(Token):
    token: str = Field(description="Shown this once.")


class TokenList(Wire):
    items: list[Token]
    next_cursor: str | None


class TokenFields(Wire):
    name: str = Field(min_length=1, max_length=100)
    scopes: list[Literal["read"]] = Field(
        default_factory=list, max_length=1, description='["read"]: read only.'
    )
    expires_at: datetime | None = None


class Ticket(Wire):
    ticket: str = Field(description="Goes into the socket's subprotocols as `ticket.<value>`.")
    expires_at: datetime


class Key(Wire):
    provider: str
    scope: KeyScope
    last_four: str
    created_at: datetime


class KeyList(Wire):
    items: list[Key]
    next_cursor: str | None


class KeyFields(Wire):
    provider: str = Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,63}$")
    secret: str = Field(min_length=1, max_length=4000)
    scope: KeyScope = "workspace"
