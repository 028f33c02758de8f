"""update_profile changes the profile of whoever asks, and nobody else's."""

from __future__ import annotations

from typing import Any

import pytest

from agents.tools import update_profile
from nexus_core.context import ExecutionContext
from nexus_core.errors import ToolError
from workspaces.access import Actor
from workspaces.models import User


async def in_place(fn: Any) -> Any:
    from asgiref.sync import sync_to_async

    return await sync_to_async(fn)()


async def call(actor: Actor | None, **fields: Any) -> Any:
    services = {"run_sync": in_place, **({"actor": actor} if actor else {})}
    return await update_profile.call(fields, ExecutionContext(services=services))


@pytest.mark.django_db(transaction=True)
async def test_it_changes_what_was_named(alice: Actor, bob: Actor) -> None:
    told = await call(bob, title="Editor", timezone="Europe/Berlin")
    assert told["changed"] == ["timezone", "title"]
    person = await User.objects.aget(username="bob")
    assert (person.title, person.timezone, person.about) == ("Editor", "Europe/Berlin", "")
    assert (await User.objects.aget(username="alice")).title == ""


@pytest.mark.django_db(transaction=True)
async def test_it_says_what_is_wrong(bob: Actor, vera: Actor) -> None:
    with pytest.raises(ToolError, match="is no time zone"):
        await call(bob, timezone="Mars/Olympus")
    with pytest.raises(ToolError, match="Nothing to change"):
        await call(bob)
    with pytest.raises(ToolError, match="viewer"):
        await call(vera, name="V")


async def test_without_a_person_it_fails() -> None:
    with pytest.raises(ToolError):
        await call(None, name="X")
