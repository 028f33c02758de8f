"""Forks: the beginning of a conversation as a new one, of whoever may read it."""

from __future__ import annotations

from pathlib import Path

import pytest

from conversations.database import in_database
from conversations.models import Conversation, Message, Run, Upload
from conversations.services.conversations import conversation_update
from conversations.services.files import upload_create
from conversations.services.fork import conversation_fork
from conversations.services.leftovers import leftovers_remove
from conversations.threads import totals_of

from .api_client import Person, absent, error_of

pytestmark = pytest.mark.django_db(transaction=True)

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 40


async def asked(person: Person, *texts: str) -> tuple[str, list[dict]]:
    """A conversation in which these were asked, and its messages."""
    conversation_id = None
    for text in texts:
        done = await person.ask(text, **({"conversationId": conversation_id} if conversation_id else {}))
        conversation_id = done["conversationId"]
    items = (await person.get(f"/api/conversations/{conversation_id}/messages")).json()["items"]
    return conversation_id, items


async def messages_of(person: Person, conversation_id: str) -> list[dict]:
    return (await person.get(f"/api/conversations/{conversation_id}/messages")).json()["items"]


async def test_it_copies_the_branch_up_to_a_message(engine, alice):
    she = await Person(alice).log_in()
    conversation_id, items = await asked(she, "/help", "Show me token usage statistics", "/help")
    made = await she.post(f"/api/conversations/{conversation_id}/fork", {"messageId": items[3]["id"]})
    assert made.status_code == 201
    fork = made.json()
    assert fork["title"] == "Fork: /help" and fork["messageCount"] == 4 and fork["unread"] == 0
    copies = await messages_of(she, fork["id"])
    assert [m["content"] for m in copies] == [m["content"] for m in items[:4]]
    assert [m["createdAt"] for m in copies] == [m["createdAt"] for m in items[:4]]
    assert [m["parentId"] for m in copies] == [None, *(m["id"] for m in copies[:3])]
    assert not {m["id"] for m in copies} & {m["id"] for m in items}
    assert copies[3]["parts"] == items[3]["parts"]


async def test_it_counts_no_cost_twice(engine, alice):
    she = await Person(alice).log_in()
    conversation_id, items = await asked(she, "Show me token usage statistics")
    fork = (
        await she.post(f"/api/conversations/{conversation_id}/fork", {"messageId": items[1]["id"]})
    ).json()
    assert await in_database(Run.objects.filter(conversation_id=fork["id"]).count) == 0
    assert (await in_database(totals_of, fork["id"]))["tokens"] == 0
    assert (await in_database(totals_of, conversation_id))["tokens"] > 0


async def test_it_goes_on_in_the_fork_and_leaves_the_original_alone(engine, alice):
    she = await Person(alice).log_in()
    conversation_id, items = await asked(she, "/help", "/help")
    fork = (
        await she.post(f"/api/conversations/{conversation_id}/fork", {"messageId": items[2]["id"]})
    ).json()
    copies = await messages_of(she, fork["id"])
    again = await she.post(
        "/api/invoke",
        {"agentId": "demo-agent", "conversationId": fork["id"], "regenerateMessageId": copies[2]["id"]},
    )
    assert again.status_code == 200, again.content
    await she.ask("/help", conversationId=fork["id"])
    assert len(await messages_of(she, fork["id"])) == 6
    assert len(await messages_of(she, conversation_id)) == 4
    second = await she.post(f"/api/conversations/{fork['id']}/fork", {"messageId": copies[0]["id"]})
    assert second.json()["title"] == "Fork 2: /help"


async def test_it_lets_readers_fork_and_opens_nothing_to_others(engine, alice, bob, vera, charlie):
    she, he, viewer, stranger = [await Person(one).log_in() for one in (alice, bob, vera, charlie)]
    conversation_id, items = await asked(she, "/help")
    path, body = f"/api/conversations/{conversation_id}/fork", {"messageId": items[1]["id"]}
    assert error_of(await stranger.post(path, body)) == (404, "not_found")
    assert error_of(await viewer.post(path, body)) == (403, "forbidden")
    assert error_of(await he.post(path, {"messageId": str(absent())})) == (404, "not_found")
    his = (await he.post(path, body)).json()
    assert his["createdBy"] == str(bob.user_id) and his["visibility"] == "workspace"
    await in_database(
        conversation_update,
        actor=alice,
        conversation_id=conversation_id,
        visibility="shared",
        shared_with=[bob.user_id],
    )
    closed = (await he.post(path, body)).json()
    assert closed["visibility"] == "private"
    assert error_of(await she.get(f"/api/conversations/{closed['id']}"))[0] == 404
    _, other = await asked(she, "/help")
    mixed = await she.post(path, {"messageId": other[0]["id"]})
    assert error_of(mixed) == (404, "not_found"), "a message of another conversation"


async def test_it_names_its_origin_only_to_who_may_read_it(engine, alice, bob):
    she, he = await Person(alice).log_in(), await Person(bob).log_in()
    conversation_id, items = await asked(she, "/help")
    fork = (await he.post(f"/api/conversations/{conversation_id}/fork", {"messageId": items[1]["id"]})).json()
    page = (await he.get(f"/c/{fork['id']}/")).content.decode()
    assert f"/c/{conversation_id}/" in page.split('role="log"')[1].split("nexus-message")[0]
    await in_database(conversation_update, actor=alice, conversation_id=conversation_id, visibility="private")
    page = (await he.get(f"/c/{fork['id']}/")).content.decode()
    assert conversation_id not in page


async def test_it_keeps_images_when_the_original_goes(engine, alice, bob, tmp_path, settings):
    settings.MEDIA_ROOT = str(tmp_path)

    def make() -> tuple[Conversation, Upload]:
        conversation = Conversation.objects.create(
            workspace=alice.workspace, created_by=alice.user, visibility="private", temporary=True
        )
        upload = upload_create(actor=alice, name="plan.png", data=PNG)
        Upload.objects.filter(pk=upload.pk).update(conversation=conversation)
        part = {"type": "image", "fileId": str(upload.pk), "mediaType": "image/png", "name": "plan.png"}
        question = Message.objects.create(
            conversation=conversation,
            number=1,
            role="user",
            content="Look at this plan",
            parts=[part],
            author=alice.user,
        )
        fork = conversation_fork(actor=alice, conversation_id=conversation.pk, message_id=question.pk)
        Conversation.objects.filter(pk=conversation.pk).update(deleted_at="2020-01-01T00:00:00Z")
        return fork, upload

    fork, upload = await in_database(make)
    assert fork.visibility == "private" and not fork.temporary and fork.title == "Fork: Look at this plan"
    await in_database(leftovers_remove)
    she = await Person(alice).log_in()
    [message] = await messages_of(she, str(fork.pk))
    [part] = message["parts"]
    assert part["fileId"] != str(upload.pk)
    kept = await she.get(f"/api/files/{part['fileId']}")
    assert kept.status_code == 200 and (Path(settings.MEDIA_ROOT) / upload.path).exists()
    he = await Person(bob).log_in()
    assert error_of(await he.get(f"/api/files/{part['fileId']}"))[0] == 404
