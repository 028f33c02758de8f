"""Files over HTTP: images only, told by their bytes, shown as nothing else."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile

from conversations.database import in_database
from conversations.models import Upload

from .api_client import Person, absent, error_of

pytestmark = pytest.mark.django_db(transaction=True)

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


@pytest.fixture(autouse=True)
def media(tmp_path, settings):
    settings.MEDIA_ROOT = tmp_path
    return tmp_path


async def send(person: Person, name: str, data: bytes, media_type: str = "image/png"):
    return await person.client.post(
        "/api/files",
        {"file": SimpleUploadedFile(name, data, media_type)},
        headers={"X-CSRFToken": person.csrf},
    )


async def test_it_stores_an_image_under_a_name_of_its_own(alice, media):
    person = await Person(alice).log_in()
    response = await send(person, "../../etc/pass\x07wd.PNG", PNG, "text/html")
    assert response.status_code == 201, response.content
    file = response.json()
    assert (file["name"], file["mediaType"], file["size"]) == ("passwd.png", "image/png", len(PNG))
    row = await in_database(Upload.objects.get)
    stored = [path for path in media.rglob("*") if path.is_file()]
    assert stored == [media / row.path] and "passwd" not in row.path and ".." not in row.path
    shown = await person.get(file["url"])
    assert shown.content == PNG and shown["Content-Type"] == "image/png"
    assert shown["X-Content-Type-Options"] == "nosniff"
    assert shown["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert shown["Content-Disposition"].startswith("inline; filename=")


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("picture.svg", b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'),
        ("picture.png", b"<html><script>alert(1)</script></html>"),
        ("picture.png", b"%PDF-1.7"),
    ],
)
async def test_it_refuses_what_is_no_image_whatever_its_name(alice, media, name, data):
    response = await send(await Person(alice).log_in(), name, data)
    assert error_of(response) == (422, "invalid_input")
    assert not list(media.rglob("*.*"))


async def test_it_refuses_empty_missing_and_too_large_ones(alice, vera, settings):
    settings.NEXUS_UPLOAD_BYTES = 1000
    person = await Person(alice).log_in()
    assert error_of(await send(person, "big.png", PNG + b"\0" * 1000)) == (413, "file_too_large")
    assert error_of(await send(person, "empty.png", b""))[0] == 422
    missing = await person.client.post("/api/files", {"other": "x"}, headers={"X-CSRFToken": person.csrf})
    assert error_of(missing) == (422, "invalid_request")
    assert error_of(await send(await Person(vera).log_in(), "a.png", PNG)) == (403, "forbidden")
    assert await in_database(Upload.objects.count) == 0


async def test_it_sends_the_image_with_the_message_and_shows_it_to_readers(
    engine, alice, bob, charlie, plays
):
    provider = plays("A dot.")
    person, other, stranger = [await Person(actor).log_in() for actor in (alice, bob, charlie)]
    file = (await send(person, "dot.png", PNG)).json()
    assert error_of(await other.get(file["url"])) == (404, "not_found"), (
        "not yet in a conversation: its sender's"
    )
    parts = [{"type": "text", "text": "what is it?"}, {"type": "image", "fileId": file["fileId"]}]
    done = await person.ask(parts)
    sent = provider.requests[0].messages[-1].parts
    assert [type(part).__name__ for part in sent] == ["TextPart", "ImagePart"] and sent[1].data == PNG
    assert done["message"]["content"] == "A dot."
    assert (await other.get(file["url"])).content == PNG
    foreign, nowhere = await stranger.get(file["url"]), await stranger.get(f"/api/files/{absent()}")
    assert error_of(foreign) == error_of(nowhere) == (404, "not_found")
    taken = await stranger.post(
        "/api/invoke", {"agentId": "demo-agent", "message": [{"type": "image", "fileId": file["fileId"]}]}
    )
    assert error_of(taken) == (404, "not_found")


async def test_it_says_not_found_when_the_bytes_are_gone(alice, media):
    person = await Person(alice).log_in()
    file = (await send(person, "dot.png", PNG)).json()
    row = await in_database(Upload.objects.get)
    (Path(settings.MEDIA_ROOT) / row.path).unlink()
    assert error_of(await person.get(file["url"])) == (404, "not_found")


async def test_it_removes_ones_own_file_that_no_message_has(alice, bob, media):
    person, other = await Person(alice).log_in(), await Person(bob).log_in()
    file = (await send(person, "a.png", PNG)).json()
    assert error_of(await other.delete(file["url"])) == (404, "not_found")
    assert error_of(await other.delete(f"/api/files/{absent()}")) == (404, "not_found")
    assert (await person.delete(file["url"])).status_code == 204
    assert error_of(await person.get(file["url"])) == (404, "not_found")
    assert error_of(await person.delete(file["url"])) == (404, "not_found")
    assert not [path for path in media.rglob("*") if path.is_file()]


async def test_it_keeps_a_file_that_stands_in_a_message(engine, alice, bob, vera):
    person = await Person(alice).log_in()
    file = (await send(person, "a.png", PNG)).json()
    parts = [{"type": "text", "text": "look"}, {"type": "image", "fileId": file["fileId"]}]
    await person.ask(parts)
    assert error_of(await person.delete(file["url"])) == (409, "file_in_use")
    assert error_of(await (await Person(bob).log_in()).delete(file["url"])) == (403, "forbidden")
    assert error_of(await (await Person(vera).log_in()).delete(file["url"])) == (403, "forbidden")
    assert (await person.get(file["url"])).content == PNG
