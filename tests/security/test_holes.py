"""Holes that were found and closed: each stays closed."""

from __future__ import annotations

from dataclasses import replace

import pytest
from django.contrib.auth import logout
from django.contrib.sessions.backends.db import SessionStore
from django.http import HttpRequest
from django.test import AsyncClient

from conversations.api.sse import may_read
from conversations.models import Conversation
from conversations.services.conversations import conversation_create, conversation_update
from conversations.services.feedback import feedback_give
from conversations.services.files import upload_create
from conversations.services.run_start import run_start
from realtime import rights
from tests.conversations.conftest import chunks_of, engine, plays  # noqa: F401  (fixtures)
from tests.realtime.conftest import Connect, communicator_for, connect, log_in, refused  # noqa: F401  (fixtures)
from tests.security.things import PNG
from workspaces.access import Actor, actor_for
from workspaces.database import in_database
from workspaces.models import Role, User
from workspaces.services import membership_remove, membership_set
from workspaces.tickets import ticket_create
from workspaces.tokens import token_create

pytestmark = pytest.mark.django_db(transaction=True)


async def test_a_token_of_one_workspace_hears_nothing_of_another(engine, plays, connect, alice, charlie):  # noqa: F811
    """Charlie has private things in Acme, and a token of his own workspace in somebody's script."""
    plays("An answer.")
    await in_database(membership_set, workspace=alice.workspace, user=charlie.user, role=Role.MEMBER)
    there = await in_database(actor_for, charlie.user, "acme")
    token = await in_database(token_create, user=charlie.user, workspace=charlie.workspace, name="script")
    script, at_acme = await connect(token=token.text), await connect(charlie, path="/ws/?workspace=acme")
    started = await in_database(
        run_start, actor=there, agent_id="demo-agent", input_="the secret plan", visibility="private"
    )
    await chunks_of(started.run.pk)
    await in_database(
        feedback_give, actor=there, message_id=started.run.answer_id, rating="good", comment="secret"
    )
    await at_acme.next("message.feedback")
    await in_database(
        conversation_update, actor=there, conversation_id=started.conversation.pk, title="the secret title"
    )
    while (await at_acme.next("conversation.updated"))["conversation"]["title"] != "the secret title":
        pass
    seen = str(await script.settled())
    assert "secret" not in seen and str(started.conversation.pk) not in seen
    assert str(alice.workspace_id) not in seen


async def test_who_was_removed_hears_no_titles_at_another_workspaces_socket(connect, alice, charlie):  # noqa: F811
    await in_database(membership_set, workspace=alice.workspace, user=charlie.user, role=Role.MEMBER)
    made = await in_database(
        conversation_create, actor=alice, title="before", visibility="shared", shared_with=[charlie.user_id]
    )
    at_home, hers = await connect(charlie, path="/ws/?workspace=other"), await connect(alice)
    await in_database(membership_remove, workspace=alice.workspace, user=charlie.user)
    await in_database(conversation_update, actor=alice, conversation_id=made.pk, title="after they left")
    while (await hers.next("conversation.updated"))["conversation"]["title"] != "after they left":
        pass
    assert "after they left" not in str(await at_home.settled())


async def test_a_client_id_opens_no_room_that_was_closed(
    engine,  # noqa: F811
    plays,  # noqa: F811
    connect,  # noqa: F811
    alice,
    bob,
    monkeypatch,
):
    """Sending again what was sent once is answered with the run of then, but only while one may read it."""
    monkeypatch.setattr(rights, "EVERY_SECONDS", 1000.0)
    plays("one", "two")
    first = await in_database(run_start, actor=alice, agent_id="demo-agent", input_="Hello")
    await chunks_of(first.run.pk)
    socket = await connect(bob)
    frame = {"clientId": "again", "regenerateMessageId": str(first.run.answer_id), "agentId": "demo-agent"}
    accepted = await socket.ask({"type": "run.start", **frame}, "run.accepted")
    await socket.next("run.finished")
    repeated = await socket.ask({"type": "run.start", **frame}, "run.accepted")
    assert repeated["runId"] == accepted["runId"]
    conversation_id = first.conversation.pk
    await in_database(conversation_update, actor=alice, conversation_id=conversation_id, visibility="private")
    late = await connect(bob)
    assert (await late.ask({"type": "run.start", **frame}, "error"))["code"] == "not_found"
    await in_database(conversation_update, actor=alice, conversation_id=conversation_id, title="only hers")
    assert "only hers" not in str(await late.settled())


