"""Every operation of the API from behind every wall: nobody, a stranger, a viewer, a read-only token.

The table of what is tried is made from the OpenAPI document: a new operation is in it by
itself, and one with an id in its path that has no row in `things` fails.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest
from django.http import HttpResponse
from django.test import AsyncClient

from billing.models import Attempt
from conversations.database import in_database
from conversations.models import ToolCall, Upload
from conversations.services.conversations import conversation_create, conversation_delete
from conversations.services.files import upload_create
from conversations.services.run_finish import run_end_unstarted
from conversations.services.run_start import run_start
from conversations.services.sharing import link_create
from nexus_site.api import api
from tests.people import person
from workspaces.access import Actor
from workspaces.invitations import invitation_create
from workspaces.models import Role
from workspaces.services import token_create

pytestmark = pytest.mark.django_db(transaction=True)

PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)
ABSENT = "00000000-0000-4000-8000-000000000000"
SAFE = ("get",)

SHARED_IDS = {"agent_id", "provider"}
"""Names, not ids: every workspace has the shipped ones, so a stranger finds his own there."""

VIEWERS_MAY = {
    "PATCH /api/me": "it is about themselves",
    "POST /api/tokens": "a token may no more than its owner",
    "DELETE /api/tokens/{token_id}": "one's own token",
    "POST /api/ws-ticket": "watching needs a socket",
    "POST /api/provider-keys": "a key of one's own",
    "DELETE /api/provider-keys/{provider}": "a key of one's own",
    "PUT /api/messages/{message_id}/feedback": "what one thinks of an answer",
    "DELETE /api/messages/{message_id}/feedback": "what one thinks of an answer",
}


@dataclass(frozen=True)
class Operation:
    method: str
    path: str
    ids: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.method.upper()} {self.path}"

    def at(self, things: dict[str, str]) -> str:
        return re.sub(r"\{(\w+)\}", lambda found: things[found[1]], self.path)


def operations() -> list[Operation]:
    return [
        Operation(method, path, tuple(re.findall(r"\{(\w+)\}", path)))
        for path, methods in api.get_openapi_schema()["paths"].items()
        for method in methods
    ]


ALL = operations()
WITH_IDS = [op for op in ALL if op.ids and not set(op.ids) & SHARED_IDS]
WRITES = [op for op in ALL if op.method not in SAFE]


def build(alice: Actor) -> dict[str, str]:
    """One of everything of Alice's, by the name its id has in paths."""
    started = run_start(actor=alice, agent_id="demo-agent", input_="Hello")
    run_end_unstarted(started.run.pk, status="failed", error_code="api_error", error_message="x")
    call = ToolCall.objects.create(
        run=started.run,
        conversation=started.conversation,
        message_id=started.run.answer_id,
        call_id="c",
        tool_name="t",
    )
    deleted = conversation_create(actor=alice, title="gone")
    invitation = invitation_create(actor=alice)
    conversation_delete(actor=alice, conversation_id=deleted.pk)
    token = token_create(user=alice.user, workspace=alice.workspace, name="hers")
    file = upload_create(actor=alice, name="a.png", data=PNG)
    # In a message: then members may see it, and a refusal is about what they may do.
    Upload.objects.filter(pk=file.pk).update(conversation=started.conversation)
    ids = {
        "conversation_id": started.conversation.pk,
        "deleted_id": deleted.pk,
        "run_id": started.run.pk,
        "message_id": started.message.pk,
        "tool_id": call.pk,
        "file_id": file.pk,
        "token_id": token.row.pk,
        "invitation_id": invitation.row.pk,
        "link_id": link_create(actor=alice, conversation_id=started.conversation.pk, days=7).row.pk,
        "attempt_id": Attempt.objects.create(
            workspace_id=alice.workspace_id, provider="p", model="m", reserved_at=started.run.created_at
        ).pk,
        "user_id": person("mona", alice.workspace, Role.MEMBER).user_id,
        "agent_id": "demo-agent",
        "provider": "openai",
    }
    return {name: str(value) for name, value in ids.items()}


@pytest.fixture
def things(alice: Actor, transactional_db: None, settings, tmp_path) -> dict[str, str]:
    settings.MEDIA_ROOT = tmp_path
    return build(alice)


async def send(
    op: Operation, address: str, token: str | None, body: bytes | None = b"{broken"
) -> HttpResponse:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    more = {} if op.method in SAFE or body is None else {"data": body, "content_type": "application/json"}
    response: HttpResponse = await getattr(AsyncClient(), op.method)(address, headers=headers, **more)
    return response


async def token_of(actor: Actor, *scopes: str) -> str:
    made = await in_database(
        token_create, user=actor.user, workspace=actor.workspace, name="t", scopes=list(scopes)
    )
    return made.text


def code(response: HttpResponse) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["code"]


def test_it_knows_a_thing_for_every_id(things):
    assert {name for op in ALL for name in op.ids} <= set(things)
    assert set(VIEWERS_MAY) <= {str(op) for op in ALL}


@pytest.mark.parametrize("op", ALL, ids=str)
async def test_it_is_closed_to_nobody(op, things):
    for token in (None, "nxs_wrong"):
        assert code(await send(op, op.at(things), token)) == (401, "unauthorized")


@pytest.mark.parametrize("op", WITH_IDS, ids=str)
async def test_it_shows_a_stranger_nothing_and_tells_not_even_that(op, things, charlie):
    token = await token_of(charlie)
    foreign = await send(op, op.at(things), token)
    absent = await send(op, op.at(dict.fromkeys(things, ABSENT)), token)
    assert code(foreign) == code(absent) == (404, "not_found")
    assert masked(foreign) == masked(absent)


def masked(response: HttpResponse) -> tuple[bytes, list[str]]:
    """The answer without its request's id, byte for byte, and the names of its headers."""
    body = response.content.replace(response["X-Request-Id"].encode(), b"-" * 32)
    return body, sorted(response.headers)


@pytest.mark.parametrize("op", WRITES, ids=str)
async def test_it_lets_a_viewer_and_a_read_only_token_change_nothing(op, things, vera, alice):
    if str(op) not in VIEWERS_MAY:
        assert (await send(op, op.at(things), await token_of(vera))).status_code == 403
    reader = await token_of(alice, "read")
    if op.path != "/api/ws-ticket":
        assert (await send(op, op.at(things), reader)).status_code == 403, "not even its owner's own"


@pytest.mark.parametrize("op", [op for op in ALL if op.method == "get"], ids=str)
async def test_it_opens_no_other_workspace_by_its_name(op, things, alice, charlie):
    if op.path.endswith("/stream"):
        return
    token = await token_of(charlie)
    for slug in (alice.workspace.slug, "no-such-workspace"):
        assert code(await send(op, f"{op.at(things)}?workspace={slug}", token)) == (404, "not_found")
