"""Sharing: who may see a conversation, and read-only links to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from ninja import Router
from pydantic import Field, StrictBool

from realtime.wire import Wire
from workspaces.access import Actor
from workspaces.request import ApiRequest

from ..database import in_database
from ..schemas import Instant, Visibility
from ..services import sharing as service
from ..sharing import link_wire, links_of_person, sharing_of
from .answers import answer, listed

router = Router(tags=["Sharing"])

Right = Literal["view", "write"]


class SharePerson(Wire):
    user_id: UUID
    name: str
    role: str
    right: Right | None


class ShareCreator(Wire):
    user_id: UUID
    name: str


class ShareLink(Wire):
    """A link as its maker sees it. Its address was shown once, when it was made: only a digest of it is kept."""

    id: UUID
    conversation_id: UUID
    title: str = Field(description="The conversation's at the moment of the snapshot.")
    last_four: str
    names: bool = Field(description="People are called by their names there.")
    message_count: int
    created_by: UUID | None
    created_at: Instant
    taken_at: Instant = Field(description="The moment whose state is shown.")
    expires_at: Instant | None
    opens: int
    last_opened_at: Instant | None


class NewShareLink(ShareLink):
    url: str = Field(description="Shown this once.")


class ShareLinkList(Wire):
    items: list[ShareLink]
    next_cursor: str | None


class Sharing(Wire):
    visibility: Visibility
    may_share: bool
    creator: ShareCreator | None
    people: list[SharePerson] = Field(description="Whom it is shared with by name.")
    others: list[SharePerson] = Field(description="Members it could be shared with; for who may share it.")
    member_count: int
    links_allowed: bool
    links: list[ShareLink] = Field(description="Those that work now; for who may share it.")


class PersonRight(Wire):
    user_id: UUID
    right: Right = "write"


class SharingFields(Wire):
    visibility: Visibility
    people: list[PersonRight] = Field(
        default_factory=list,
        max_length=500,
        description="The whole list. They count while it is `shared`; in a private or open conversation they are kept.",
    )


class ShareLinkFields(Wire):
    days: Literal[1, 7, 30] | None = Field(default=7, description="null: until it is revoked.")
    names: StrictBool = Field(default=False, description="Call people by their names there.")


@router.get("/conversations/{conversation_id}/sharing", response=Sharing, summary="Who may see it")
async def sharing(request: ApiRequest, conversation_id: str) -> HttpResponse:
    return answer(await in_database(sharing_of, request.auth, conversation_id))


@router.put("/conversations/{conversation_id}/sharing", response=Sharing, summary="Say who may see it")
async def sharing_change(request: ApiRequest, conversation_id: str, body: SharingFields) -> HttpResponse:
    """Private, open to the workspace, or shared with people, each to view or to write; at once, on open pages and
    sockets too. For who began it; of an open one for admins too."""
    people = {one.user_id: one.right for one in body.people}
    return answer(await in_database(_change, request.auth, conversation_id, body.visibility, people))


def _change(
    actor: Actor, conversation_id: str, visibility: str, people: Mapping[UUID, str]
) -> dict[str, Any]:
    service.sharing_set(actor=actor, conversation_id=conversation_id, visibility=visibility, people=people)
    return sharing_of(actor, conversation_id)


@router.post(
    "/conversations/{conversation_id}/links", response={201: NewShareLink}, summary="Make a read-only link"
)
async def link_new(request: ApiRequest, conversation_id: str, body: ShareLinkFields) -> HttpResponse:
    """Whoever has it reads what the conversation says now, without an account: no prompts, tools' data, tokens or cost."""
    made = await in_database(
        service.link_create,
        actor=request.auth,
        conversation_id=conversation_id,
        days=body.days,
        names=body.names,
    )
    return answer(link_wire(made.row) | {"url": address_of(request, made.text)}, 201)


@router.get("/links", response=ShareLinkList, summary="One's own read-only links")
async def link_list(request: ApiRequest) -> HttpResponse:
    """Those that work now, newest first."""
    return listed(await in_database(_links, request.auth), None)


def _links(actor: Actor) -> list[dict[str, Any]]:
    return [link_wire(link) for link in links_of_person(actor)]


@router.post("/links/{link_id}/refresh", response=ShareLink, summary="Bring a link up to date")
async def link_refresh(request: ApiRequest, link_id: str) -> HttpResponse:
    """The same address shows what the conversation says now."""
    return answer(link_wire(await in_database(service.link_refresh, actor=request.auth, link_id=link_id)))


@router.delete("/links/{link_id}", response={204: None}, summary="Revoke a link")
async def link_end(request: ApiRequest, link_id: str) -> HttpResponse:
    """It opens nothing any more, at once and for good."""
    await in_database(service.link_revoke, actor=request.auth, link_id=link_id)
    return HttpResponse(status=204)


def address_of(request: HttpRequest, text: str) -> str:
    return request.build_absolute_uri(reverse("shared", args=[text]))
