"""Python and the browser know the same words: chunk types, statuses, frames of both directions."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

from docs import generate
from nexus_core.chunks import CHUNK_TYPES, MetadataStatus
from realtime.frames import CLIENT_FRAMES

CLIENT = Path(__file__).resolve().parents[2] / "static/nexus/client"
_SENT = re.compile(r'type: "([a-z_]+(?:\.[a-z_]+)?)"')
# Answers that `request()` resolves with, whatever they are called; and for those who watch tool calls
# without following chunks, which say the same.
UNREAD = {
    "pong",
    "unsubscribed",
    "run.cancelled",
    "run.steered",
    "draft.edited",
    "draft.read",
    "tool_call.updated",
}


def cases(name: str) -> set[str]:
    """Words that a module decides by: `case "x"`, keys and comparisons."""
    return set(re.findall(r'"([a-z_]+(?:\.[a-z_]+)?)"', (CLIENT / name).read_text()))


def test_it_has_a_case_for_every_chunk_type() -> None:
    drawn = set(re.findall(r'case "([a-z_]+)":', (CLIENT / "run.js").read_text()))
    assert set(CHUNK_TYPES) <= drawn
    assert set(get_args(MetadataStatus)) <= drawn
    assert drawn - set(CHUNK_TYPES) - set(get_args(MetadataStatus)) == set()


def test_it_reduces_every_frame_that_the_server_sends() -> None:
    read = ("reducer.js", "client.js", "link.js")
    pages = tuple(
        f"../pages/{name}.js" for name in ("notices", "conducting", "access", "members", "writing-together")
    )
    known = set().union(*(cases(name) for name in (*read, *pages)))
    assert generate.made_frames() - UNREAD - known == set()


def test_it_sends_only_frames_that_the_server_knows() -> None:
    generate.set_up()
    text = (CLIENT / "client.js").read_text() + (CLIENT / "link.js").read_text()
    sent = {name for name in _SENT.findall(text) if "local." not in name}
    sent -= generate.made_frames() | {"text", "image"}
    assert sent, "the client sends nothing?"
    assert sent - set(CLIENT_FRAMES) == set()