async def test_a_read_only_token_marks_nothing_over_a_socket(connect, alice):  # noqa: F811
    made = await in_database(conversation_create, actor=alice, title="x")
    token = await in_database(
        token_create, user=alice.user, workspace=alice.workspace, name="r", scopes=["read"]
    )
    socket = await connect(token=token.text)
    for frame in (
        {"type": "conversation.read", "conversationId": str(made.pk)},
        {"type": "suggestion.clicked", "suggestion": "x"},
    ):
        assert (await socket.ask(frame, "error"))["code"] == "forbidden"
    assert not await in_database(
        lambda: Conversation.objects.get(pk=made.pk).marks.filter(user=alice.user, read_number__gt=0).exists()
    )


async def test_a_ticket_ends_with_the_session_that_asked_for_it(alice: Actor, transactional_db, settings):
    settings.ALLOWED_HOSTS = ["testserver"]

    def ticket(key: str) -> str:
        return ticket_create(actor=replace(alice, session_key=key)).text

    def log_out(key: str) -> None:
        request = HttpRequest()
        request.session, request.user = SessionStore(key), alice.user
        logout(request)

    def new_password() -> None:
        alice.user.set_password("another one entirely")
        alice.user.save()

    one, two = await in_database(log_in, alice), await in_database(log_in, alice)
    tickets = [await in_database(ticket, key) for key in (one, two, two)]
    await in_database(log_out, one)
    assert await refused(communicator_for(ticket=tickets[0]))
    assert not await refused(communicator_for(ticket=tickets[1]))
    await in_database(new_password)
    assert await refused(communicator_for(ticket=tickets[2]))


async def test_a_stream_of_events_ends_with_the_password(alice: Actor, transactional_db):
    key = await in_database(log_in, alice)
    started = await in_database(run_start, actor=alice, agent_id="demo-agent", input_="Hello")
    reader = replace(alice, session_key=key)
    assert await may_read(reader, started.run.pk)

    def new_password() -> None:
        user = User.objects.get(pk=alice.user_id)
        user.set_password("another one entirely")
        user.save()

    await in_database(new_password)
    assert not await may_read(reader, started.run.pk)


async def test_a_token_is_told_of_no_other_workspace(alice: Actor, charlie: Actor, transactional_db):
    await in_database(membership_set, workspace=alice.workspace, user=charlie.user, role=Role.MEMBER)
    token = await in_database(token_create, user=charlie.user, workspace=charlie.workspace, name="script")
    for address in ("/api/me", "/api/workspaces"):
        told = await AsyncClient().get(address, headers={"Authorization": f"Bearer {token.text}"})
        assert b"Other" in told.content and b"Acme" not in told.content, address


async def test_a_token_opens_no_file_of_ones_own_in_another_workspace(
    alice: Actor, charlie: Actor, transactional_db, settings, tmp_path
):
    """A file that stands in no message yet is its owner's, but only where they uploaded it."""
    settings.MEDIA_ROOT = tmp_path
    await in_database(membership_set, workspace=alice.workspace, user=charlie.user, role=Role.MEMBER)
    there = await in_database(actor_for, charlie.user, "acme")
    file = await in_database(upload_create, actor=there, name="plan.png", data=PNG)
    answers = []
    for workspace in (there.workspace, charlie.workspace):
        token = await in_database(token_create, user=charlie.user, workspace=workspace, name="script")
        headers = {"Authorization": f"Bearer {token.text}"}
        answers.append((await AsyncClient().get(f"/api/files/{file.pk}", headers=headers)).status_code)
    assert answers == [200, 404]
