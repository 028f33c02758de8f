"""The tables of the matrix: one of everything, and where its id may be put in.

Whoever adds a route, a parameter, a frame or a page adds a row here; until then a test fails and says which.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver

from billing.models import Attempt, Budget
from conversations.models import Conversation, StandingApproval, ToolCall, Upload
from conversations.services.conversations import conversation_create, conversation_delete
from conversations.services.drafting import draft_open
from conversations.services.files import upload_create
from conversations.services.run_finish import run_end_unstarted
from conversations.services.run_start import run_start
from conversations.services.sharing import link_create
from nexus_site.api import api
from realtime.frames import CLIENT_FRAMES
from tests.people import person
from workspaces.access import Actor
from workspaces.invitations import invitation_create
from workspaces.models import Role
from workspaces.tokens import token_create

PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)
ABSENT = "00000000-0000-4000-8000-000000000000"
SAFE = ("get",)

SHARED_IDS = {"agent_id", "provider"}
"""Names, not ids: every workspace has the shipped ones, so a stranger finds his own there."""

OPEN_TO_MEMBERS = {"user_id", "attempt_id", "budget_id"}
"""What every colleague may look at: nothing of it is private to one of them."""

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
READERS_MAY = {"POST /api/ws-ticket": "its socket may only read too"}
"""What a read-only token may send although it is a write."""

_START = {"clientId": "$once", "agentId": "demo-agent", "input": "Hello"}
FRAMES: dict[str, dict[str, Any]] = {
    "ping": {"": {}},
    "subscribe": {"conversationId": {"conversationId": "$conversation_id"}},
    "unsubscribe": {"conversationId": {"conversationId": "$conversation_id"}},
    "conversation.read": {"conversationId": {"conversationId": "$conversation_id"}},
    "run.start": {
        "agentId": {**_START, "agentId": "$agent"},
        "conversationId": {**_START, "conversationId": "$conversation_id"},
        "parentMessageId": {
            **_START,
            "conversationId": "$own_conversation_id",
            "parentMessageId": "$message_id",
        },
        "regenerateMessageId": {**_START, "regenerateMessageId": "$message_id"},
    },
    "run.cancel": {"runId": {"runId": "$run_id"}},
    "run.resume": {"runId": {"runId": "$run_id"}},
    "run.steer": {"runId": {"runId": "$run_id", "input": "Shorter"}},
    "control.request": {"runId": {"runId": "$run_id"}},
    "control.take": {"runId": {"runId": "$run_id", "fence": 0}},
    "control.grant": {
        "runId": {"runId": "$run_id", "userId": "$own_user_id", "fence": 0},
        "userId": {"runId": "$own_run_id", "userId": "$user_id", "fence": 0},
    },
    "tool.decide": {"toolId": {"toolId": "$tool_id", "decision": "approve"}},
    "draft.open": {"conversationId": {"conversationId": "$conversation_id"}},
    "draft.read": {"conversationId": {"conversationId": "$conversation_id"}},
    "draft.edit": {
        "conversationId": {
            "conversationId": "$conversation_id",
            "draftId": "$draft_id",
            "version": 0,
            "at": 0,
        },
        "draftId": {"conversationId": "$own_conversation_id", "draftId": "$draft_id", "version": 0, "at": 0},
    },
    "draft.close": {
        "conversationId": {"conversationId": "$conversation_id", "draftId": "$draft_id", "version": 0},
        "draftId": {"conversationId": "$own_conversation_id", "draftId": "$draft_id", "version": 0},
    },
    "run.continue": {"messageId": {"messageId": "$message_id"}},
    "replay": {"runId": {"runId": "$run_id"}},
    "presence.update": {"conversationId": {"conversationId": "$conversation_id"}},
    "activity.broadcast": {"": {"activityType": "x"}},
    "suggestion.clicked": {"": {"suggestion": "x"}},
}
"""A good frame for each id that a client frame has, by the id's name. `$name` is the name of a thing."""

