"""A temporary chat: its creator's alone, in no list, gone for good after a day; what it cost stays."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.db.models.functions import Now
from django.utils import timezone

from billing.models import Attempt
from conversations.database import in_database
from conversations.models import Conversation, Message, Run, RunChunk, Upload
from conversations.search import search_messages
from conversations.services.files import upload_create
from conversations.services.leftovers import leftovers_remove
from tests.realtime.conftest import connect  # noqa: F401  (a fixture)

from .api_client import Person, error_of
from .conftest import chunks_of
from .test_api_files import PNG

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def media(tmp_path, settings):
    settings.MEDIA_ROOT = tmp_path
    return tmp_path


async def begin(socket, text="zebra secrets", **fields) -> str:
    frame = {"type": "run.start", "clientId": "c1", "agentId": "demo-agent", "input": text, "temporary": True}
    accepted = await socket.ask(frame | fields, "run.accepted")
    await chunks_of(accepted["runId"])
    return accepted["conversationId"]


async def test_it_is_in_no_list_no_search_and_nobody_elses(engine, alice, bob, connect):  # noqa: F811
    socket, his = await connect(alice), await connect(bob)
    conversation_id = await begin(socket)
    person, other = await Person(alice).log_in(), await Person(bob).log_in()
    shown = (await person.get(f"/api/conversations/{conversation_id}")).json()
    assert shown["temporary"] and shown["visibility"] == "private" and shown["title"] == "Temporary chat"
    assert error_of(await other.get(f"/api/conversations/{conversation_id}")) == (404, "not_found")
    assert (await person.get("/api/conversations")).json()["items"] == []
    assert await in_database(search_messages, alice, "zebra") == []
    for page in ("/", "/history/"):
        assert conversation_id not in (await person.get(page)).content.decode().replace("-current-", "")
    assert (await person.get(f"/c/{conversation_id}/")).status_code == 200
    await his.ask({"type": "ping"}, "pong")
    assert not [frame for frame in his.seen if conversation_id in str(frame.get("conversation", ""))]


async def test_it_cannot_be_shared_but_kept(engine, alice, connect):  # noqa: F811
    conversation_id = await begin(await connect(alice))
    person = await Person(alice).log_in()
    path = f"/api/conversations/{conversation_id}"
    assert error_of(await person.patch(path, {"visibility": "workspace"})) == (422, "invalid_input")
    kept = (await person.patch(path, {"temporary": False})).json()
    assert not kept["temporary"] and kept["title"] == "zebra secrets" and kept["visibility"] == "private"
    assert [item["id"] for item in (await person.get("/api/conversations")).json()["items"]] == [
        conversation_id
    ]
    assert error_of(await person.patch(path, {"temporary": True}))[0] == 422


async def test_it_goes_with_all_it_had_a_day_after_its_last_message_and_the_ledger_stays(
    engine,
    alice,
    connect,  # noqa: F811
    media,
):
    file = await in_database(upload_create, actor=alice, name="a.png", data=PNG)
    parts = [{"type": "text", "text": "zebra"}, {"type": "image", "fileId": str(file.pk)}]
    conversation_id = await begin(await connect(alice), parts)
    stays = await begin(await connect(alice), clientId="c2", temporary=False)
    booked = await in_database(Attempt.objects.filter(conversation_id=conversation_id).count)
    assert await in_database(leftovers_remove) == 0, "not before its day is over"
    old = Now() - timedelta(hours=25)
    await in_database(lambda: Conversation.objects.update(last_active_at=old))
    assert await in_database(leftovers_remove) == 1
    assert not await in_database(Conversation.objects.filter(pk=conversation_id).exists)
    assert await in_database(Conversation.objects.filter(pk=stays).exists)
    for model in (Message, Run):
        assert not await in_database(model.objects.filter(conversation_id=conversation_id).exists)
    assert await in_database(lambda: RunChunk.objects.exclude(run__conversation_id=stays).count()) == 0
    assert not (Path(settings.MEDIA_ROOT) / file.path).exists()
    assert await in_database(Attempt.objects.filter(conversation_id=conversation_id).count) == booked
    assert await in_database(leftovers_remove) == 0


async def test_it_waits_for_an_answer_that_still_goes_on(engine, alice, connect):  # noqa: F811
    conversation_id = await begin(await connect(alice))
    await in_database(lambda: Conversation.objects.update(last_active_at=Now() - timedelta(hours=25)))
    await in_database(lambda: Run.objects.update(status="waiting"))
    assert await in_database(leftovers_remove) == 0
    await in_database(lambda: Run.objects.update(status="complete"))
    assert await in_database(leftovers_remove) == 1
    assert not await in_database(Conversation.objects.filter(pk=conversation_id).exists)


def test_uploads_that_no_message_took_go_too(alice, media):
    old, fresh = (upload_create(actor=alice, name="a.png", data=PNG) for _ in range(2))
    Upload.objects.filter(pk=old.pk).update(created_at=timezone.now() - timedelta(hours=25))
    assert leftovers_remove() == 1
    assert list(Upload.objects.values_list("pk", flat=True)) == [fresh.pk]
    assert not (media / old.path).exists() and (media / fresh.path).exists()
