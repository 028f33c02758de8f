"""Several conversations at once: every id by itself, with the rights that it would need alone."""

from __future__ import annotations

import pytest

from conversations.database import in_database
from conversations.models import Conversation
from conversations.selectors import annotated
from conversations.services.conversations import conversation_create

from .api_client import Person, absent, error_of

pytestmark = pytest.mark.django_db(transaction=True)

PATH = "/api/conversations/bulk"


async def made(actor, count=1, **fields) -> list[str]:
    return [str((await in_database(conversation_create, actor=actor, **fields)).pk) for _ in range(count)]


async def statuses(person: Person, ids: list[str], action: str) -> list[int]:
    response = await person.post(PATH, {"ids": ids, "action": action})
    assert response.status_code == 200, response.content
    items = response.json()["items"]
    assert [item["id"] for item in items] == ids
    return [item["status"] for item in items]


async def test_it_archives_deletes_and_brings_back(alice):
    person, ids = await Person(alice).log_in(), await made(alice, 3)
    assert await statuses(person, ids[:2], "archive") == [200, 200]
    assert await in_database(lambda: Conversation.objects.filter(status="archived").count()) == 2
    assert await statuses(person, ids[1:], "delete") == [200, 200]
    assert [item["id"] for item in (await person.get("/api/conversations")).json()["items"]] == [ids[0]]
    assert await statuses(person, ids, "restore") == [200, 200, 200]
    rows = (await person.get("/api/conversations?status=active")).json()["items"]
    assert sorted(row["id"] for row in rows) == sorted([ids[0], ids[2]]), (
        "one was archived before it was deleted"
    )


async def test_it_restores_a_deleted_archived_one_as_it_was(alice):
    person, ids = await Person(alice).log_in(), await made(alice)
    await statuses(person, ids, "archive")
    await statuses(person, ids, "delete")
    assert await statuses(person, ids, "restore") == [200]
    assert await in_database(lambda: Conversation.objects.get().status) == "archived"


async def test_it_answers_each_id_for_itself(alice, bob, charlie):
    hers, theirs, private = (
        await made(alice),
        await made(charlie),
        await made(alice, visibility="private"),
    )
    his = await made(bob)
    person = await Person(bob).log_in()
    ids = [*hers, *theirs, *private, str(absent()), "no id", *his]
    response = await person.post(PATH, {"ids": ids, "action": "delete"})
    items = response.json()["items"]
    assert [item["status"] for item in items] == [403, 404, 404, 404, 404, 200]
    assert len({str(item["error"]) for item in items[1:5]}) == 1, "foreign and absent ones look alike"
    assert items[5]["error"] is None
    assert await in_database(lambda: Conversation.objects.filter(deleted_at=None).count()) == 3


async def test_it_marks_as_read(alice, bob):
    ids = await made(alice, 2)
    assert await statuses(await Person(bob).log_in(), ids, "read") == [200, 200]
    rows = await in_database(lambda: list(annotated(bob)))
    assert all(row.read_at for row in rows)


async def test_it_refuses_what_does_not_fit(alice, vera):
    person = await Person(alice).log_in()
    for body in (
        {"ids": [], "action": "archive"},
        {"ids": ["x"] * 201, "action": "archive"},
        {"ids": ["x"], "action": "burn"},
    ):
        assert error_of(await person.post(PATH, body))[0] == 422
    ids = await made(alice)
    refused = await (await Person(vera).log_in()).post(PATH, {"ids": ids, "action": "archive"})
    assert error_of(refused) == (403, "forbidden")
    assert error_of(await Person(None).post(PATH, {"ids": ids, "action": "archive"}))[0] in (401, 403)