HEARD_ALIKE = {"unsubscribe": "it only stops hearing, whatever was named"}
VIEWERS_SEND = {
    "ping": "it asks nothing",
    "subscribe": "watching is what viewers do",
    "unsubscribe": "the same",
    "replay": "the same",
    "draft.read": "the same",
    "conversation.read": "their own mark",
    "presence.update": "they are here too",
    "suggestion.clicked": "counted, shown to nobody",
}
READERS_SEND = {"ping", "subscribe", "unsubscribe", "replay", "draft.read", "presence.update"}

BODY_IDS: dict[tuple[str, str], Any] = {
    ("POST /api/invoke", "agentId"): {"agentId": "$agent", "message": "x"},
    ("POST /api/invoke", "conversationId"): {
        "agentId": "demo-agent",
        "message": "x",
        "conversationId": "$conversation_id",
    },
    ("POST /api/invoke", "parentMessageId"): {
        "agentId": "demo-agent",
        "message": "x",
        "conversationId": "$own_conversation_id",
        "parentMessageId": "$message_id",
    },
    ("POST /api/invoke", "regenerateMessageId"): {
        "agentId": "demo-agent",
        "message": "",
        "regenerateMessageId": "$message_id",
    },
    ("POST /api/invoke", "message"): {
        "agentId": "demo-agent",
        "message": [{"type": "image", "fileId": "$file_id"}],
    },
    ("POST /api/invoke/preview", "agentId"): {"agentId": "$agent", "message": "x"},
    ("POST /api/invoke/preview", "conversationId"): {"message": "x", "conversationId": "$conversation_id"},
    ("POST /api/invoke/preview", "message"): {
        "agentId": "demo-agent",
        "message": [{"type": "image", "fileId": "$file_id"}],
    },
    ("POST /api/agents/stream", "agentId"): {"agentId": "$agent", "input": "x"},
    ("POST /api/agents/stream", "sessionId"): {
        "agentId": "demo-agent",
        "input": "x",
        "context": {"sessionId": "$conversation_id"},
    },
    ("POST /api/conversations", "agentId"): {"title": "x", "agentId": "$agent"},
    ("POST /api/conversations", "sharedWith"): {
        "title": "x",
        "visibility": "shared",
        "sharedWith": ["$user_id"],
    },
    ("PATCH /api/conversations/{conversation_id}", "agentId"): {"agentId": "$agent"},
    ("PATCH /api/conversations/{conversation_id}", "sharedWith"): {
        "visibility": "shared",
        "sharedWith": ["$user_id"],
    },
    ("PUT /api/conversations/{conversation_id}/sharing", "userId"): {
        "visibility": "shared",
        "people": [{"userId": "$user_id", "right": "view"}],
    },
    ("POST /api/budgets", "scopeId"): {"scope": "conversation", "scopeId": "$conversation_id", "limit": "1"},
    ("POST /api/conversations/bulk", "ids"): {"ids": ["$conversation_id"], "action": "archive"},
    ("POST /api/conversations/{conversation_id}/fork", "messageId"): {"messageId": "$message_id"},
}
"""A good body for each id in a body; the ids of its address are the caller's own."""

QUERY_IDS = {
    "agent": "$agent",
    "before": "$message_id",
    "conversation": "$conversation_id",
    "person": "$user_id",
    "through": "$message_id",
    "user": "$user_id",
}
"""Parameters of addresses that name a thing, wherever they are."""
KNOWN_TO_MEMBERS = {"agent", "agentId", "person", "user", "sharedWith", "userId", "conversation"}
"""What colleagues know of each other anyway, and `conversation`: the numbers of usage are the whole workspace's."""
PLAIN_PARAMETERS = {
    "after", "confirm", "copy", "cursor", "format", "from", "group", "groupBy", "history", "inactive", "limit", "model", "order",
    "provider", "purpose", "q", "range", "scope", "search", "since", "status", "to", "type", "until",
}  # fmt: skip
"""Parameters of addresses that name no thing. `cursor` has a test of its own."""
OWN_IDS = {"clientId", "id"}
"""Ids that the caller makes up."""

_LOOKS_LIKE_AN_ID = re.compile(r"(Id|Ids|^ids|With)$")


