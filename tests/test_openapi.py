"""The OpenAPI document and the API hold each other to their word.

Server-sent events are left out: they have no end that a generated request could wait for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import schemathesis
from django.contrib.staticfiles import finders
from django.core.asgi import get_asgi_application
from django.test import AsyncClient
from hypothesis import HealthCheck, settings
from limits import parse
from schemathesis.specs.openapi.checks import positive_data_acceptance

from billing.models import Attempt
from conversations.api import invoke
from conversations.models import StandingApproval, ToolCall
from conversations.services.files import upload_create
from conversations.services.run_finish import run_end_unstarted
from conversations.services.run_start import run_start
from conversations.services.sharing import link_create
from nexus_site.api import api as nexus_api
from tests.people import person
from workspaces import limits
from workspaces.access import Actor
from workspaces.invitations import invitation_create
from workspaces.models import Role
from workspaces.tokens import token_create

PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)
STREAMS = r"/stream$"
ALWAYS = ("401", "403", "404", "422", "429")


def document() -> dict[str, Any]:
    schema: dict[str, Any] = nexus_api.get_openapi_schema()
    return schema


def operations() -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document()["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def test_it_declares_how_every_operation_refuses():
    found = dict(operations())
    assert len(found) > 30
    for name, operation in found.items():
        answers = {str(status): answer for status, answer in operation["responses"].items()}
        for status in ALWAYS:
            schema = answers[status]["content"]["application/json"]["schema"]
            assert schema == {"$ref": "#/components/schemas/Error"}, (name, status)
        if "requestBody" in operation:
            assert {"400", "413"} <= set(answers), name
        assert any(status.startswith("2") for status in answers), name
        assert operation["summary"], name
    ids = [operation["operationId"] for operation in found.values()]
    assert len(set(ids)) == len(ids)


def test_it_has_the_addresses_of_the_protocol():
    paths = {re.sub(r"\{[^}]+\}", "{}", name) for name, _ in operations()}
    wanted = """
        GET /api/agents | POST /api/agents | GET /api/agents/{} | PATCH /api/agents/{} | DELETE /api/agents/{}
        POST /api/invoke | POST /api/agents/stream | GET /api/runs/{} | GET /api/runs/{}/chunks | GET /api/runs/{}/stream
        POST /api/runs/{}/cancel | POST /api/runs/{}/resume | GET /api/conversations | POST /api/conversations
        GET /api/conversations/{} | PATCH /api/conversations/{} | DELETE /api/conversations/{}
        GET /api/conversations/{}/messages | GET /api/conversations/{}/export | GET /api/conversations/{}/tool-calls
        GET /api/messages/{}/tool-calls | GET /api/tool-calls/{} | POST /api/tool-calls/{}/decision | GET /api/search | GET /api/presence
        GET /api/activities | GET /api/usage | GET /api/usage/export.csv | POST /api/ws-ticket | POST /api/files
        DELETE /api/tokens/{} | GET /api/usage/overview | GET /api/usage/latencies | GET /api/usage/reliability
        GET /api/usage/attempts | GET /api/usage/attempts/{} | GET /api/usage/export.json
    """
    assert {name.strip() for name in re.split(r"[|\n]", wanted) if name.strip()} <= paths


@pytest.mark.django_db(transaction=True)
async def test_it_shows_the_documentation_without_any_other_host():
    client = AsyncClient()
    page = (await client.get("/api/docs")).content.decode()
    assert not re.search(r"(src|href)=[\"']?(https?:)?//", page)
    assets = re.findall(r"(?:src|href)=\"/static/([^\"]+)\"", page)
    assert any(name.endswith("swagger-ui-bundle.js") for name in assets)
    assert all(finders.find(re.sub(r"\.[0-9a-f]{12}\.", ".", name)) for name in assets)
    assert (await client.get("/api/openapi.json")).json()["info"]["title"] == "Nexus"


@dataclass(frozen=True)
class Prepared:
    """A token, and ids of things that are there by the names that paths have for them."""

    headers: dict[str, str]
    ids: dict[str, str]


@pytest.fixture
def prepared(
    alice: Actor, transactional_db: None, monkeypatch: pytest.MonkeyPatch, settings: Any, tmp_path: Any
) -> Prepared:
    """Alice with a finished run, in an API without an engine and without rate limits."""
    settings.MEDIA_ROOT = tmp_path
    # Nothing executes runs here: whoever waits for one is told that it goes on.
    monkeypatch.setattr(invoke, "MOST_WAIT_SECONDS", 0.01)
    monkeypatch.setattr(limits, "LIMITS", dict.fromkeys(limits.LIMITS, parse("1000000/minute")))
    made = token_create(user=alice.user, workspace=alice.workspace, name="fuzz")
    other = token_create(user=alice.user, workspace=alice.workspace, name="other")
    started = run_start(actor=alice, agent_id="demo-agent", input_="Hello")
    run_end_unstarted(started.run.pk, status="cancelled")
    call = ToolCall.objects.create(
        run=started.run,
        conversation=started.conversation,
        message_id=started.run.answer_id,
        call_id="c",
        tool_name="t",
    )
    ids = {
        "conversation_id": started.conversation.pk,
        "run_id": started.run.pk,
        "message_id": started.message.pk,
        "tool_id": call.pk,
        "standing_id": StandingApproval.objects.create(
            workspace=alice.workspace, agent_slug="demo-agent", tool_name="t", created_by=alice.user
        ).pk,
        "file_id": upload_create(actor=alice, name="a.png", data=PNG).pk,
        "agent_id": "demo-agent",
        "token_id": other.row.pk,
        "user_id": person("mona", alice.workspace, Role.MEMBER).user_id,
        "invitation_id": invitation_create(actor=alice).row.pk,
        "link_id": link_create(actor=alice, conversation_id=started.conversation.pk, days=7).row.pk,
        "attempt_id": Attempt.objects.create(
            workspace_id=alice.workspace_id, provider="p", model="m", reserved_at=started.run.created_at
        ).pk,
    }
    return Prepared(
        {"Authorization": f"Bearer {made.text}"}, {name: str(value) for name, value in ids.items()}
    )


loaded = schemathesis.openapi.from_dict(json.loads(json.dumps(document())))
loaded.app, loaded.location = get_asgi_application(), "/api/openapi.json"
fuzzed = loaded.exclude(path_regex=STREAMS)


@fuzzed.parametrize()
@settings(max_examples=5, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_it_keeps_its_word(case: Any, prepared: Prepared) -> None:
    """Whatever is sent: no server error, only declared answers, of the declared shape."""
    for name in case.path_parameters or {}:
        if name in prepared.ids:
            case.path_parameters[name] = prepared.ids[name]
    # Not every rule can be told by a schema (an agent that is there, a provider that is known): a 422 is an answer.
    case.call_and_validate(headers=prepared.headers, excluded_checks=[positive_data_acceptance])
