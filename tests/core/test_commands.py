"""Slash commands: what is one, and what becomes of its words."""

from __future__ import annotations

import pytest

from nexus_core import Toolset, tool
from nexus_core.commands import Command, arguments_for, parse_command, resolve, usage
from nexus_core.errors import ToolInputInvalid, ToolNotFound


@tool(kind="hybrid", command="search")
async def search_messages(query: str, time_range: str = "all", limit: int = 5, mine: bool = False) -> str:
    """Searches."""
    return query


@tool(kind="command")
async def clear() -> None:
    """Clears."""


@tool(kind="command")
async def tag(names: list[str], weight: float = 1.0) -> None:
    """Tags."""


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("/search foo bar", Command("search", "foo bar")),
        ("  /Help  ", Command("help", "")),
        ("/search\nfoo\nbar", Command("search", "foo\nbar")),
        ("search", None),
        ("a /search", None),
        ("/ 2", None),
        ("//x", None),
        ("/usr/bin", None),
        ("", None),
    ],
)
def test_it_knows_a_command(text, command):
    assert parse_command(text) == command


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ("foo bar", {"query": "foo bar"}),
        ("don't  stop", {"query": "don't  stop"}),
        ('"exact words"', {"query": "exact words"}),
        ('"exact words" limit=3', {"query": "exact words", "limit": 3}),
        ("x timeRange=week", {"query": "x", "timeRange": "week"}),
        ("x time_range=week mine=yes", {"query": "x", "timeRange": "week", "mine": True}),
        ("a=b is unknown", {"query": "a=b is unknown"}),
        ("query=foo", {"query": "foo"}),
    ],
)
def test_it_maps_words_to_arguments(text, arguments):
    assert arguments_for(search_messages, text) == arguments


def test_it_reads_lists_and_numbers():
    assert arguments_for(tag, "names=a,b weight=2.5") == {"names": ["a", "b"], "weight": 2.5}


@pytest.mark.parametrize(
    ("command", "text", "told"),
    [
        (search_messages, "", "missing query"),
        (search_messages, "x limit=many", "'many' is not of type integer"),
        (clear, "everything", "does not take 'everything'. Usage: /clear"),
    ],
)
def test_it_says_how_it_is_used(command, text, told):
    with pytest.raises(ToolInputInvalid, match="Usage: /") as error:
        arguments_for(command, text)
    assert told in error.value.message


def test_it_resolves_a_line():
    tools = Toolset([search_messages, clear])
    assert resolve(tools, "/search foo") == (search_messages, {"query": "foo"})
    assert resolve(tools, "just text") is None
    with pytest.raises(ToolNotFound, match=r"Available: /search, /clear\."):
        resolve(tools, "/nothing")


def test_it_shows_usage():
    assert usage(search_messages) == "/search QUERY [timeRange=…] [limit=…] [mine=…]"