@dataclass(frozen=True)
class Operation:
    """One method of one address of the API."""

    method: str
    path: str
    ids: tuple[str, ...]
    body: tuple[str, ...]
    query: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.method.upper()} {self.path}"

    def at(self, things: dict[str, str]) -> str:
        return re.sub(r"\{(\w+)\}", lambda found: things[found[1]], self.path)


def operations() -> list[Operation]:
    """Of the OpenAPI document, which is made of the routes themselves."""
    schema: Any = api.get_openapi_schema()
    return [
        Operation(
            method,
            path,
            tuple(re.findall(r"\{(\w+)\}", path)),
            tuple(
                sorted(set(_properties(operation.get("requestBody"), schema["components"]["schemas"], set())))
            ),
            tuple(one["name"] for one in operation.get("parameters", ()) if one["in"] == "query"),
        )
        for path, methods in schema["paths"].items()
        for method, operation in methods.items()
    ]


def _properties(node: Any, schemas: dict[str, Any], seen: set[str]) -> Iterator[str]:
    """The names of all properties below, through references."""
    if isinstance(node, list):
        for item in node:
            yield from _properties(item, schemas, seen)
    if not isinstance(node, dict):
        return
    reference = node.get("$ref")
    if isinstance(reference, str):
        name = reference.rsplit("/", 1)[-1]
        if name not in seen:
            seen.add(name)
            yield from _properties(schemas[name], schemas, seen)
    for key, value in node.items():
        if key == "properties":
            yield from value
        yield from _properties(value, schemas, seen)


ALL = operations()
WITH_IDS = [op for op in ALL if op.ids and not set(op.ids) & SHARED_IDS]
WRITES = [op for op in ALL if op.method not in SAFE]


def ids_in_bodies() -> set[tuple[str, str]]:
    return {
        (str(op), name)
        for op in ALL
        for name in op.body
        if _LOOKS_LIKE_AN_ID.search(name) and name not in OWN_IDS
    }


def ids_of_frame(type_: str) -> set[str]:
    fields = CLIENT_FRAMES[type_].model.model_fields
    names = {str(field.alias or name) for name, field in fields.items()}
    camel = {re.sub(r"_(\w)", lambda found: found[1].upper(), name) for name in names}
    return {name for name in camel if _LOOKS_LIKE_AN_ID.search(name) and name not in OWN_IDS}


OWN = ("own_conversation_id", "own_run_id", "own_user_id")
"""Things of the caller's own, beside which a foreign one is named."""


def put_in(body: Any, things: dict[str, str]) -> Any:
    """The body with `$name` replaced."""
    if isinstance(body, dict):
        return {key: put_in(value, things) for key, value in body.items()}
    if isinstance(body, list):
        return [put_in(value, things) for value in body]
    return things[body[1:]] if isinstance(body, str) and body.startswith("$") else body


