"""What people put in, or take out, as a file: a browser takes it for what the answer says it is, and for nothing else."""

from __future__ import annotations

import re

import pytest

from tests.conversations.api_client import Person
from tests.conversations.conftest import engine, plays
from tests.conversations.test_api_files import PNG, media, send
from workspaces.access import Actor

pytestmark = pytest.mark.django_db(transaction=True)

_ = engine, plays, media  # fixtures: a running engine, what agents say, a folder of its own for files

OWN_WORD = (
    "an image",
    "an image behind a link",
    "an export as JSON",
    "an export as Markdown",
    "an export as HTML",
)
"""What people wrote or drew themselves says so by itself, whatever stands around the answer."""


async def served(mine: Person) -> dict[str, str]:
    """An address of every kind of answer that is a file."""
    file = (await send(mine, "a.png", PNG)).json()
    parts = [{"type": "text", "text": "Look"}, {"type": "image", "fileId": file["fileId"]}]
    conversation = (await mine.ask(parts))["conversationId"]
    made = (await mine.post(f"/api/conversations/{conversation}/links", {})).json()
    page = (await mine.get("/" + made["url"].split("/", 3)[3])).content.decode()
    picture = re.search(r'src="([^"]+/files/[^"]+)"', page)
    assert picture is not None
    export = f"/api/conversations/{conversation}/export?format="
    return {
        "an image": file["url"],
        "an image behind a link": picture[1],
        "an export as JSON": f"{export}json",
        "an export as Markdown": f"{export}md",
        "an export as HTML": f"{export}html",
        "a table of usage": "/api/usage/export.csv",
        "a table of the audit": "/api/audit/export.csv",
    }


async def test_no_file_is_guessed_at(engine, plays, alice: Actor) -> None:
    plays("Seen.")
    mine = await Person(alice).log_in()
    for name, address in (await served(mine)).items():
        answer = await mine.get(address)
        assert answer.status_code == 200, name
        assert answer["X-Content-Type-Options"] == "nosniff", name
        assert answer["Content-Disposition"].startswith("inline" if "image" in name else "attachment"), name


async def test_what_people_made_says_so_by_itself(engine, plays, alice: Actor, settings) -> None:
    """Not by the middleware, which another settings file may do without."""
    settings.SECURE_CONTENT_TYPE_NOSNIFF = False
    plays("Seen.")
    mine = await Person(alice).log_in()
    addresses = await served(mine)
    assert "X-Content-Type-Options" not in await mine.get(addresses["a table of usage"]), (
        "the middleware is on"
    )
    for name in OWN_WORD:
        answer = await mine.get(addresses[name])
        assert answer["X-Content-Type-Options"] == "nosniff", name
        assert "sandbox" in answer["Content-Security-Policy"], name
