"""Who may read what was recorded, and how: over the API, as CSV, on the page."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.test import AsyncClient, Client
from django.utils import timezone

from conversations.services.run_finish import run_end_unstarted
from conversations.services.run_start import run_start
from workspaces.access import Actor, Invalid
from workspaces.audit import record
from workspaces.audit.reads import place_in
from workspaces.cursors import cursor_of
from workspaces.database import in_database
from workspaces.models import AuditEvent
from workspaces.tokens import token_create_by

pytestmark = pytest.mark.django_db

IN_THREADS = pytest.mark.django_db(transaction=True)
"""The API reads on threads of its own, which see only what was committed."""


@IN_THREADS
def test_it_is_read_by_admins_and_owners_only(alice: Actor, bob: Actor, vera: Actor, charlie: Actor) -> None:
    def get(actor: Actor, path: str, *scopes: str) -> Any:
        text = token_create_by(actor=actor, name="t", scopes=list(scopes)).text
        return Client().get(path, headers={"Authorization": f"Bearer {text}"})

    for path in ("/api/audit", "/api/audit/export.csv"):
        assert [get(a, path).status_code for a in (alice, bob, vera, charlie)] == [200, 403, 403, 200]
    assert get(alice, "/api/audit", "read").status_code == 200
    theirs = get(charlie, "/api/audit?limit=200").json()["items"]
    assert {e["groupId"] for e in theirs} == {str(charlie.workspace_id)}
    foreign = get(charlie, f"/api/audit?person={alice.user_id}").json()["items"]
    assert foreign == []


@pytest.fixture
def api(alice: Actor) -> Any:
    text = token_create_by(actor=alice, name="reader").text
    client = Client(headers={"Authorization": f"Bearer {text}"})

    def get(query: str = "") -> dict[str, Any]:
        answer = client.get(f"/api/audit{query}")
        assert answer.status_code == 200, answer.content
        found: dict[str, Any] = answer.json()
        return found

    return get


@IN_THREADS
def test_it_gives_every_event_once_newest_first_page_by_page(alice: Actor, api: Any) -> None:
    at = timezone.now() - timedelta(days=1)
    AuditEvent.objects.bulk_create(
        AuditEvent(workspace_id=alice.workspace_id, who="system", action="login", created_at=at)
        for _ in range(25)
    )
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = api(f"?limit=7&cursor={cursor}")
        seen += [e["id"] for e in page["items"]]
        cursor = page["nextCursor"]
    expected = AuditEvent.objects.filter(workspace_id=alice.workspace_id)
    assert seen == [str(e.pk) for e in expected.order_by("-created_at", "-id")]


@IN_THREADS
@pytest.mark.usefixtures("within_a_day")
def test_it_filters_by_person_group_agent_days_and_text(alice: Actor, bob: Actor, api: Any) -> None:
    record(
        "exported",
        actor=bob,
        target_type="conversation",
        target_id=uuid4(),
        metadata={"format": "odd-format"},
    )
    started = run_start(actor=alice, agent_id="demo-agent", input_="Hello")
    run_end_unstarted(started.run.pk, status="cancelled")

    def types(query: str) -> set[str]:
        return {e["type"] for e in api(f"?limit=200&{query}")["items"]}

    assert types(f"person={bob.user_id}") == {"exported"}
    assert types("group=runs") == {"ai_response_completed"}
    assert types("type=exported") == {"exported"}
    assert types("agent=demo-agent") == {"ai_response_completed"}
    assert types("q=odd-format") == {"exported"}
    assert types("q=nothing-like-it") == set()
    today, tomorrow = timezone.now().date(), timezone.now().date() + timedelta(days=1)
    assert "exported" in types(f"since={today}&until={today}")
    assert types(f"since={tomorrow}") == set()


@IN_THREADS
@pytest.mark.parametrize(
    "query", ["?cursor=x", "?group=x", "?type=x", "?person=x", "?since=x", "?until=0", "?limit=0"]
)
def test_it_refuses_what_is_no_filter(alice: Actor, query: str) -> None:
    text = token_create_by(actor=alice, name="reader").text
    answer = Client().get(f"/api/audit{query}", headers={"Authorization": f"Bearer {text}"})
    assert answer.status_code == 422


def test_it_refuses_a_cursor_that_is_too_large_a_number(alice: Actor) -> None:
    with pytest.raises(Invalid):
        place_in(cursor_of(timezone.now(), 2**70))


@IN_THREADS
def test_it_names_people_and_tokens_as_they_are_called_now(alice: Actor, api: Any) -> None:
    alice.user.name = "Alice Renamed"
    alice.user.save()
    record("exported", actor=alice)
    assert api("?type=exported")["items"][0]["actorName"] == "Alice Renamed"


@IN_THREADS
async def test_it_defuses_formulas_in_csv_and_records_the_export(alice: Actor) -> None:
    def prepare() -> str:
        record("exported", actor=alice, target_type="x", target_name="=cmd|' /C calc'!A0")
        return token_create_by(actor=alice, name="reader").text

    headers = {"Authorization": f"Bearer {await in_database(prepare)}"}
    answer = await AsyncClient().get("/api/audit/export.csv?person=" + str(alice.user_id), headers=headers)
    body = b"".join([part async for part in answer.streaming_content]).decode()  # type: ignore[attr-defined]
    assert "'=cmd|" in body
    assert ",=cmd|" not in body
    assert answer["Cache-Control"] == "no-store"
    assert body.splitlines()[0].startswith("id,createdAt,type,group,outcome")
    last = await in_database(AuditEvent.objects.filter(action="exported").latest, "id")
    assert (last.target_type, last.metadata) == ("audit", {"format": "csv", "person": str(alice.user_id)})


# --- the page ---


def page_of(actor: Actor, query: str = "") -> Any:
    client = Client()
    client.force_login(actor.user, backend="django.contrib.auth.backends.ModelBackend")
    return client.get(f"/audit/{query}")


def test_it_shows_the_page_to_admins_and_owners_only(
    alice: Actor, bob: Actor, vera: Actor, charlie: Actor
) -> None:
    assert [page_of(who).status_code for who in (alice, bob, vera, charlie)] == [200, 403, 403, 200]
    assert page_of(charlie, f"?workspace={alice.workspace.slug}").status_code == 404
    assert "Bob" not in page_of(charlie).content.decode()
    assert page_of(bob).content.decode().count("/audit/") == 0


def test_it_narrows_the_page_by_its_form_and_says_when_nothing_fits(alice: Actor, bob: Actor) -> None:
    record("exported", actor=bob, target_type="conversation", metadata={"format": "<script>"})
    found = page_of(alice, f"?person={bob.user_id}&group=data").content.decode()
    assert "exported" in found
    assert "&lt;script&gt;" in found
    assert "<script>&quot;" not in found
    assert "No event fits" in page_of(alice, "?q=nothing-like-it").content.decode()
    for odd in ("?cursor=x", "?person=x&since=x&group=x"):
        assert page_of(alice, odd).status_code == 200