def build(actor: Actor, word: str, *, private: bool = False) -> dict[str, str]:
    """One of everything of this person's, by the name its id has in addresses."""
    visibility = "private" if private else ""
    started = run_start(actor=actor, agent_id="demo-agent", input_=f"Hello {word}", visibility=visibility)
    run_end_unstarted(started.run.pk, status="failed", error_code="api_error", error_message="x")
    call = ToolCall.objects.create(
        run=started.run,
        conversation=started.conversation,
        message_id=started.run.answer_id,
        call_id="c",
        tool_name="t",
    )
    deleted = conversation_create(actor=actor, title=f"gone {word}")
    conversation_delete(actor=actor, conversation_id=deleted.pk)
    Conversation.objects.filter(pk=deleted.pk).update(visibility=started.conversation.visibility)
    token = token_create(user=actor.user, workspace=actor.workspace, name=word)
    file = upload_create(actor=actor, name=f"{word}.png", data=PNG)
    # In a message: then members may see it, and a refusal is about what they may do.
    Upload.objects.filter(pk=file.pk).update(conversation=started.conversation)
    own = conversation_create(actor=actor, title=f"own {word}")
    ids = {
        "conversation_id": started.conversation.pk,
        "own_conversation_id": own.pk,
        "deleted_id": deleted.pk,
        "run_id": started.run.pk,
        "own_run_id": started.run.pk,
        "standing_id": StandingApproval.objects.create(
            workspace=actor.workspace,
            agent_slug="demo-agent",
            tool_name=f"t-{word}",
            conversation=started.conversation,
            created_by=actor.user,
        ).pk,
        "draft_id": draft_open(actor=actor, conversation_id=started.conversation.pk, text=f"draft {word}").pk,
        "message_id": started.run.answer_id,
        "tool_id": call.pk,
        "file_id": file.pk,
        "token_id": token.row.pk,
        "link_id": link_create(actor=actor, conversation_id=started.conversation.pk, days=7).row.pk,
        "attempt_id": Attempt.objects.create(
            workspace_id=actor.workspace_id,
            user_id=actor.user_id,
            conversation_id=started.conversation.pk,
            provider="p",
            model="m",
            reserved_at=started.run.created_at,
        ).pk,
        "budget_id": Budget.objects.create(
            workspace_id=actor.workspace_id, name=f"budget {word}", limit=1
        ).pk,
        "user_id": (mona := person(f"mona-{word}", actor.workspace, Role.MEMBER).user_id),
        "own_user_id": mona,
        "agent_id": "demo-agent",
        "provider": "openai",
    }
    if actor.is_admin:
        ids["invitation_id"] = invitation_create(actor=actor).row.pk
    else:
        ids["invitation_id"] = ABSENT
    return {name: str(value) for name, value in ids.items()}


# --- pages ---

TO_LOGIN = "to-login"
OPEN = "open"
ADMIN = "admin"

PAGES: dict[str, str] = {
    "": TO_LOGIN,
    "c/<uuid:conversation_id>/": TO_LOGIN,
    "history/": TO_LOGIN,
    "audit/": TO_LOGIN,
    "usage/": TO_LOGIN,
    "members/": TO_LOGIN,
    "settings/": TO_LOGIN,
    "members/<uuid:user_id>/role": TO_LOGIN,
    "members/<uuid:user_id>/remove": TO_LOGIN,
    "members/leave": TO_LOGIN,
    "members/invite": TO_LOGIN,
    "members/invitations/<uuid:invitation_id>/revoke": TO_LOGIN,
    "two-step/": TO_LOGIN,
    "workspaces/switch": TO_LOGIN,
    "workspaces/new": TO_LOGIN,
    "workspaces/change": TO_LOGIN,
    "workspaces/delete": TO_LOGIN,
    "join/": OPEN,  # without an invitation in the session it says that there is none
    "join/decline": OPEN,
    "join/<str:text>/": OPEN,
    "s/<str:text>/": OPEN,  # a read-only link: 404 alike for all that open nothing; tests/conversations/test_sharing_links
    "s/<str:text>/files/<uuid:file_id>": OPEN,
    "livez": OPEN,
    "readyz": OPEN,
    "metrics": OPEN,  # only where the operator opens it; tests/observability
}
"""Every page of ours, and what it does for who is not logged in."""

PAGES_WITH_IDS = {
    "c/<uuid:conversation_id>/": "get",
    "members/<uuid:user_id>/role": "post",
    "members/<uuid:user_id>/remove": "post",
    "members/invitations/<uuid:invitation_id>/revoke": "post",
    "accounts/2fa/webauthn/keys/<int:pk>/remove/": "get",
    "accounts/2fa/webauthn/keys/<int:pk>/edit/": "get",
}
ELSEWHERE = ("api/", "admin/", "accounts/")
"""The API has the tables above; the admin has test_admin_walls; `accounts/` is about oneself alone."""


def pages() -> list[str]:
    """Every address of the resolver that is none of the API's."""
    return [route for route in _walk(get_resolver()) if not route.startswith("api/")]


def _walk(resolver: URLResolver, before: str = "") -> Iterator[str]:
    for pattern in resolver.url_patterns:
        route = before + str(pattern.pattern)
        if isinstance(pattern, URLPattern):
            yield route
        else:
            yield from _walk(pattern, route)
