"""What the Python client asks for exists, what it reads is told, and what it may be refused has a class."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import nexus_core.client as client
from docs import generate
from nexus_core.client import types
from nexus_core.client.decode import WireObject, _plan
from nexus_core.client.errors import ClientError, Refused, kind_of
from nexus_core.errors import NexusError
from nexus_site.api import api
from realtime.frames import CLIENT_FRAMES

SOURCE = "\n".join(path.read_text() for path in sorted(Path(client.__file__).parent.glob("*.py")))
# Where the client's value and the document's schema have the same name, their fields are compared.
SAME = {
    "Agent", "Attempt", "Conversation", "File", "Me", "Member", "Message", "Run", "SearchHit", "Token", "TokenUsage",
    "Tool", "ToolCall", "Usage", "UsageLine", "Here", "Activity", "Cost", "Percentiles",
}  # fmt: skip


def document() -> dict[str, Any]:
    schema: dict[str, Any] = api.get_openapi_schema()
    return schema


def test_it_asks_only_for_what_the_server_has() -> None:
    paths = {re.sub(r"\{\w+\}", "{}", path) for path in document()["paths"]}
    asked = {re.sub(r"\{[\w.]+\}", "{}", path) for path in re.findall(r'"(/api/[^"?]*)', SOURCE)}
    assert len(asked) > 20
    assert asked - paths == set()


def test_it_sends_only_frames_that_the_server_knows() -> None:
    generate.set_up()
    sent = set(re.findall(r'\{"type": "([a-z.]+)"', SOURCE))
    sent -= {"text", "image"}  # parts of a message, in a docstring
    assert sent >= {"ping", "subscribe", "unsubscribe", "replay", "presence.update"}
    assert sent - set(CLIENT_FRAMES) - generate.made_frames() == set()


@pytest.mark.parametrize("name", sorted(SAME))
def test_it_reads_fields_that_the_server_tells(name: str) -> None:
    kind: type[WireObject] = getattr(types, name)
    properties = set(document()["components"]["schemas"][name]["properties"])
    properties |= {"key", "name"} if name == "UsageLine" else set()
    properties |= {"token"} if name == "Token" else set()
    properties |= {"superseded"} if name == "Run" else set()
    assert {key for _, key, _, _ in _plan(kind)} - properties == set()


def _tree(kind: type[NexusError]) -> set[type[NexusError]]:
    return {kind}.union(*(_tree(child) for child in kind.__subclasses__()))


def test_it_has_a_class_for_every_refusal() -> None:
    """Whatever code the server answers with: by name, else by its status. A frame has no status, only a code."""
    generate.set_up()
    answered = {kind for kind in _tree(NexusError) if not issubclass(kind, ClientError)}
    assert len(answered) > 20
    for kind in answered:
        assert kind_of(kind.code, kind.http_status) is not Refused, kind
